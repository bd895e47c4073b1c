import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  defineReward,
  defineSampler,
  GenArmError,
  type GenerateOptions,
  type Generation,
  greedy,
  linear,
  live,
  logitBias,
  type Pipeline,
  prompted,
  type RewardTerm,
  sampling,
} from "genarm"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { always, open, openTrained, watch, withTrained } from "./_pipelines.ts"

const three = { vocabulary: ["a", "b", "c"] }
const base = { ...three, next: always(0.5, 0.3, 0.2) }
const good = { ...three, next: always(0.2, 0.2, 0.6) }
const bad = { ...three, next: always(0.1, 0.7, 0.2) }
const models = watch({ base, good, bad })
const term = (weight: RewardTerm["weight"], model = "good"): RewardTerm => ({
  reward: arm({ model }),
  weight,
})

/** The guided probability of each id at the first token. */
async function guided(pipeline: Pipeline, options: GenerateOptions = {}): Promise<number[]> {
  const { tokens } = await pipeline.generate("a", { maxTokens: 1, trace: { top: 10 }, ...options })
  const out: number[] = []
  for (const { id, logprob } of tokens[0].top!) out[id] = Math.exp(logprob.guided)
  return out
}

/** The probability with which each id was drawn, where all tokens share one distribution. */
function drawn({ tokens }: Generation): number[] {
  const out: number[] = []
  for (const { id, logprob } of tokens) {
    const probability = Math.exp(logprob.sampled)
    assertAlmostEquals(probability, out[id] ?? probability, 1e-12)
    out[id] = probability
  }
  return out
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-6) {
  assertEquals(actual.length, expected.length)
  expected.forEach((value, i) => assertAlmostEquals(actual[i], value, tolerance))
}

/** softmax(log base + sum of weight * log reward), the obvious way. */
function mixture(weighted: readonly (readonly [number, readonly number[]])[]): number[] {
  const [[, first]] = weighted
  const scores = first.map((_, id) =>
    weighted.reduce(
      (sum, [weight, row]) => weight === 0 ? sum : sum + weight * Math.log(row[id]),
      0,
    )
  )
  const max = Math.max(...scores)
  const total = scores.reduce((sum, score) => sum + Math.exp(score - max), 0)
  return scores.map((score) => Math.exp(score - max) / total)
}

