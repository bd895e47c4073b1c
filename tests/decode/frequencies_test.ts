import { assert, assertEquals } from "@std/assert"
import { arm, defineGraph, openPipeline, sampling, type SamplingOptions } from "genarm"
import { tableRuntime } from "genarm/effect"
import { describe, it } from "node:test"
import { letters } from "./_pipelines.ts"

// Tokens do not depend on what precedes them, so that each token is a draw.
const base = [0.2, 0.15, 0.14, 0.13, 0.1, 0.1, 0.08, 0.06, 0.04, 0]
const good = [0.02, 0.02, 0.2, 0.1, 0.3, 0.06, 0.06, 0.04, 0.1, 0.1]
const model = (row: readonly number[]) => ({
  vocabulary: letters,
  next: () => row,
  contextLength: 2_000,
})
const runtime = tableRuntime({ base: model(base), good: model(good) })
const draws = 100_000

/** How often each id came in `draws` tokens. */
async function counts(weight: number, options: SamplingOptions): Promise<number[]> {
  const graph = defineGraph({
    base: "base",
    rewards: { good: { reward: arm({ model: "good" }), weight } },
    sampler: sampling(options),
  })
  await using pipeline = await openPipeline(graph, { runtime, onProgress: () => {} })
  const out = letters.map(() => 0)
  const texts = await pipeline.generateAll(["a"], {
    n: draws / 1_000,
    maxTokens: 1_000,
    seed: 1,
    trace: "none",
  })
  for (const { ids } of texts) for (const id of ids) out[id]++
  return out
}

/** The distribution that is promised, in the obvious way. */
function promised(weight: number, options: SamplingOptions): number[] {
  const { temperature = 1, topK = 10, topP = 1, minP = 0 } = options
  const raw = base.map((p, id) => p === 0 ? 0 : (p * good[id] ** weight) ** (1 / temperature))
  const normal = (row: readonly number[]) => {
    const sum = row.reduce((a, b) => a + b)
    return row.map((p) => p / sum)
  }
  const order = raw.map((_, id) => id).sort((a, b) => raw[b] - raw[a] || a - b)
  const kept = normal(raw.map((p, id) => order.indexOf(id) < topK ? p : 0))
  let sum = 0
  const nucleus = new Set<number>()
  for (const id of order) {
    if (sum >= topP) break
    sum += kept[id]
    nucleus.add(id)
  }
  const cut = normal(kept.map((p, id) => nucleus.has(id) ? p : 0))
  return normal(cut.map((p) => p >= minP * Math.max(...cut) ? p : 0))
}

// What chi-squared exceeds once in a thousand, for 1 to 9 degrees of freedom.
const critical = [10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88]

function chiSquared(found: readonly number[], expected: readonly number[]): number {
  return expected.reduce(
    (sum, p, id) => p === 0 ? sum : sum + (found[id] - draws * p) ** 2 / (draws * p),
    0,
  )
}

const cases: readonly (readonly [string, number, SamplingOptions])[] = [
  ["the base alone", 0, {}],
  ["the base with a reward", 1, {}],
  ["a reward of weight -0.5 at temperature 0.8", -0.5, { temperature: 0.8 }],
  ["a reward of weight 2, the likeliest 4", 2, { topK: 4 }],
  ["a reward of weight 0.7, a share of 0.8 at temperature 1.4", 0.7, {
    temperature: 1.4,
    topP: 0.8,
  }],
  ["a reward, what has 0.3 of the likeliest's chance", 1, { minP: 0.3 }],
  ["a reward, all truncations at once", 1, { temperature: 1.2, topK: 7, topP: 0.9, minP: 0.2 }],
]

describe("a hundred thousand draws", () => {
  for (const [name, weight, options] of cases) {
    it(`of ${name} come as often as promised`, { timeout: 60_000 }, async () => {
      const expected = promised(weight, options)
      const found = await counts(weight, options)
      assertEquals(found.map((n) => n > 0), expected.map((p) => p > 0))
      const freedom = expected.filter((p) => p > 0).length - 1
      assert(
        chiSquared(found, expected) < critical[freedom - 1],
        `chi-squared is ${chiSquared(found, expected)} for ${freedom} degrees of freedom`,
      )
      // The test has the power to tell a neighbouring weight.
      assert(chiSquared(found, promised(weight + 0.1, options)) > 2 * critical[freedom - 1])
    })
  }
})
