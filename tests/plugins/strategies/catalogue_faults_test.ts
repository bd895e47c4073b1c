import { assert, assertEquals, assertRejects } from "@std/assert"
import { arm, defineReward, defineSampler, GenArmError, type GraphSpec } from "genarm"
import { describe, it } from "node:test"
import { beamSearch } from "../../../plugins/strategies/beam_search.ts"
import { bestOfN } from "../../../plugins/strategies/best_of_n.ts"
import { cards } from "../../../plugins/strategies/cards.ts"
import { rain } from "../../../plugins/strategies/rain.ts"
import { reweighted } from "../../../plugins/strategies/reweighted.ts"
import { letters, open, type Table, watch } from "../../decode/_pipelines.ts"
import { markov } from "./_rules.ts"

const size = letters.length
const tables: Record<string, Table> = {
  base: { next: markov(55, 2, size) },
  kind: { next: markov(56, 2, size), contextLength: 9 },
}

const strategies: Record<string, GraphSpec["strategy"] & object> = {
  bestOfN: bestOfN({ n: 3 }),
  beamSearch: beamSearch({ beams: 3 }),
  cards: cards({ by: "kind", target: 0, entropy: 0, least: 2, rejections: 3 }),
  rain: rain({ by: "kind", range: [-3, 0], perToken: true, searches: 4, width: 3, ahead: 1 }),
  reweighted: reweighted({ particles: 4, resample: 1 }),
}

const kind = { reward: arm({ model: "kind" }), weight: 1 }

/** A reward that hears of tokens, and throws once there are four. */
const brittle = defineReward({
  name: "brittle",
  open() {
    const state = (heard: number) => ({
      score(_: unknown, out: Float32Array) {
        if (heard === 4) throw new Error("four")
        out.fill(0)
      },
      accept: () => void heard++,
      fork: () => state(heard),
      rewind: (count: number) => void (heard -= count),
    })
    return state(0)
  },
})

for (const [name, strategy] of Object.entries(strategies)) {
  describe(`the strategy ${name}`, () => {
    it("ends where a context is full, at any prompt, and closes what it has opened", async () => {
      const watched = watch(tables)
      {
        await using pipeline = await open(watched, { rewards: { kind }, strategy })
        for (let length = 1; length <= 9; length++) {
          const prompt = letters.slice(0, length).map((_, id) => id)
          const { ids, stopReason } = await pipeline.generate(prompt, { seed: 1 })
          assertEquals([ids.length, stopReason], [10 - length, "length"])
        }
      }
      assertEquals(watched.openCaches(), 0)
    })

    it("passes on what a reward throws", async () => {
      const watched = watch(tables)
      {
        await using pipeline = await open(watched, {
          rewards: { kind, brittle: { reward: brittle(), weight: 1 } },
          strategy,
        })
        const error = await assertRejects(
          () => pipeline.generate("a", { maxTokens: 7, seed: 1 }),
          GenArmError,
          "four",
        )
        assertEquals(error.reason, { _tag: "PluginFailed", plugin: "brittle" })
      }
      assertEquals(watched.openCaches(), 0)
    })

    it("ends when it is aborted", async () => {
      const controller = new AbortController()
      let calls = 0
      const next = (ids: readonly number[]) => {
        if (++calls === 12) controller.abort("enough")
        return tables.base.next(ids)
      }
      const watched = watch({ ...tables, base: { next } })
      {
        await using pipeline = await open(watched, { rewards: { kind }, strategy })
        const error = await assertRejects(
          () => pipeline.generate("a", { seed: 1, signal: controller.signal }),
          GenArmError,
          "enough",
        )
        assertEquals(error.reason._tag, "Aborted")
      }
      assertEquals(watched.openCaches(), 0)
    })

    it("says so where no token is left", async () => {
      const nothing = defineReward({
        name: "nothing",
        open: () => ({ score: (_, out) => void out.fill(-Infinity) }),
      })
      await using pipeline = await open(watch(tables), {
        rewards: { kind, nothing: { reward: nothing(), weight: 1 } },
        strategy,
      })
      const error = await assertRejects(() => pipeline.generate("a", { seed: 1 }), GenArmError)
      assertEquals(error.reason, { _tag: "NonFiniteScores", term: "base" })
    })

    it("tells its options as data", () => {
      assertEquals(JSON.parse(JSON.stringify(strategy)).plugin, name)
    })
  })
}

describe("a sampler that does not tell its probabilities", () => {
  const first = defineSampler({
    name: "first",
    open: () => ({ sample: () => 0, logProbability: () => 0 }),
  })

  it("is refused by what needs them, and taken by the others", async () => {
    for (const [name, strategy] of Object.entries(strategies)) {
      const spec = { rewards: { kind }, sampler: first(), strategy }
      await using pipeline = await open(watch(tables), spec)
      const text = () => pipeline.generate("a", { maxTokens: 3, seed: 1 })
      if (name === "rain" || name === "reweighted") {
        await assertRejects(text, GenArmError, "probabilities(step, out)")
      } else assert((await text()).ids.length === 3)
    }
  })
})