describe("the guided distribution", () => {
  it("has the worked numbers for weights 1 and 2", async () => {
    await using once = await open(models, { rewards: { good: term(1) } })
    assertClose(await guided(once), [0.357142857, 0.214285714, 0.428571429])
    await using twice = await open(models, { rewards: { good: term(2) } })
    assertClose(await guided(twice), [0.192307692, 0.115384615, 0.692307692])
  })

  it("is softmax(log base + sum of weight * log reward) for any rows and weights", async () => {
    const random = randomStream(5)
    const row = () => Array.from({ length: 10 }, () => 0.01 + random.nextUniform())
    for (let round = 0; round < 20; round++) {
      const rows = [row(), row(), row()].map((r) => {
        const sum = r.reduce((a, b) => a + b)
        return r.map((x) => x / sum)
      })
      const weights = [6 * random.nextUniform() - 3, 6 * random.nextUniform() - 3]
      const tables = watch({
        base: { next: () => rows[0] },
        x: { next: () => rows[1] },
        y: { next: () => rows[2] },
      })
      await using pipeline = await open(tables, {
        rewards: { x: term(weights[0], "x"), y: term(weights[1], "y") },
      })
      const expected = mixture([[1, rows[0]], [weights[0], rows[1]], [weights[1], rows[2]]])
      assertClose(await guided(pipeline), expected, 1e-5)
    }
  })

  it("is what is told of each token: base, reward, weight and guided fit together", async () => {
    await using pipeline = await open(models, {
      rewards: { good: term(1), bad: term(-0.5, "bad") },
    })
    const { tokens } = await pipeline.generate("a", { maxTokens: 50, seed: 3 })
    const expected = mixture([[1, [0.5, 0.3, 0.2]], [1, [0.2, 0.2, 0.6]], [-0.5, [0.1, 0.7, 0.2]]])
    for (const { id, logprob, rewards, weights } of tokens) {
      assertAlmostEquals(logprob.base, Math.log([0.5, 0.3, 0.2][id]), 1e-6)
      assertAlmostEquals(rewards.good, Math.log([0.2, 0.2, 0.6][id]), 1e-6)
      assertAlmostEquals(rewards.bad, Math.log([0.1, 0.7, 0.2][id]), 1e-6)
      assertEquals(weights, { good: 1, bad: -0.5 })
      assertAlmostEquals(Math.exp(logprob.guided), expected[id], 1e-6)
      assertAlmostEquals(logprob.sampled, logprob.guided, 1e-6)
    }
  })

  it("is the same for one reward and for two copies of half its weight", async () => {
    await using one = await open(models, { rewards: { good: term(1.3) } })
    await using two = await open(models, { rewards: { a: term(0.65), b: term(0.65) } })
    assertClose(await guided(two), await guided(one))
  })

  it("does not depend on the order of the terms", async () => {
    const terms = { x: term(0.7), y: term(-1.2, "bad"), z: term(0.4, "base") }
    const [first, ...others] = await Promise.all(
      [["x", "y", "z"], ["z", "x", "y"], ["y", "z", "x"], ["z", "y", "x"]].map(async (names) => {
        const rewards = Object.fromEntries(
          names.map((name) => [name, terms[name as keyof typeof terms]]),
        )
        await using pipeline = await open(models, { rewards })
        const { ids } = await pipeline.generate("a", { maxTokens: 100, seed: 11 })
        return { probabilities: await guided(pipeline), ids }
      }),
    )
    for (const { probabilities, ids } of others) {
      assertClose(probabilities, first.probabilities)
      assertEquals(ids, first.ids)
    }
  })

  it("does not see a constant that is added to a reward", async () => {
    const shifted = defineReward({
      name: "shifted",
      sources: () => ({ model: { model: "good" } }),
      open: () => ({
        score: ({ model }, out) => model.forEach((score, id) => out[id] = score + 8),
      }),
    })
    await using plain = await open(models, { rewards: { good: term(2) } })
    await using moved = await open(models, { rewards: { good: { reward: shifted(), weight: 2 } } })
    assertClose(await guided(moved), await guided(plain), 1e-6)
    const options = { maxTokens: 100, seed: 5 }
    const [a, b] = [await plain.generate("a", options), await moved.generate("a", options)]
    assertEquals(b.ids, a.ids)
    assertAlmostEquals(b.tokens[0].rewards.good, a.tokens[0].rewards.good + 8, 1e-6)
  })

  it("leaves at zero what the base or a reward rules out, whatever the sign of the weight", async () => {
    const tables = watch({
      base: { ...three, next: always(0, 0.5, 0.5) },
      loves: { ...three, next: always(0.98, 0.01, 0.01) },
      bans: { ...three, next: always(0.5, 0, 0.5) },
    })
    for (const weight of [3, -3]) {
      await using loved = await open(tables, { rewards: { x: term(weight, "loves") } })
      assertEquals((await guided(loved))[0], undefined)
      const { ids } = await loved.generate("b", { maxTokens: 1000, seed: 1 })
      assertEquals(new Set(ids), new Set([1, 2]))
      await using banned = await open(tables, { rewards: { x: term(weight, "bans") } })
      assertEquals((await banned.generate("b", { maxTokens: 100, seed: 1 })).text, "c".repeat(100))
    }
  })

  it("steers away with a negative weight", async () => {
    await using pipeline = await open(models, { rewards: { good: term(-1) } })
    assertClose(await guided(pipeline), mixture([[1, [0.5, 0.3, 0.2]], [-1, [0.2, 0.2, 0.6]]]))
  })
})

