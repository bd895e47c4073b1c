import { assert, assertAlmostEquals } from "@std/assert"
import {
  arm,
  defineStrategy,
  type GraphSpec,
  sampling,
  speculative,
  type SpeculativeOptions,
} from "genarm"
import { describe, it } from "node:test"
import { open, type Table, watch } from "../../decode/_pipelines.ts"
import { deviation, type Drawing, exactTexts } from "./_exact_texts.ts"
import { markov, mostly, product, reversed } from "./_rules.ts"

const vocabulary = ["a", "b", "c", "<end>"]
const [eos, size] = [3, 4]
const [base, kind] = [markov(21, 2, size), markov(22, 2, size)]
const guided = product([base, 1], [kind, 1.3])

const models: Record<string, Table> = Object.fromEntries(
  Object.entries({
    base,
    kind,
    perfect: guided,
    fair: mostly(guided, markov(23, 2, size), 2),
    liar: reversed(guided),
  }).map(([name, next]) => [name, { vocabulary, next, eos: [eos] }]),
)

const spec: Partial<GraphSpec> = {
  rewards: { kind: { reward: arm({ model: "kind" }), weight: 1.3 } },
}
const prompt = [0, 1, 2, 0, 1, 2, 1, 0, 2, 0, 1]
const [maxTokens, samples] = [4, 1_500]

/** How far the texts that a strategy samples are from the guided distribution. */
async function measure(
  strategy: GraphSpec["strategy"] | undefined,
  drawing: Drawing = {},
  seed = 1,
): Promise<number> {
  const watched = watch(models)
  await using pipeline = await open(watched, {
    ...spec,
    sampler: sampling(drawing),
    ...strategy && { strategy },
  })
  const request = { maxTokens, n: samples, seed, trace: "none" as const }
  const texts = await pipeline.generateAll([prompt], request)
  const exact = exactTexts({ rule: guided, drawing, prompt, eos, maxTokens })
  return deviation(texts.map(({ ids }) => ids.join(" ")), exact)
}

/** As rare as one in 10,000. */
const surprising = 3.72

async function holds(...args: Parameters<typeof measure>): Promise<void> {
  const found = await measure(...args)
  assert(found < surprising, `${found} standard deviations from the exact distribution`)
}

/** Costs that make every draft worth it. */
const free = { draft: 0, verify: 0 }

describe("the texts that are enumerated", () => {
  it("have a sum of 1, and plain decoding draws from them", async () => {
    const exact = exactTexts({ rule: guided, drawing: {}, prompt, eos, maxTokens })
    assert(exact.size === 121)
    assertAlmostEquals([...exact.values()].reduce((a, b) => a + b), 1, 1e-9)
    await holds(undefined)
  })
})

describe("speculative texts have the guided distribution", () => {
  const drafts: Record<string, SpeculativeOptions> = {
    "the text itself": { draft: "lookup" },
    "the reward's model": { draft: { model: "kind" } },
    "the base": { draft: {}, most: 2 },
    "a perfect model": { draft: { model: "perfect" } },
    "a fair model": { draft: { model: "fair" }, most: 3 },
    "a model of the opposite": { draft: { model: "liar" }, most: 2 },
    "the reward's model and the base in turns": { draft: { model: "kind" }, alternate: true },
    "a fair model and the base in turns": { draft: { model: "fair" }, most: 1, alternate: true },
  }
  for (const [name, options] of Object.entries(drafts)) {
    it(`drafted by ${name}`, () => holds(speculative({ ...options, costs: free })))
  }

  it("where the length of drafts adapts", async () => {
    await holds(speculative({ draft: { model: "fair" } }))
    await holds(speculative({ draft: { model: "liar" } }))
  })

  const drawings: Record<string, Drawing> = {
    "a low temperature": { temperature: 0.6 },
    "a high temperature": { temperature: 1.7 },
    "top-k": { topK: 2 },
    "top-p": { topP: 0.7 },
    "all of them": { temperature: 1.3, topK: 3, topP: 0.85 },
  }
  for (const [name, drawing] of Object.entries(drawings)) {
    it(
      `with ${name}`,
      () => holds(speculative({ draft: { model: "kind" }, most: 3, costs: free }), drawing),
    )
  }

  it("with all of them, in turns", async () => {
    const strategy = speculative({ draft: { model: "kind" }, alternate: true, costs: free })
    await holds(strategy, drawings["all of them"])
  })
})

/** Drafts of two tokens by a model of the opposite, verified by a rule that may be wrong. */
function byRule(
  isAccepted: (target: number, draft: number, uniform: number) => boolean,
  rest: (target: number, draft: number) => number,
): GraphSpec["strategy"] {
  return defineStrategy({
    name: "byRule",
    sources: () => ({ draft: { model: "liar" } }),
    async *run(_, sequence) {
      const { vocabularySize, models: { draft }, random } = sequence
      const draw = (weights: Float32Array) => {
        let left = random.nextUniform() * weights.reduce((a, b) => a + b)
        return weights.findIndex((weight) => (left -= weight) < 0)
      }
      const target = new Float32Array(vocabularySize)
      while (sequence.ended === undefined) {
        const ids: number[] = []
        const proposed: Float32Array[] = []
        while (ids.length < Math.min(2, sequence.room - 1)) {
          await sequence.preview(ids, { only: draft })
          const row = new Float32Array(vocabularySize)
          draft.logProbs(ids.length, row)
          sequence.probabilities(row, row)
          proposed.push(row)
          ids.push(draw(row))
        }
        let accepted = 0
        for (const [i, id] of ids.entries()) {
          sequence.probabilities(await sequence.evaluate(), target)
          if (isAccepted(target[id], proposed[i][id], random.nextUniform())) {
            sequence.accept(id, 0)
            accepted++
            if (sequence.ended !== undefined) break
            continue
          }
          sequence.accept(draw(target.map((p, id) => rest(p, proposed[i][id]))), 0)
          break
        }
        if (sequence.ended === undefined && accepted === ids.length) await sequence.step()
        yield sequence
      }
    },
  })()
}

describe("the measure of the distribution", () => {
  const [accept, rest] = [
    (target: number, draft: number, uniform: number) => uniform * draft < target,
    (target: number, draft: number) => Math.max(0, target - draft),
  ]

  it("passes the right rule, written anew", () => holds(byRule(accept, rest)))

  it("tells wrong rules", async () => {
    const wrong = {
      "accepts every draft": byRule(() => true, rest),
      "accepts by the target alone": byRule((target, _, uniform) => uniform < target, rest),
      "draws anew from the target": byRule(accept, (target) => target),
      "takes the likelier one only": byRule((target, draft) => draft <= target, rest),
    }
    for (const [name, strategy] of Object.entries(wrong)) {
      const found = await measure(strategy)
      assert(found > 1.5 * surprising, `what ${name} is ${found} standard deviations away`)
    }
  })
})
