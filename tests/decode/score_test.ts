import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  defineReward,
  GenArmError,
  type Generation,
  type GraphSpec,
  greedy,
  linear,
  prompted,
  type Score,
} from "genarm"
import type { RewardState } from "genarm/plugin"
import { describe, it } from "node:test"
import { letters, open, openTrained, watch, withTrained } from "./_pipelines.ts"

const winding = (salt: number) => (ids: readonly number[]) => {
  const sum = ids.reduce((sum, id, at) => sum + (at + 1) * (id + salt), 0)
  return letters.map((_, id) => 1 + (sum + 3 * id) % 7)
}
const models = watch({ base: { next: winding(1) }, good: { next: winding(4) } })
const rewards: GraphSpec["rewards"] = {
  good: { reward: arm({ model: "good" }), weight: 0.8 },
  away: { reward: arm({ model: "good" }), weight: -0.3, template: "abc{prompt}" },
}

/** Checks that a score says of a text what its generation said. */
function assertSame(score: Score, generation: Generation, tolerance: number): void {
  assertEquals(score.ids, generation.ids)
  assertEquals(score.tokens.length, generation.tokens.length)
  const sums: Record<string, number> = { base: 0, guided: 0 }
  generation.tokens.forEach(({ id, logprob, rewards, weights }, i) => {
    const found = score.tokens[i]
    assertEquals(found.id, id)
    assertEquals(found.weights, weights)
    assertAlmostEquals(found.logprob.base, logprob.base, tolerance)
    assertAlmostEquals(found.logprob.guided, logprob.guided, tolerance)
    assertEquals(Object.keys(found.rewards), Object.keys(rewards))
    for (const name in rewards) {
      assertAlmostEquals(found.rewards[name], rewards[name], tolerance)
      sums[`reward ${name}`] = (sums[`reward ${name}`] ?? 0) + rewards[name]
    }
    sums.base += logprob.base
    sums.guided += logprob.guided
  })
  const many = tolerance * generation.ids.length
  assertAlmostEquals(score.base, sums.base, many)
  assertAlmostEquals(score.guided, sums.guided, many)
  for (const name in score.rewards) {
    assertAlmostEquals(score.rewards[name], sums[`reward ${name}`], many)
  }
}