describe("a weight of zero", () => {
  const options = { maxTokens: 200, seed: 9 }

  it("leaves the base exact, and the reward scored and told", async () => {
    await using alone = await open(models)
    await using guidedByNone = await open(models, {
      rewards: { good: term(0), bad: term(0, "bad") },
    })
    const expected = await alone.generate("a", options)
    const found = await guidedByNone.generate("a", options)
    assertEquals(found.ids, expected.ids)
    found.tokens.forEach(({ id, logprob, rewards, weights }, i) => {
      assertEquals(logprob, expected.tokens[i].logprob)
      assertEquals(logprob.guided, logprob.base)
      assertAlmostEquals(rewards.good, Math.log([0.2, 0.2, 0.6][id]), 1e-6)
      assertAlmostEquals(rewards.bad, Math.log([0.1, 0.7, 0.2][id]), 1e-6)
      assertEquals(weights, { good: 0, bad: 0 })
    })
  })

  it("does so for a reward that rules ids out, or gives NaN", async () => {
    const broken = defineReward({
      name: "broken",
      open: () => ({ score: (_, out) => out.fill(NaN) }),
    })
    await using alone = await open(models)
    await using pipeline = await open(models, {
      rewards: {
        ban: { reward: logitBias({ bias: { a: "ban" } }), weight: 0 },
        broken: { reward: broken(), weight: 0 },
      },
    })
    const { ids, tokens } = await pipeline.generate("a", options)
    assertEquals(ids, (await alone.generate("a", options)).ids)
    assert(ids.includes(0))
    assertEquals(tokens.find(({ id }) => id === 0)!.rewards.ban, -Infinity)
  })

  it("does so on a trained model", withTrained, async () => {
    const options = { maxTokens: 30, seed: 2 }
    const sad = prompted({ prefix: "This is a sad story. " })
    await using alone = await openTrained()
    await using pipeline = await openTrained({ rewards: { sad: { reward: sad, weight: 0 } } })
    const expected = await alone.generate("Once", options)
    const found = await pipeline.generate("Once", options)
    assertEquals(found.ids, expected.ids)
    // The same batch rows are not the same sums in float32: guided and base still are one number.
    for (const { logprob, rewards } of found.tokens) {
      assertEquals(logprob.guided, logprob.base)
      assert(rewards.sad < 0)
    }
  })
})

describe("the modelArithmetic convention", () => {
  it("at temperature 0.5 with weight 1 is the guided distribution itself", async () => {
    const sampler = sampling({ temperature: 0.5, temperatureConvention: "modelArithmetic" })
    await using pipeline = await open(models, { rewards: { good: term(1) }, sampler })
    const generation = await pipeline.generate("a", { maxTokens: 100, seed: 1 })
    assertClose(drawn(generation), [0.357142857, 0.214285714, 0.428571429])
    const expected = [0.357142857, 0.214285714, 0.428571429]
    for (const { id, logprob } of generation.tokens) {
      assertAlmostEquals(Math.exp(logprob.guided), expected[id], 1e-6)
    }
  })

  it("at T / (1 + sum of weights) is the plain convention at T", async () => {
    for (const [temperature, x, y] of [[1, 1, 2], [0.7, 0.5, -0.4], [1.5, 3, 0]]) {
      const rewards = { x: term(x), y: term(y, "bad") }
      await using plain = await open(models, { rewards, sampler: sampling({ temperature }) })
      await using theirs = await open(models, {
        rewards,
        sampler: sampling({
          temperature: temperature / (1 + x + y),
          temperatureConvention: "modelArithmetic",
        }),
      })
      const options = { maxTokens: 200, seed: 4 }
      const [a, b] = [await plain.generate("a", options), await theirs.generate("a", options)]
      assertEquals(b.ids, a.ids)
      assertClose(drawn(b), drawn(a))
    }
  })

  it("is refused where 1 + the sum of weights is not above zero, and only there", async () => {
    await using pipeline = await open(models, {
      rewards: { x: term(1), y: term(1, "bad") },
      sampler: sampling({ temperatureConvention: "modelArithmetic" }),
    })
    for (const weights of [{ x: -1, y: 0 }, { x: 1, y: -3 }]) {
      const error = await assertRejects(
        () => pipeline.generate("a", { weights, maxTokens: 1 }),
        GenArmError,
        "1 + the sum of weights",
      )
      assertEquals(error.reason._tag, "InvalidOption")
    }
    const { ids } = await pipeline.generate("a", { weights: { x: -1.9, y: 1 }, maxTokens: 5 })
    assertEquals(ids.length, 5)
    assertEquals(models.openCaches(), 0)
  })
})

