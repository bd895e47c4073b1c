import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import {
  defineGraph,
  GenArmError,
  type GraphSpec,
  greedy,
  type PolicyDivergence,
  policyMixture,
  type PolicyMixtureOptions,
  speculative,
} from "genarm"
import { randomStream } from "genarm/math"
import { definition, type RewardDefinition } from "genarm/plugin"
import { describe, it } from "node:test"
import { combineBy } from "../../../plugins/rewards/_divergences.ts"
import { letters, open, watch } from "../../decode/_pipelines.ts"
import { markov } from "../strategies/_rules.ts"
import { scoresOf } from "./_rows.ts"

const divergences: readonly PolicyDivergence[] = [
  "reverseKL",
  "forwardKL",
  "jensenShannon",
  { alpha: 0.25 },
]
const overs = ["text", "token"] as const

const models = () =>
  watch({
    base: { next: markov(1, 2, letters.length) },
    kind: { next: markov(2, 2, letters.length) },
    terse: { next: markov(3, 2, letters.length) },
  })

const of = (kind: number): PolicyMixtureOptions["of"] => ({
  kind: { model: "kind", weight: kind },
  terse: { model: "terse", weight: 1 - kind },
})

const spec = (options: PolicyMixtureOptions, weight = 1): Partial<GraphSpec> => ({
  rewards: { mixture: { reward: policyMixture(options), weight } },
})

/** The distributions of twenty tokens, one after the other. */
async function rowsOf(options: PolicyMixtureOptions): Promise<number[][]> {
  await using pipeline = await open(models(), spec(options))
  const { tokens } = await pipeline.generate("ab", { maxTokens: 20, seed: 3, trace: { top: 10 } })
  return tokens.map(({ top }) => {
    const row: number[] = []
    for (const { id, logprob } of top!) row[id] = logprob.guided
    return row
  })
}

function assertClose(found: readonly number[][], expected: readonly number[][], tolerance = 2e-6) {
  assertEquals(found.length, expected.length)
  found.forEach((row, t) =>
    row.forEach((value, id) => assertAlmostEquals(value, expected[t][id], tolerance))
  )
}