describe("the score of a text that was generated", () => {
  it("is what its generation told, of any length, by ids and by text", async () => {
    await using pipeline = await open(models, { rewards })
    for (const maxTokens of [1, 2, 31, 32, 33, 64, 65, 100]) {
      const generation = await pipeline.generate("cab", { maxTokens, seed: maxTokens })
      assertSame(await pipeline.score("cab", generation.ids), generation, 1e-9)
      assertSame(await pipeline.score("cab", generation.text), generation, 1e-9)
    }
    assertEquals(models.openCaches(), 0)
  })

  it("is so through templates of the base, and after ids", async () => {
    const base = { model: "base", template: "ab{prompt}ba" }
    await using framed = await open(models, { base, rewards })
    const options = { maxTokens: 40, seed: 3 }
    const generation = await framed.generate("cab", options)
    assertSame(await framed.score("cab", generation.ids), generation, 1e-9)
    assertSame(await framed.score("cab", generation.text), generation, 1e-9)
    await using plain = await open(models, { rewards: { good: rewards!.good } })
    const byIds = await plain.generate([3, 1, 4], options)
    assertSame(await plain.score([3, 1, 4], byIds.text), byIds, 1e-9)
  })

  it("is so under a weight that changes from token to token", async () => {
    const weight = linear({ from: 2, to: -1, tokens: 40 })
    await using pipeline = await open(models, {
      rewards: { good: { reward: arm({ model: "good" }), weight } },
    })
    const generation = await pipeline.generate("a", { maxTokens: 70, seed: 1 })
    assertSame(await pipeline.score("a", generation.ids), generation, 1e-9)
  })

  it("is so for its end token, and whatever the sampler", async () => {
    const ending = watch({
      base: { next: (ids) => letters.map((_, id) => id === ids.length ? 1 : 0.1), eos: [9] },
    })
    await using pipeline = await open(ending, { sampler: greedy() })
    const generation = await pipeline.generate("a")
    assertEquals(generation.ids, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assertSame(await pipeline.score("a", generation.ids), generation, 1e-9)
  })

  it("is so on a trained model", withTrained, async () => {
    await using pipeline = await openTrained({
      rewards: {
        sad: { reward: prompted({ prefix: "Tom was sad. " }), weight: 0.7 },
        dog: { reward: prompted({ prefix: "There was a dog. " }), weight: -0.4 },
      },
      sampler: greedy(),
    })
    for (const prompt of ["Once upon a time", "One day,", ""]) {
      const generation = await pipeline.generate(prompt, { maxTokens: 50 })
      assertSame(await pipeline.score(prompt, generation.ids), generation, 1e-4)
      assertSame(await pipeline.score(prompt, generation.text), generation, 1e-4)
    }
  })
})

describe("the score of a text that is given", () => {
  it("adds up over its parts", async () => {
    await using pipeline = await open(models, { rewards: { good: rewards!.good } })
    const whole = await pipeline.score([0, 1], [2, 3, 4, 5])
    const first = await pipeline.score([0, 1], [2, 3])
    const second = await pipeline.score([0, 1, 2, 3], [4, 5])
    for (
      const value of [(s: Score) => s.base, (s: Score) => s.guided, (s: Score) => s.rewards.good]
    ) {
      assertAlmostEquals(value(first) + value(second), value(whole), 1e-9)
    }
  })

  it("is what a reward gives the text, where it judges texts", async () => {
    const judging = (rest: Partial<RewardState>) =>
      defineReward({
        name: "judging",
        open: () => ({ scoreText: ({ text }) => text.length, ...rest }),
      })
    const reward = judging({})()
    const perToken = judging({ score: (_, out) => void out.fill(0.25) })()
    await using pipeline = await open(models, {
      rewards: {
        ...rewards,
        whole: { reward, weight: 1 },
        both: { reward: perToken, weight: 0 },
      },
    })
    const score = await pipeline.score("ab", "cde")
    assertEquals([score.rewards.whole, score.rewards.both], [3, 3])
    assertEquals(score.tokens.map(({ rewards: { whole, both } }) => [whole, both]), [
      ...Array.from({ length: 3 }, () => [0, 0.25]),
    ])
  })

  it("is nothing for nothing", async () => {
    await using pipeline = await open(models, { rewards })
    for (const nothing of ["", []]) {
      assertEquals(await pipeline.score("a", nothing), {
        ids: [],
        tokens: [],
        base: 0,
        guided: 0,
        rewards: { good: 0, away: 0 },
      })
    }
  })

  it("is minus infinity where a token is impossible, and names no other number", async () => {
    const strict = watch({ base: { next: () => [0, 1, 1] } })
    await using pipeline = await open(strict)
    const { base, guided, tokens } = await pipeline.score("a", "bab")
    assertEquals([base, guided], [-Infinity, -Infinity])
    assertAlmostEquals(tokens[2].logprob.base, Math.log(0.5), 1e-6)
  })

  it(
    "takes the tokens that the whole text has, where the prompt's remain",
    withTrained,
    async () => {
      await using pipeline = await openTrained()
      const whole = await pipeline.score("", "Once upon a time, there was")
      const part = await pipeline.score("Once upon a time", ", there was")
      assertEquals(part.ids, whole.ids.slice(-part.ids.length))
      const spaced = await pipeline.score("Once upon a time, there", " was")
      assertEquals(spaced.ids, whole.ids.slice(-spaced.ids.length))
      // Within a word the tokens are not those of the whole, and yet they are the text.
      const inside = await pipeline.score("Once upon a ti", "me, there was")
      assertEquals(inside.ids.slice(-part.ids.length), part.ids)
      assert(inside.base < part.base)
    },
  )

  it("must fit, and be of ids or text", async () => {
    const small = watch({ base: { next: winding(1), contextLength: 8 } })
    await using pipeline = await open(small)
    assertEquals((await pipeline.score("abc", "abcdef")).ids.length, 6)
    const wrong: readonly (readonly [unknown, string])[] = [
      ["abcdefg", "7 tokens long, and 6 fit"],
      [[1, 10], "found 10 at position 1"],
      [[-1], "found -1"],
      [[0.5], "found 0.5"],
      [["a"], "found a"],
      ["?", "no token for"],
      [undefined, "text or token ids"],
      [7, "text or token ids"],
    ]
    for (const [continuation, part] of wrong) {
      const error = await assertRejects(
        () => pipeline.score("abc", continuation as never),
        GenArmError,
        part,
      )
      assertEquals(error.reason, { _tag: "InvalidPrompt" })
    }
    assertEquals(small.openCaches(), 0)
  })
})
