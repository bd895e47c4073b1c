import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { greedy, sampling, type SamplingOptions } from "genarm"
import { randomStream } from "genarm/math"
import type { SamplerState } from "genarm/plugin"
import { describe, it } from "node:test"
import { always, letters, open, watch } from "../decode/_pipelines.ts"

const chances = [0.2, 0.15, 0.15, 0.13, 0.1, 0.1, 0.08, 0.06, 0.03, 0]
const models = watch({ base: { next: always(...chances) } })

/** The probability with which each id was drawn, of those that were, in many draws. */
async function drawn(options: SamplingOptions, seed = 1): Promise<Map<number, number>> {
  await using pipeline = await open(models, { sampler: sampling(options) })
  const { tokens } = await pipeline.generate("a", { maxTokens: 900, seed })
  return new Map(tokens.map(({ id, logprob }) => [id, Math.exp(logprob.sampled)]))
}

const ids = (found: Map<number, number>) => [...found.keys()].sort((a, b) => a - b)

function assertNormal(found: Map<number, number>): void {
  assertAlmostEquals([...found.values()].reduce((a, b) => a + b), 1, 1e-6)
}

describe("sampling", () => {
  it("draws every id that is possible, with its guided probability", async () => {
    const found = await drawn({})
    assertEquals(ids(found), [0, 1, 2, 3, 4, 5, 6, 7, 8])
    for (const [id, chance] of found) assertAlmostEquals(chance, chances[id], 1e-6)
  })

  it("sharpens or flattens by its temperature", async () => {
    for (const temperature of [0.5, 2]) {
      const found = await drawn({ temperature })
      const powers = chances.map((chance) => chance ** (1 / temperature))
      const sum = powers.reduce((a, b) => a + b)
      for (const [id, chance] of found) assertAlmostEquals(chance, powers[id] / sum, 1e-6)
    }
  })

  it("keeps the likeliest k, and those as likely as the last of them", async () => {
    assertEquals(ids(await drawn({ topK: 1 })), [0])
    const found = await drawn({ topK: 2 })
    assertEquals(ids(found), [0, 1, 2])
    assertNormal(found)
    assertEquals(ids(await drawn({ topK: 100 })).length, 9)
  })

  it("keeps the fewest that reach a share, of equals the lowest id", async () => {
    assertEquals(ids(await drawn({ topP: 0.19 })), [0])
    assertEquals(ids(await drawn({ topP: 0.34 })), [0, 1])
    const found = await drawn({ topP: 0.7 })
    assertEquals(ids(found), [0, 1, 2, 3, 4])
    assertNormal(found)
    assertEquals(ids(await drawn({ topP: 1e-9 })), [0])
  })

  it("keeps what has a share of the likeliest one's chance", async () => {
    assertEquals(ids(await drawn({ minP: 1 })), [0])
    const found = await drawn({ minP: 0.49 })
    assertEquals(ids(found), [0, 1, 2, 3, 4, 5])
    assertNormal(found)
    assertEquals(ids(await drawn({ minP: 0 })).length, 9)
  })

  it("truncates after its temperature", async () => {
    // At 2 the first is 0.152 of all, at 0.25 it is 0.46.
    assertEquals(ids(await drawn({ temperature: 0.25, topP: 0.4 })), [0])
    assert(ids(await drawn({ temperature: 2, topP: 0.4 })).length > 2)
  })

  it("holds for one text at a time: two of one pipeline do not meet", async () => {
    await using pipeline = await open(models, { sampler: sampling({ topK: 4, topP: 0.9 }) })
    const options = { n: 8, seed: 3, maxTokens: 40 }
    const together = await pipeline.generateAll(["a"], options)
    for (const text of together) {
      assertEquals(text, await pipeline.generate("a", { seed: text.seed, maxTokens: 40 }))
    }
  })

  it("gives neighbouring seeds independent draws", async () => {
    // Each pair of neighbours agrees as often as chance has it: sum of squares, about 0.135.
    await using pipeline = await open(models)
    const texts = await pipeline.generateAll(["a"], { n: 40, seed: 0, maxTokens: 200 })
    let same = 0
    for (let i = 1; i < texts.length; i++) {
      same += texts[i].ids.filter((id, at) => id === texts[i - 1].ids[at]).length
    }
    const share = same / (39 * 200)
    const expected = chances.reduce((sum, chance) => sum + chance ** 2, 0)
    assertAlmostEquals(share, expected, 0.015)
  })
})

