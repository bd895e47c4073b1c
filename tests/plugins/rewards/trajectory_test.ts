import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { defineGraph, GenArmError, greedy, sampling } from "genarm"
import { describe, it } from "node:test"
import { trajectory, type TrajectoryOptions } from "../../../plugins/rewards/trajectory.ts"
import { drive, finish } from "../../decode/_driven.ts"
import { always, open, watch } from "../../decode/_pipelines.ts"

/** Twelve tokens; of these the tenth and later are beyond the k of ARGS. */
const vocabulary = [..."abcdefghijkl"]
const falling = vocabulary.map((_, id) => 12 - id)
const models = { base: { vocabulary, next: always(...falling) } }
const total = 78 // 12 + 11 + ... + 1

/** Rewards of the last letter: "k" is the best, and beyond the ten likeliest. */
const worth: Record<string, number> = { a: -2, b: 0.25, c: 0.5, d: 3, k: 50 }
const score = (text: string) => worth[text.at(-1)!] ?? 0

/** The guided probabilities of a step, by letter, and what the reward said. */
async function step(options: TrajectoryOptions, weight: number) {
  await using pipeline = await open(watch(models), {
    rewards: { r: { reward: trajectory(options), weight } },
  })
  const { tokens: [{ top }] } = await pipeline.generate("a", { maxTokens: 1, trace: { top: 12 } })
  return new Map(top!.map(({ text, logprob, rewards }) => [
    text,
    { chance: Math.exp(logprob.guided), reward: rewards.r },
  ]))
}

/** Checks probabilities against those that are proportional to `p e^(w r)`, worked out here. */
function assertTilted(
  found: Map<string, { readonly chance: number }>,
  count: number,
  tilt: (letter: string) => number,
): void {
  assertEquals([...found.keys()].sort(), vocabulary.slice(0, count))
  const masses = vocabulary.slice(0, count).map((letter, id) =>
    falling[id] * Math.exp(tilt(letter))
  )
  const sum = masses.reduce((a, b) => a + b)
  masses.forEach((mass, id) =>
    assertAlmostEquals(found.get(vocabulary[id])!.chance, mass / sum, 2e-6)
  )
}

describe("trajectory in the form of ARGS", () => {
  it("adds w r to the base's scores of its ten likeliest tokens", async () => {
    for (const w of [1.5, 1, 0.4, -1]) {
      assertTilted(await step({ score }, w), 10, (letter) => w * (worth[letter] ?? 0))
    }
    const twelve = await step({ score, form: "args", candidates: 12 }, 1)
    assertTilted(twelve, 12, (letter) => worth[letter] ?? 0)
  })

  it("chooses greedily what its rule does, by hand", async () => {
    // log p + w r: a is log 12 - 2w, b log 11 + w/4, c log 10 + w/2, d log 9 + 3w.
    // 0.03: 2.425, 2.405, 2.318, 2.287; 0.05: 2.385, 2.410, 2.328, 2.347; 0.09: 2.305, 2.420, 2.348, 2.467.
    const choices = { "0": "a", "0.03": "a", "0.05": "b", "0.09": "d", "1.5": "d" }
    for (const [weight, letter] of Object.entries(choices)) {
      await using pipeline = await open(watch(models), {
        rewards: { r: { reward: trajectory({ score }), weight: Number(weight) } },
        sampler: greedy(),
      })
      const { text, tokens } = await pipeline.generate("a", { maxTokens: 2 })
      assertEquals(text, letter + letter, `with the weight ${weight}`)
      assertAlmostEquals(
        tokens[0].logprob.base,
        Math.log(falling[vocabulary.indexOf(letter)] / total),
        1e-6,
      )
    }
  })

  it("draws from the softmax of scores over a temperature of 0.7", async () => {
    await using pipeline = await open(watch(models), {
      rewards: { r: { reward: trajectory({ score }), weight: 1 } },
      sampler: sampling({ temperature: 0.7 }),
    })
    const { tokens } = await pipeline.generate("a", { maxTokens: 40, seed: 8 })
    const power = (letter: string, id: number) =>
      Math.exp((Math.log(falling[id]) + (worth[letter] ?? 0)) / 0.7)
    const sum = vocabulary.slice(0, 10).map(power).reduce((a, b) => a + b)
    for (const { id, logprob } of tokens) {
      assertAlmostEquals(logprob.sampled, Math.log(power(vocabulary[id], id) / sum), 1e-5)
    }
  })
})

