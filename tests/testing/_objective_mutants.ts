/** Objectives that each break one promise of their contract, by the check that finds it. */
import { Schema } from "effect"
import {
  add,
  divide,
  exp,
  log,
  mean as meanOf,
  multiply,
  negate,
  relu,
  scale,
  sqrt,
  subtract,
  sum,
} from "genarm/onnx"
import { type AnyPlugin, defineObjective, type PairBatch, type PluginNode } from "genarm/plugin"
import { margin, onPairs, onTexts, preference, type Tensor, usual } from "./_objectives.ts"

/** Faults of one check, by what they are. */
type Faults = Readonly<Record<string, AnyPlugin | PluginNode>>

/** A loss of each pair, of which the mean is taken. */
const perPair = (loss: (batch: PairBatch) => Tensor): AnyPlugin =>
  onPairs((batch) => ({ loss: batch.mean(loss(batch)) }))

const writes: Faults = {
  "throws": onPairs(() => {
    throw new Error("no")
  }),
  "gives no mean": onPairs((batch) => ({ loss: preference(margin(batch)) })),
  "reports no mean": onPairs((batch) => ({ ...usual(batch), metrics: { margin: margin(batch) } })),
  "reports a loss of its own": onPairs((batch) => ({
    ...usual(batch),
    metrics: { loss: batch.mean(margin(batch)) },
  })),
  "gives NaN": perPair((batch) => log(sum(batch.chosen.logProbs, [1]))),
  "uses a reference that it does not ask for": perPair(({ chosen }) => chosen.reference!),
  "names data that there is not": defineObjective({
    name: "mutant",
    data: "prompts" as never,
    loss: (_: unknown, batch: PairBatch) => usual(batch),
  }),
}

const unusual: Faults = {
  "takes the exponential of a margin": perPair((batch) => exp(negate(margin(batch)))),
  "takes the softplus by itself": perPair((batch) => {
    const x = negate(margin(batch))
    return log(add(exp(x), x.tape.scalar(1)))
  }),
  "takes the root of a margin that may be 0": perPair((batch) => {
    const x = margin(batch)
    return add(preference(x), sqrt(multiply(x, x)))
  }),
}

const again: Faults = {
  "draws random numbers": perPair((batch) => preference(margin(batch, 0.1 + Math.random()))),
  "counts graphs in the plugin": (() => {
    let graphs = 0
    return perPair((batch) => preference(margin(batch, 0.1 * ++graphs)))
  })(),
}

const noted = defineObjective({
  name: "noted",
  options: Schema.Struct({ seen: Schema.instanceOf(Float64Array) }),
  data: "pairs",
  loss: ({ seen }, batch) => {
    seen[0]++
    return usual(batch)
  },
})

/** 1 for each element. */
const ones = (x: Tensor): Tensor => add(scale(x, 0), x.tape.scalar(1))

const parts: Faults = {
  "takes the mean of its own batch": onPairs((batch) => ({
    loss: meanOf(preference(margin(batch))),
  })),
  "takes the sum": onPairs((batch) => ({ loss: sum(preference(margin(batch))) })),
  "reports a sum": onPairs((batch) => ({
    ...usual(batch),
    metrics: { total: sum(margin(batch)) },
  })),
  "adds something for each batch": onPairs((batch) => {
    const { loss } = usual(batch)
    return { loss: add(loss, loss.tape.scalar(1)) }
  }),
  "compares with the other pairs of the batch": perPair((batch) => {
    const found = margin(batch)
    return preference(subtract(found, scale(meanOf(found), 0.5)))
  }),
  "takes the mean of its own texts": onTexts(({ logProbs, counts }) => ({
    loss: divide(negate(sum(logProbs)), sum(counts)),
  })),
}

const filling: Faults = {
  "divides by the tokens of a row": perPair((batch) =>
    preference(scale(margin(batch), 1 / (batch.chosen.logProbs.shape[1] as number)))
  ),
  "takes the mean of all rows, for as many as count": onPairs((batch) => {
    const x = preference(margin(batch))
    return { loss: multiply(meanOf(x), batch.mean(ones(x))) }
  }),
  "divides texts by the tokens of a row": onTexts(({ logProbs, mean }) => ({
    loss: scale(mean(negate(logProbs)), 1 / (logProbs.shape[1] as number)),
  })),
  "counts a token of texts that are not there": onTexts(({ logProbs, counts, mean }) => ({
    loss: multiply(divide(negate(sum(logProbs)), sum(counts)), mean(ones(logProbs))),
  })),
}

const learns: Faults = {
  "loses the gradient": perPair((batch) => {
    const x = margin(batch)
    return preference(x.tape.tensor(x.value, x.shape))
  }),
  "stops where it is 0 for all": perPair((batch) => {
    const x = margin(batch)
    return relu(subtract(preference(x), x.tape.scalar(1000)))
  }),
  "records another gradient": onPairs((batch) => {
    const { loss: { tape, value, shape }, loss } = usual(batch)
    const same = { value: tape.graph.node("Identity", [value]), shape }
    const [recorded] = tape.record([loss], [same], ([gradient]) => [negate(gradient!)])
    return { loss: recorded }
  }),
}

const prefers: Faults = {
  "learns from both texts alike": perPair(({ chosen, rejected }) =>
    negate(sum(add(chosen.logProbs, rejected.logProbs), [1]))
  ),
}

const refers: Faults = {
  "leaves it where it is": onPairs(usual, true),
}

const counted = defineObjective({
  name: "counted",
  options: Schema.Struct({ beta: Schema.NumberFromString }),
  data: "pairs",
  loss: ({ beta }, batch) => ({ loss: batch.mean(preference(margin(batch, beta))) }),
})

const lambda = defineObjective({
  name: "lambda",
  options: Schema.Struct({ weigh: Schema.Any }),
  data: "pairs",
  loss: ({ weigh }, batch) => ({ loss: batch.mean(preference(margin(batch, weigh(1)))) }),
})

const secrets = new WeakMap<object, number>()
const secret = defineObjective({
  name: "secret",
  options: Schema.Struct({ beta: Schema.Finite }),
  data: "pairs",
  loss: (options, batch) => ({
    loss: batch.mean(preference(margin(batch, secrets.get(options) ?? 1))),
  }),
})
const withSecret = secret({ beta: 1 })
secrets.set(withSecret.options as object, 0.3)

const files: Faults = {
  "does not take the options that it has given": counted({ beta: "0.5" }),
  "has a function among its options": lambda({ weigh: (x: number) => x / 2 }),
  "does what its options do not say": withSecret,
}

/** By the check that they fail. */
export const mutants: Readonly<Record<string, Faults>> = {
  "writes a loss, and what else it reports, as numbers": writes,
  "gives numbers for a model that knows nothing, and for one that is very sure": unusual,
  "gives the same for the same batch": again,
  "leaves its options as they are": {
    "writes to its options": noted({ seen: new Float64Array(1) }),
  },
  "counts each example once, in whatever batches they come": parts,
  "leaves out what only fills a batch up": filling,
  "has a gradient by which the loss becomes less": learns,
  "tells the preferred text of a pair from the other": prefers,
  "makes use of the reference, where it asks for one": refers,
  "is read back from a file as it was": files,
}