describe("greedy", () => {
  it("chooses the likeliest, with certainty, whatever the seed", async () => {
    await using pipeline = await open(models, { sampler: greedy() })
    for (const seed of [0, 1, 2]) {
      const { ids, tokens } = await pipeline.generate("a", { maxTokens: 5, seed })
      assertEquals(ids, [0, 0, 0, 0, 0])
      for (const { logprob } of tokens) assertEquals(logprob.sampled, 0)
    }
  })

  it("is what sampling comes to as its temperature falls", async () => {
    assertEquals([...(await drawn({ temperature: 1e-4 }))], [[0, 1]])
    const flat = watch({ base: { next: always(...letters.map(() => 1)) } })
    await using pipeline = await open(flat, { sampler: greedy() })
    assertEquals((await pipeline.generate("b", { maxTokens: 3 })).ids, [0, 0, 0])
  })
})

describe("the probabilities of a sampler", () => {
  const scores = Float32Array.from({ length: 3000 }, (_, id) => 4 * Math.sin(id * id))
  scores[7] = -Infinity
  const options: SamplingOptions[] = [
    {},
    { temperature: 0.5 },
    { topK: 40, topP: 0.9, minP: 0.01 },
    { temperature: 2, temperatureConvention: "modelArithmetic" },
    { typicalP: 0.5 },
    { repetitionPenalty: 1.3, topK: 100 },
  ]
  const open = (given: SamplingOptions): SamplerState =>
    sampling.definition.open(sampling(given).options, {
      vocabularySize: scores.length,
      promptIds: [4, 9],
    })

  it("are those it draws with, and take no random number", () => {
    for (const given of options) {
      const probabilities = new Float32Array(scores.length).fill(NaN)
      const [asked, drawn] = [open(given), open(given)]
      asked.probabilities!({ scores, weightSum: 1.5 }, probabilities)
      const random = randomStream(4)
      for (let i = 0; i < 200; i++) {
        const id = drawn.sample({ scores, weightSum: 1.5, random })
        assert(probabilities[id] > 0)
        assertEquals(asked.logProbability(id), drawn.logProbability(id))
        assertAlmostEquals(Math.log(probabilities[id]), drawn.logProbability(id), 2e-7)
      }
      assertEquals(asked.logNormalizer, drawn.logNormalizer)
      assertAlmostEquals(probabilities.reduce((a, b) => a + b, 0), 1, 1e-6)
    }
  })

  it("are 1 for the choice of a greedy one", () => {
    const sampler = greedy.definition.open({}, { vocabularySize: 4, promptIds: [] })
    const out = new Float32Array(4).fill(NaN)
    sampler.probabilities!({ scores: Float32Array.of(1, 3, -Infinity, 3), weightSum: 1 }, out)
    assertEquals([...out], [0, 1, 0, 0])
    assertEquals([0, 1].map((id) => sampler.logProbability(id)), [-Infinity, 0])
  })

  it("are none where there is nothing to choose", () => {
    const samplers = [greedy.definition.open({}, { vocabularySize: 2, promptIds: [] }), open({})]
    for (const sampler of samplers) {
      const size = sampler === samplers[0] ? 2 : 3000
      for (const score of [NaN, Infinity, -Infinity]) {
        const broken = new Float32Array(size).fill(-1)
        broken[1] = score
        if (score === -Infinity) broken.fill(score)
        const out = new Float32Array(size)
        assertThrows(
          () => sampler.probabilities!({ scores: broken, weightSum: 1 }, out),
          RangeError,
          "at least one above -Infinity",
        )
      }
    }
  })
})