describe("policyMixture", () => {
  it("of one policy is that policy, by whatever divergence", async () => {
    await using pipeline = await open(models(), { base: "kind" })
    const { tokens } = await pipeline.generate("ab", { maxTokens: 20, seed: 3, trace: { top: 10 } })
    const expected = tokens.map(({ top }) => {
      const row: number[] = []
      for (const { id, logprob } of top!) row[id] = logprob.base
      return row
    })
    for (const divergence of divergences) {
      for (const over of overs) {
        assertClose(await rowsOf({ of: of(1), divergence, over }), expected)
        const twice = {
          one: { model: "kind", weight: 0.3 },
          other: { model: "kind", weight: 0.7 },
        }
        assertClose(await rowsOf({ of: twice, divergence, over }), expected)
      }
    }
  })

  it("of the base is the base, and of no weight in the graph too", async () => {
    for (const divergence of divergences) {
      const alone = policyMixture({ of: { base: { weight: 1 } }, divergence })
      await using pipeline = await open(models(), {
        rewards: {
          alone: { reward: alone, weight: 5 },
          none: { reward: policyMixture({ of: of(0.5), divergence }), weight: 0 },
        },
      })
      const { tokens } = await pipeline.generate("ab", { maxTokens: 20, seed: 3 })
      for (const { logprob, rewards } of tokens) {
        assertAlmostEquals(rewards.alone, 0, 1e-6)
        assertAlmostEquals(logprob.guided, logprob.base, 1e-5)
      }
    }
  })

  it("takes the forward KL for an alpha of 1, and comes to the reverse one for small alphas", async () => {
    for (const over of overs) {
      const by = (divergence: PolicyDivergence) => rowsOf({ of: of(0.4), divergence, over })
      assertClose(await by({ alpha: 1 }), await by("forwardKL"))
      assertClose(await by({ alpha: 1e-5 }), await by("reverseKL"), 2e-3)
    }
  })

  it("goes by the reverse KL where nothing is said, over texts and tokens alike", async () => {
    const plain = await rowsOf({ of: of(0.4) })
    for (const over of overs) {
      assertEquals(await rowsOf({ of: of(0.4), divergence: "reverseKL", over }), plain)
    }
  })

  it("gives rewards that sum to the text's own log-ratio to the base", async () => {
    for (const divergence of divergences) {
      const tables = models()
      await using pipeline = await open(tables, spec({ of: of(0.4), divergence }))
      const { ids, tokens } = await pipeline.generate("ab", { maxTokens: 15, seed: 5 })
      const logOf = async (base: string) => {
        await using plain = await open(tables, { base, rewards: {} })
        const scored = await plain.score("ab", ids.map((id) => letters[id]).join(""))
        return scored.tokens.reduce((sum, { logprob }) => sum + logprob.base, 0)
      }
      const [base, kind, terse] = [await logOf("base"), await logOf("kind"), await logOf("terse")]
      const expected = combineBy(divergence)(
        Float64Array.of(kind - base, terse - base),
        Float64Array.of(0.4, 0.6),
      )
      const total = tokens.reduce((sum, { rewards }) => sum + rewards.mixture, 0)
      assertAlmostEquals(total, expected, 2e-5)
    }
  })

  it("goes with the copies of a text, and takes tokens back with it", async () => {
    for (const divergence of divergences) {
      const options = { ...spec({ of: of(0.4), divergence }), sampler: greedy() }
      const texts: string[] = []
      for (const strategy of [undefined, speculative({ draft: { model: "kind" } })]) {
        await using pipeline = await open(models(), { ...options, ...strategy && { strategy } })
        texts.push((await pipeline.generate("ab", { maxTokens: 30 })).text)
      }
      assertEquals(texts[0], texts[1])
      const plugin = policyMixture({ of: of(0.4), divergence })
      const size = 3
      const state = (plugin[definition] as RewardDefinition).open(
        plugin.options,
        { vocabularySize: size } as never,
        {},
      )
      const random = randomStream(7)
      const step = () => {
        const row = () => Float32Array.from({ length: size }, () => Math.log(random.nextUniform()))
        return { base: row(), "of.kind": row(), "of.terse": row() }
      }
      const scores = (of: typeof state, rows: ReturnType<typeof step>) => {
        const out = new Float32Array(size)
        of.score!(rows, out)
        return [...out]
      }
      const [first, second, third] = [step(), step(), step()]
      scores(state, first)
      state.accept?.(1)
      const then = scores(state, second)
      const copy = state.fork?.({}) ?? state
      state.accept?.(2)
      scores(state, third)
      assertEquals(scores(copy, second), then)
      state.rewind?.(1)
      assertEquals(scores(state, second), then)
      copy.accept?.(0)
      assertEquals(scores(state, second), then)
    }
  })

  it("rules out what a policy rules out, or the base, and runs no policy without weight", () => {
    const rows: Record<string, readonly number[]> = {
      base: [-1, -Infinity, -1, -1],
      "of.one": [-1, -1, -Infinity, -2],
      "of.two": [-1, -1, -1, -3],
    }
    for (const divergence of divergences) {
      for (const over of overs) {
        const reward = policyMixture({
          of: {
            one: { model: "one", weight: 0.5 },
            two: { adapter: "two", weight: 0.5 },
            three: { model: "three", weight: 0 },
          },
          divergence,
          over,
        })
        const plugin = reward[definition] as RewardDefinition
        assertEquals(plugin.sources!(reward.options), {
          base: {},
          "of.one": { model: "one" },
          "of.two": { adapter: "two" },
        })
        const found = scoresOf(reward, 4, (name) => Float32Array.from(rows[name]))
        assertEquals(found.slice(0, 3), [0, -Infinity, -Infinity])
        assert(found[3] < -1 && found[3] > -2)
      }
    }
  })

  it("stays a number however far the policies are from the base", () => {
    for (const divergence of divergences) {
      const combine = combineBy(divergence)
      const half = Float64Array.of(0.5, 0.5)
      for (const far of [-3000, -700, -40, -1e-9, 0, 1e-9, 40, 700, 3000]) {
        assertAlmostEquals(
          combine(Float64Array.of(far, far), half),
          far,
          1e-6 + Math.abs(far) * 1e-9,
        )
        const between = combine(Float64Array.of(far, 0), half)
        const slack = 1e-6
        assert(between >= Math.min(far, 0) - slack && between <= Math.max(far, 0) + slack, `${far}`)
      }
      // Where one policy rises, the mixture does.
      let last = -Infinity
      for (let u = -60; u <= 60; u += 0.5) {
        const now = combine(Float64Array.of(u, 0.3), half)
        assert(now > last - 1e-9, `${u}`)
        last = now
      }
    }
  })

  it("refuses weights that do not sum to 1, and divergences that are none", () => {
    const one = { model: "one" }
    for (
      const [options, path, part] of [
        [{ of: { one: { ...one, weight: 0.5 } } }, ["of"], "sum to 1, found the sum 0.5"],
        [{ of: {} }, ["of"], "found the sum 0"],
        [{ of: { one: { ...one, weight: -1 }, two: { weight: 2 } } }, ["of", "one", "weight"], "0"],
        [{ of: { one } }, ["of", "one", "weight"], ""],
        [{ of: { one: { ...one, weight: 1 } }, divergence: "kl" }, ["divergence"], ""],
        [{ of: { one: { ...one, weight: 1 } }, over: "words" }, ["over"], ""],
      ] as const
    ) {
      const error = assertThrows(() => policyMixture(options as never), GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    for (const alpha of [0, -1, 1.5, NaN]) {
      const error = assertThrows(
        () => policyMixture({ of: { one: { ...one, weight: 1 } }, divergence: { alpha } }),
        GenArmError,
      )
      assert(error.reason._tag === "InvalidOption" && error.reason.path[0] === "divergence")
    }
  })

  it("goes through data", () => {
    const rewards = {
      m: { reward: policyMixture({ of: of(0.4), divergence: { alpha: 0.5 } }), weight: 1 },
    }
    const graph = defineGraph({ base: "base", rewards })
    assertEquals(
      JSON.stringify(defineGraph(JSON.parse(JSON.stringify(graph)))),
      JSON.stringify(graph),
    )
  })
})
