/** Objectives that keep their contract, and what mutants of them are made with. */
import { Schema } from "effect"
import { divide, negate, scale, softplus, subtract, sum } from "genarm/onnx"
import {
  type AnyPlugin,
  defineObjective,
  type ObjectiveLoss,
  type PairBatch,
  type PluginNode,
  type TextBatch,
} from "genarm/plugin"

/** A value of a graph. */
export type Tensor = ObjectiveLoss["loss"]

/** An objective on pairs, without options. */
export function onPairs(loss: (batch: PairBatch) => ObjectiveLoss, reference?: boolean): AnyPlugin {
  return defineObjective({
    name: "mutant",
    data: "pairs",
    ...reference !== undefined && { reference },
    loss: (_, batch) => loss(batch),
  })
}

/** An objective on texts, without options. */
export function onTexts(loss: (batch: TextBatch) => ObjectiveLoss): AnyPlugin {
  return defineObjective({ name: "mutant", data: "texts", loss: (_, batch) => loss(batch) })
}

/** By how much the log-probability of the preferred text is the greater: `[n, 1]`. */
export function margin({ chosen, rejected }: PairBatch, by = 0.3): Tensor {
  return scale(subtract(sum(chosen.logProbs, [1]), sum(rejected.logProbs, [1])), by)
}

/** The Bradley-Terry loss of a margin: `[n, 1]`. */
export const preference = (margin: Tensor): Tensor => softplus(negate(margin))

/** The loss at which `change` is nothing. */
export const usual = (batch: PairBatch): ObjectiveLoss => ({
  loss: batch.mean(preference(margin(batch))),
})

const weighted = defineObjective({
  name: "weighted",
  options: Schema.Struct({ beta: Schema.Finite }),
  data: "pairs",
  reference: true,
  loss: ({ beta }, batch) => {
    const of = (side: PairBatch["chosen"]) => subtract(sum(side.logProbs, [1]), side.reference!)
    const found = scale(subtract(of(batch.chosen), of(batch.rejected)), beta)
    return { loss: batch.mean(preference(found)), metrics: { margin: batch.mean(found) } }
  },
})

/** By what tests call them. */
export const right: Readonly<Record<string, AnyPlugin | PluginNode>> = {
  "one on pairs": onPairs(usual),
  "one on pairs with a reference": weighted({ beta: 0.2 }),
  "one of means": onPairs((batch) => {
    const mean = ({ logProbs, counts }: PairBatch["chosen"]) => divide(sum(logProbs, [1]), counts)
    const found = subtract(mean(batch.chosen), mean(batch.rejected))
    return { loss: batch.mean(preference(found)), metrics: { margin: batch.mean(found) } }
  }),
  "one on texts": onTexts(({ logProbs, mean }) => ({ loss: mean(negate(logProbs)) })),
}
