import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import {
  contrast,
  defineGraph,
  GenArmError,
  type Generation,
  type GraphSpec,
  speculative,
} from "genarm"
import { describe, it } from "node:test"
import { gumbel } from "../../plugins/samplers/gumbel.ts"
import { sampling } from "../../plugins/samplers/sampling.ts"
import { drive, finish } from "../decode/_driven.ts"
import { always, letters, open, watch } from "../decode/_pipelines.ts"

const chances = [0.2, 0.15, 0.15, 0.13, 0.1, 0.1, 0.08, 0.06, 0.03, 0]
const tilted = chances.map((chance, id) => chance * 1.3 ** id)
const models = watch({ base: { next: always(...chances) }, tilted: { next: always(...tilted) } })

const guided = (weight: number): Partial<GraphSpec> => ({
  rewards: { x: { reward: contrast({ expert: "tilted", amateur: "base" }), weight } },
})

async function generate(spec: Partial<GraphSpec>, seed = 1, maxTokens = 800): Promise<Generation> {
  await using pipeline = await open(models, spec)
  return await pipeline.generate("a", { maxTokens, seed })
}

/** How many of the tokens are the same. */
function agreement(a: Generation, b: Generation): number {
  return a.ids.filter((id, at) => id === b.ids[at]).length / a.ids.length
}

describe("gumbel", () => {
  it("writes each letter as often as sampling does", async () => {
    const count = (texts: readonly Generation[]) => {
      const counts = letters.map(() => 0)
      for (const { ids } of texts) for (const id of ids) counts[id]++
      return counts
    }
    for (const options of [{}, { temperature: 0.7, topP: 0.9 }, { topK: 5, minP: 0.1 }]) {
      const [noisy, plain] = await Promise.all([gumbel, sampling].map(async (plugin, at) => {
        await using pipeline = await open(models, { sampler: plugin(options) })
        const request = { n: 10, seed: 100 * at, maxTokens: 800 }
        return count(await pipeline.generateAll(["a"], request))
      }))
      // Two samples of one distribution: chi-square with at most 8 degrees of freedom, 1 in 10,000.
      let statistic = 0
      for (const id of letters.keys()) {
        const both = noisy[id] + plain[id]
        if (both > 0) statistic += (noisy[id] - plain[id]) ** 2 / both
      }
      assert(statistic < 31.8, `${JSON.stringify(options)}: ${statistic}`)
    }
  })

  it("tells the probability it chose with", async () => {
    const { tokens } = await generate({ sampler: gumbel() }, 2, 100)
    for (const { id, logprob } of tokens) {
      assertAlmostEquals(logprob.sampled, Math.log(chances[id]), 1e-6)
    }
  })

  it("lets texts of neighbouring weights share their luck, and those of two seeds not", async () => {
    const at = (weight: number, seed = 1) =>
      generate({ ...guided(weight), sampler: gumbel() }, seed)
    const [none, little, much, other] = await Promise.all([at(0), at(0.1), at(1), at(0, 2)])
    const chance = chances.reduce((sum, p) => sum + p * p, 0)
    assert(agreement(none, little) > 0.95)
    assert(agreement(none, much) > 0.6 && agreement(none, much) < agreement(none, little))
    assertAlmostEquals(agreement(none, other), chance, 0.05)
  })

  it("shares more luck than sampling with one random number a token", async () => {
    const pair = (plugin: typeof gumbel) =>
      Promise.all([0, 1].map((weight) => generate({ ...guided(weight), sampler: plugin() })))
    const [noisy, plain] = await Promise.all([pair(gumbel), pair(sampling)])
    assert(agreement(noisy[0], noisy[1]) > agreement(plain[0], plain[1]) + 0.1)
  })

  it("gives the same text for the same seed", async () => {
    const spec = { sampler: gumbel({ topK: 6 }) }
    assertEquals(await generate(spec, 3, 60), await generate(spec, 3, 60))
  })

  it("has fresh luck in a copy, and after tokens were taken back", async () => {
    const texts: string[] = []
    await drive(models, async (sequence) => {
      const copy = sequence.fork()
      await finish(copy)
      texts.push(copy.ids.join())
      copy.close()
      for (let i = 0; i < 2; i++) {
        for (let at = 0; at < 30; at++) await sequence.step()
        texts.push(sequence.ids.join())
        sequence.rewind(30)
      }
    }, { spec: { sampler: gumbel() }, maxTokens: 40 })
    assertEquals(new Set(texts).size, 3)
  })

  it("is what speculation draws from too", async () => {
    const strategy = speculative({ draft: "lookup" })
    const { ids } = await generate({ sampler: gumbel({ topK: 3 }), strategy }, 1, 200)
    assertEquals(new Set(ids), new Set([0, 1, 2]))
  })

  it("is saved by name, and takes what sampling takes", () => {
    const spec = { base: "b", sampler: gumbel({ typicalP: 0.9, repetitionPenalty: 1.1 }) }
    assertEquals(JSON.parse(JSON.stringify(defineGraph(spec).sampler)), {
      plugin: "gumbel",
      options: { typicalP: 0.9, repetitionPenalty: 1.1 },
    })
    const wrong: [object, string][] = [
      [{ typicalP: 0 }, "typicalP"],
      [{ typicalP: 1.1 }, "typicalP"],
      [{ repetitionPenalty: 0 }, "repetitionPenalty"],
      [{ repetitionPenalty: NaN }, "repetitionPenalty"],
      [{ temperature: -1 }, "temperature"],
      [{ noise: 1 }, "noise"],
    ]
    for (const [options, key] of wrong) {
      for (const plugin of [gumbel, sampling]) {
        const error = assertThrows(() => plugin(options as never), GenArmError, key)
        assertEquals(error.reason, { _tag: "InvalidOption", path: [key] })
      }
    }
  })
})