describe("trajectory in the form of RAD", () => {
  it("adds beta times the reward, clamped to 0 to 1, on the twenty likeliest", async () => {
    const clamped: Record<string, number> = { a: 0, b: 0.25, c: 0.5, d: 1, k: 1 }
    for (const beta of [2, 10, 30]) {
      const found = await step({ score, form: "rad" }, beta)
      assertTilted(found, 12, (letter) => beta * (clamped[letter] ?? 0))
      for (const [letter, { reward }] of found) assertEquals(reward, clamped[letter] ?? 0)
    }
    const wide = Array.from({ length: 40 }, (_, id) => String.fromCharCode(0x4e00 + id))
    let count = 0
    const batch = (texts: readonly string[]) => texts.map(() => (count = texts.length, 0))
    const reward = trajectory({ batch, form: "rad" })
    await using pipeline = await open(
      watch({ base: { vocabulary: wide, next: () => wide.map(() => 1) } }),
      { rewards: { r: { reward, weight: 30 } } },
    )
    await pipeline.generate(wide[0], { maxTokens: 1 })
    assertEquals(count, 20)
  })

  it("with a negative weight is its inverse form, beta (1 - r)", async () => {
    const clamped: Record<string, number> = { b: 0.25, c: 0.5, d: 1, k: 1 }
    const found = await step({ score, form: "rad" }, -3)
    assertTilted(found, 12, (letter) => 3 * (1 - (clamped[letter] ?? 0)))
  })
})

describe("trajectory", () => {
  it("shows its reward model the prompt and the text, unless told otherwise", async () => {
    for (const withPrompt of [undefined, true, false]) {
      const asked: string[] = []
      const reward = trajectory({
        score: (text) => asked.push(text) && 0,
        candidates: 1,
        ...withPrompt !== undefined && { withPrompt },
      })
      await using pipeline = await open(watch(models), { rewards: { r: { reward, weight: 1 } } })
      await pipeline.generate("cab", { maxTokens: 2 })
      assertEquals(asked, withPrompt === false ? ["a", "aa"] : ["caba", "cabaa"])
    }
  })

  it("gives a whole text the reward of the text", async () => {
    for (const [form, expected] of [["args", 3], ["rad", 1]] as const) {
      const spec = {
        rewards: { r: { reward: trajectory({ score, form }), weight: 50 } },
        sampler: greedy(),
      }
      let totals: unknown
      const prefer = { base: { vocabulary, next: always(1, 1, 1, 2) } }
      const { text } = await drive(watch(prefer), async (sequence) => {
        await finish(sequence)
        totals = await sequence.rewards()
      }, { spec, maxTokens: 3 })
      assertEquals([text, totals], ["ddd", { r: expected }])
    }
  })

  it("fails where its reward model gives no number, clamped or not", async () => {
    for (const form of ["args", "rad"] as const) {
      const wrong = [
        [{ score: () => NaN }, 'the reward "r" gave NaN', "NonFiniteScores"],
        [{ score: () => "0.5" as never }, "gave a score of type string", "PluginFailed"],
        [{ batch: () => [] }, '"trajectory" gave 0 scores for', "PluginFailed"],
        [{ batch: () => undefined as never }, "scores for", "PluginFailed"],
      ] as const
      for (const [options, part, tag] of wrong) {
        const error = await assertRejects(() => step({ ...options, form }, 1), GenArmError, part)
        assertEquals(error.reason._tag, tag)
      }
    }
  })

  it("refuses options that are no options, and cannot be saved", () => {
    for (
      const [options, path] of [
        [{}, ["score"]],
        [{ score, form: "cards" }, ["form"]],
        [{ score, candidates: 1.5 }, ["candidates"]],
        [{ score, batch: () => [] }, ["batch"]],
        [{ score, weight: 1 }, ["weight"]],
      ] as const
    ) {
      const error = assertThrows(() => trajectory(options as never), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    const rewards = { r: { reward: trajectory({ score }), weight: 1.5 } }
    const graph = defineGraph({ base: "base", rewards })
    const error = assertThrows(() => JSON.stringify(graph), GenArmError, "there is a function")
    const path = ["rewards", "r", "reward", "options", "score"]
    assertEquals(error.reason, { _tag: "InvalidGraph", path })
  })
})