describe("weights that change", () => {
  it("take effect with the very next token, and with none before", async () => {
    const weight = live(1)
    await using pipeline = await open(models, { rewards: { good: term(weight) } })
    const found: number[] = []
    const probabilities: number[] = []
    for await (const { weights, logprob, id } of pipeline.stream("a", { maxTokens: 6, seed: 1 })) {
      found.push(weights.good)
      const expected = mixture([[1, [0.5, 0.3, 0.2]], [weights.good, [0.2, 0.2, 0.6]]])
      probabilities.push(Math.exp(logprob.guided) - expected[id])
      if (found.length === 2) weight.set(-2)
      if (found.length === 5) weight.set(0)
    }
    assertEquals(found, [1, 1, -2, -2, -2, 0])
    assertClose(probabilities, [0, 0, 0, 0, 0, 0])
  })

  it("of one request override the graph's, by number or by schedule", async () => {
    await using pipeline = await open(models, { rewards: { x: term(1), y: term(2, "bad") } })
    const weightsOf = async (options: GenerateOptions) =>
      (await pipeline.generate("a", { maxTokens: 3, ...options })).tokens.map(({ weights }) =>
        weights
      )
    const [number] = await weightsOf({ weights: { x: -1.5 } })
    assertEquals(number, { x: -1.5, y: 2 })
    const schedule = linear({ from: 1, to: 0, tokens: 2 })
    assertEquals((await weightsOf({ weights: { y: schedule } })).map(({ y }) => y), [1, 0.5, 0])
    assertEquals((await weightsOf({})).at(-1), { x: 1, y: 2 })
    assertClose(
      await guided(pipeline, { weights: { x: 2, y: 0 } }),
      [0.192307692, 0.115384615, 0.692307692],
    )
  })

  it("must name a reward of the graph, and be finite", async () => {
    await using pipeline = await open(models, { rewards: { x: term(1) } })
    const refuse = async (weights: unknown, path: readonly string[], part: string) => {
      const error = await assertRejects(
        () => pipeline.generate("a", { weights: weights as never }),
        GenArmError,
        part,
      )
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    await refuse({ z: 1 }, ["weights", "z"], "the graph has x")
    await refuse({ toString: 1 }, ["weights", "toString"], "the graph has x")
    await refuse({ x: NaN }, ["weights", "x"], "finite")
    await refuse({ x: Infinity }, ["weights", "x"], "finite")
    await refuse({ x: "1" }, ["weights", "x"], "schedule")
    await refuse(
      { x: { plugin: "linear", options: {} } },
      ["weights", "x", "options", "from"],
      "key",
    )
    assertEquals(models.openCaches(), 0)
  })

  it("leave a reward alone that has the name of an object's method", async () => {
    await using pipeline = await open(models, { rewards: { constructor: term(2) } as never })
    assertClose(await guided(pipeline), [0.192307692, 0.115384615, 0.692307692])
  })
})

describe("greedy", () => {
  it("chooses the likeliest token of the guided scores, and of equals the lowest id", async () => {
    const tables = watch({
      base: { next: always(0.1, 0.2, 0.2, 0.2, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05) },
      x: { next: always(0.01, 0.01, 0.3, 0.3, 0.3, 0.01, 0.01, 0.01, 0.02, 0.03) },
    })
    await using alone = await open(tables, { sampler: greedy() })
    assertEquals((await alone.generate("a", { maxTokens: 3 })).text, "bbb")
    await using pipeline = await open(tables, { rewards: { x: term(1, "x") }, sampler: greedy() })
    const { text, tokens } = await pipeline.generate("a", { maxTokens: 3 })
    assertEquals(text, "ccc")
    assertEquals(tokens[0].logprob.sampled, 0)
    assert(tokens[0].logprob.guided < 0)
  })

  it("gives one text whatever the seed", async () => {
    await using pipeline = await open(models, { rewards: { x: term(1) }, sampler: greedy() })
    const [a, b] = await pipeline.generateAll(["a"], { n: 2, seed: 1, maxTokens: 10 })
    assertEquals(a.ids, b.ids)
  })
})

describe("the sum of weights that a sampler is told", () => {
  it("is 1 + those in force at the step", async () => {
    const sums: number[] = []
    const listening = defineSampler({
      name: "listening",
      open: () => ({
        sample: ({ weightSum }) => {
          sums.push(weightSum)
          return 0
        },
        logProbability: () => 0,
      }),
    })
    await using pipeline = await open(models, {
      rewards: { x: term(linear({ from: 0, to: 1, tokens: 2 })), y: term(-0.25, "bad") },
      sampler: listening(),
    })
    await pipeline.generate("a", { maxTokens: 3 })
    assertEquals(sums, [0.75, 1.25, 1.75])
  })
})
