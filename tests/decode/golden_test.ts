import { assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert"
import { greedy, type Pipeline, prompted, sampling } from "genarm"
import { readFileSync } from "node:fs"
import { after, before, describe, it } from "node:test"
import { openTrained, trained, withTrained } from "./_pipelines.ts"

/** What a NumPy implementation in float32 computed from the same weights. */
interface Golden {
  readonly greedy_text: string
  readonly cases: readonly {
    readonly prompt: string
    readonly tokens: readonly number[]
    readonly sequence_logprob: number
    readonly next_top8: readonly (readonly [number, number])[]
    readonly greedy_40: readonly number[]
  }[]
}

const golden: Golden = withTrained.skip === undefined
  ? JSON.parse(readFileSync(trained.file("expected.json"), "utf8"))
  : { greedy_text: "", cases: [] }

describe("greedy text of a trained model", withTrained, () => {
  let pipeline: Pipeline
  before(async () => {
    pipeline = await openTrained({ sampler: greedy() })
  })
  after(() => pipeline.close())

  it("is the published one from an empty prompt, to the byte", async () => {
    const { text, ids, stopReason } = await pipeline.generate("", { maxTokens: 200 })
    assertEquals(text, golden.greedy_text)
    assertEquals(ids.length, 200)
    assertEquals(stopReason, "length")
  })

  for (const { prompt, tokens, sequence_logprob, next_top8, greedy_40 } of golden.cases) {
    const name = JSON.stringify(prompt)
    it(`has the reference's ids and probabilities after ${name}`, async () => {
      const { ids, tokens: events } = await pipeline.generate(prompt, {
        maxTokens: 40,
        trace: { top: 8 },
      })
      assertEquals(ids, greedy_40)
      const top = events[0].top!
      assertEquals(top.map(({ id }) => id), next_top8.map(([id]) => id))
      next_top8.forEach(([, expected], i) => {
        assertAlmostEquals(top[i].logprob.base, expected, 1e-4)
        assertAlmostEquals(top[i].logprob.guided, expected, 1e-4)
      })
    })

    it(`has the reference's probability of ${name} itself, by ids and by text`, async () => {
      const byIds = await pipeline.score(tokens.slice(0, 1), tokens.slice(1))
      assertAlmostEquals(byIds.base, sequence_logprob, 1e-4)
      const byText = await pipeline.score("", prompt)
      assertEquals(byText.ids, tokens.slice(1))
      assertAlmostEquals(byText.base, sequence_logprob, 1e-4)
    })
  }
})

// 40 ids with seed 7, the same on Deno and Bun.
const sampledIds = [
  [376, 268, 414, 422, 395, 326, 263, 377, 267, 265, 282, 295, 433, 335, 345, 357, 426, 342, 394],
  [261, 370, 259, 276, 411, 335, 261, 370, 268, 414, 444, 426, 291, 259, 276, 411, 286, 399, 393],
  [426, 326],
].flat()
const sampledText =
  " little boy named Tim went to the park with his mom. They saw a big tree with a " +
  "big box. The tree was very happy. Tim"

describe("sampled text of a trained model", withTrained, () => {
  let pipeline: Pipeline
  before(async () => {
    const dog = prompted({ prefix: "There was a big dog. The dog was happy. " })
    pipeline = await openTrained({
      rewards: {
        dog: { reward: dog, weight: 1.5 },
        sad: { reward: prompted({ prefix: "Tom was sad. " }), weight: -0.5 },
      },
      sampler: sampling({ temperature: 0.9, topK: 40, topP: 0.95 }),
    })
  })
  after(() => pipeline.close())

  it("is the same on every runtime for one seed", async () => {
    const { ids, text, seed } = await pipeline.generate("One day, a", { maxTokens: 40, seed: 7 })
    assertEquals(ids, sampledIds)
    assertEquals(text, sampledText)
    assertEquals(seed, 7)
  })

  it("is the same again, and another for another seed", async () => {
    const once = await pipeline.generate("One day, a", { maxTokens: 40, seed: 7 })
    assertEquals(once.ids, sampledIds)
    const other = await pipeline.generate("One day, a", { maxTokens: 40, seed: 8 })
    assertNotEquals(other.ids, once.ids)
  })

  it("returns a seed of its own that gives the text again", async () => {
    const { ids, seed } = await pipeline.generate("One day, a", { maxTokens: 20 })
    const again = await pipeline.generate("One day, a", { maxTokens: 20, seed })
    assertEquals(again.ids, ids)
  })
})
