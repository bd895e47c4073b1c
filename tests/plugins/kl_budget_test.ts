import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { arm, defineGraph, GenArmError, logitBias, type TokenEvent } from "genarm"
import { logSoftmaxInto, mixInto } from "genarm/math"
import type { ScheduleState } from "genarm/plugin"
import { describe, it } from "node:test"
import { klBudget, type KlBudgetOptions } from "../../plugins/schedules/kl_budget.ts"
import { uniforms } from "../math/_reference.ts"
import { drive, finish } from "../decode/_driven.ts"
import { always, letters, open, watch } from "../decode/_pipelines.ts"

const SIZE = 300

/** A schedule at work on a sequence of no particular tokens. */
function opened(options: KlBudgetOptions, size = SIZE): ScheduleState {
  const none = () => []
  return klBudget.definition.open(klBudget(options).options, {
    vocabularySize: size,
    promptIds: [],
    eos: [],
    token: () => undefined,
    decode: () => "",
    encode: none,
  })
}

/** Random rows of one step: the base's log-probabilities, and a reward's. */
function rowsOf(seed: number, sharpness = 3): { base: Float32Array; scores: Float32Array } {
  const next = uniforms(seed)
  for (let i = 0; i < 10; i++) next()
  const row = (scale: number) => {
    const bell = () => next() + next() + next() - 1.5
    const logits = Float32Array.from({ length: SIZE }, () => bell() * scale)
    logSoftmaxInto(logits, logits)
    return logits
  }
  return { base: row(1 + 5 * next()), scores: row(1 + sharpness * next()) }
}

/** KL(guided || base) of what is mixed, in float64, with both normalised. */
function divergence(base: Float32Array, scores: Float32Array, weight: number): number {
  const guided = new Float32Array(base.length)
  mixInto(base, [scores], [weight], guided)
  const log = (row: Float32Array) => {
    const max = row.reduce((a, b) => Math.max(a, b))
    const sum = row.reduce((total, value) => total + Math.exp(value - max), 0)
    return Array.from(row, (value) => value - max - Math.log(sum))
  }
  const [q, p] = [log(guided), log(base)]
  return q.reduce(
    (sum, value, id) => value === -Infinity ? sum : sum + Math.exp(value) * (value - p[id]),
    0,
  )
}

/** The divergence of each of many tokens over random rows, and the weights. */
function spend(options: KlBudgetOptions, maxTokens = 1000): { nats: number[]; weights: number[] } {
  const schedule = opened(options)
  const nats: number[] = []
  const weights: number[] = []
  for (let position = 0; position < maxTokens; position++) {
    const { base, scores } = rowsOf(position)
    const weight = schedule.weight({ position, maxTokens, lastId: 0, base, scores })
    schedule.accept!(0)
    weights.push(weight)
    nats.push(divergence(base, scores, weight))
  }
  return { nats, weights }
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)

describe("klBudget over 1,000 tokens of random rows", () => {
  for (const budget of [0.001, 0.05, 0.5]) {
    it(`keeps ${budget} nats at each token within 1 %`, () => {
      const { nats, weights } = spend({ budget, most: 1e4 })
      for (const [at, spent] of nats.entries()) {
        assert(spent <= 1.01 * budget && spent >= 0.99 * budget, `token ${at}: ${spent}`)
        assert(weights[at] > 0 && weights[at] < 1e4)
      }
    })
  }

  for (const budget of [1, 40, 300]) {
    it(`keeps ${budget} nats for a text within 1 %`, () => {
      const { nats } = spend({ budget, per: "sequence", most: 1e4 })
      assert(sum(nats) <= 1.01 * budget && sum(nats) >= 0.99 * budget, `${sum(nats)}`)
      // While nothing is left over, each token has the same share.
      for (const spent of nats) assertAlmostEquals(spent, budget / 1000, 0.02 * budget / 1000)
    })
  }

  it("spends what a bound weight leaves on the tokens that come after", () => {
    const budget = 100
    const { nats, weights } = spend({ budget, per: "sequence", most: 0.6 })
    const isBound = weights.map((weight) => weight === 0.6)
    const bound = isBound.filter((is) => is).length
    assert(bound > 100 && bound < 900, `${bound} bound`)
    let left = budget
    nats.forEach((spent, at) => {
      const allowed = left / (1000 - at)
      if (isBound[at]) assert(spent <= 1.001 * allowed)
      else assertAlmostEquals(spent, allowed, 0.002 * allowed)
      left -= spent
    })
    assert(sum(nats) <= 1.01 * budget)
  })
})

describe("klBudget", () => {
  const { base, scores } = rowsOf(5)
  const step = { position: 0, maxTokens: 10, lastId: undefined, base, scores }

  it("gives the most where even that is within the budget, and 0 where there is none", () => {
    assertEquals(opened({ budget: 1e6, most: 2.5 }).weight(step), 2.5)
    assertEquals(opened({ budget: 0, most: 2.5 }).weight(step), 0)
    const flat = { ...step, scores: new Float32Array(SIZE).fill(-3) }
    assertEquals(opened({ budget: 1e-9, most: 7 }).weight(flat), 7)
  })

  it("gives the same whatever constant a reward adds to its scores", () => {
    const shifted = { ...step, scores: scores.map((score) => score + 64) }
    const options = { budget: 0.1, most: 100 }
    assertAlmostEquals(opened(options).weight(shifted), opened(options).weight(step), 1e-3)
  })

  it("is the weight at which the divergence reaches the budget: none larger keeps it", () => {
    for (const budget of [0.01, 0.3, 2]) {
      const weight = opened({ budget, most: 1e3 }).weight(step)
      assert(divergence(base, scores, weight) <= budget * 1.0005)
      assert(divergence(base, scores, weight * 1.001) > budget)
    }
  })

  it("knows two outcomes in closed form", () => {
    // A fair coin tilted to odds e^w: KL = ln 2 - H(p).
    const coin = {
      ...step,
      base: Float32Array.of(Math.log(0.5), Math.log(0.5)),
      scores: Float32Array.of(1, 0),
    }
    for (const p of [0.6, 0.8, 0.99]) {
      const budget = Math.log(2) + p * Math.log(p) + (1 - p) * Math.log(1 - p)
      const weight = opened({ budget, most: 50 }, 2).weight(coin)
      assertAlmostEquals(weight, Math.log(p / (1 - p)), 2e-3)
    }
  })

  it("counts what a reward rules out, and does without it where that alone is too much", () => {
    const chances = [0.5, 0.3, 0.2].map(Math.log)
    const row = Float32Array.from(chances)
    // Without the last: -ln 0.8 = 0.223 nats, at any weight above 0.
    for (const banned of [Float32Array.of(0, 1, -Infinity), Float32Array.of(0, 1)]) {
      const at = (budget: number) =>
        opened({ budget, most: 10 }, banned.length).weight({ ...step, base: row, scores: banned })
      assertEquals(at(0.2), 0)
      const weight = at(0.3)
      assert(weight > 0)
      const [a, b] = [0.5, 0.3 * Math.exp(weight)].map((mass, _, all) => mass / sum([...all]))
      assertAlmostEquals(a * Math.log(a / 0.5) + b * Math.log(b / 0.3), 0.3, 1e-4)
    }
    const nothing = new Float32Array(3).fill(-Infinity)
    assertEquals(
      opened({ budget: 9, most: 1 }, 3).weight({ ...step, base: row, scores: nothing }),
      0,
    )
  })

  it("gives the same weights again", () => {
    const options: KlBudgetOptions = { budget: 5, per: "sequence", most: 3 }
    assertEquals(spend(options, 50), spend(options, 50))
  })

  it("gives a step the same weight to the last bit, whatever it was asked and took back before", () => {
    const options = { budget: 5, per: "sequence", most: 1e4 } as const
    const step = (position: number, seed = position) => ({
      ...{ position, maxTokens: 50, lastId: 0 },
      ...rowsOf(seed),
    })
    const weights = Array.from({ length: 9 }, () => 0)
    const [straight, astray] = [opened(options), opened(options)]
    for (let position = 0; position < 9; position++) {
      weights[position] = straight.weight(step(position))
      straight.accept!(0)
      astray.weight(step(position, 77))
      astray.accept!(0)
      astray.weight(step(position + 1, 78))
      astray.rewind!(1)
      assertEquals(astray.weight(step(position)), weights[position])
      assertEquals(astray.fork!().weight(step(position)), weights[position])
      astray.weight(step(position))
      astray.accept!(0)
    }
  })

  it("refuses a budget or a bound that is none", () => {
    const wrong: [object, string][] = [
      [{ budget: -1, most: 1 }, "budget"],
      [{ budget: Infinity, most: 1 }, "budget"],
      [{ budget: 1, most: 0 }, "most"],
      [{ budget: 1 }, "most"],
      [{ budget: 1, most: 1, per: "text" }, "per"],
    ]
    for (const [options, key] of wrong) {
      const error = assertThrows(() => klBudget(options as never), GenArmError, key)
      assertEquals(error.reason, { _tag: "InvalidOption", path: [key] })
    }
  })
})

describe("klBudget in a text", () => {
  const models = watch({
    base: { next: always(...letters.map((_, id) => 1 + id)) },
    arm: { next: always(...letters.map((_, id) => 10 - id)) },
  })
  const chances = letters.map((_, id) => (1 + id) / 55)

  /** What the guidance of a token cost, by its own trace. */
  function costOf({ top }: TokenEvent): number {
    return sum(
      top!.map(({ id, logprob: { guided } }) =>
        Math.exp(guided) * (guided - Math.log(chances[id]))
      ),
    )
  }

  it("keeps the divergence of the guided distribution, and each reward its own budget", async () => {
    const rewards = {
      x: { reward: arm({ model: "arm" }), weight: klBudget({ budget: 0.1, most: 20 }) },
    }
    await using alone = await open(models, { rewards })
    const request = { maxTokens: 5, seed: 1, trace: { top: 10 } }
    const { tokens } = await alone.generate("a", request)
    for (const token of tokens) assertAlmostEquals(costOf(token), 0.1, 1e-4)
    await using two = await open(models, {
      rewards: { ...rewards, y: { reward: logitBias({ bias: { a: 3 } }), weight: 1 } },
    })
    const beside = await two.generate("a", request)
    assertEquals(beside.tokens[0].weights.x, tokens[0].weights.x)
    assertEquals(beside.tokens[0].weights.y, 1)
  })

  it("has its budget back for tokens that are taken back, and shares it with no copy", async () => {
    const weights: Record<string, number[]> = {}
    const spec = {
      rewards: {
        x: {
          reward: arm({ model: "arm" }),
          weight: klBudget({ budget: 0.5, per: "sequence" as const, most: 0.3 }),
        },
      },
    }
    const text = await drive(models, async (sequence) => {
      for (let i = 0; i < 4; i++) await sequence.step()
      const copy = sequence.fork()
      for (let i = 0; i < 3; i++) await sequence.step()
      sequence.rewind(3)
      await finish(copy)
      weights.copy = [copy.weightSum]
      copy.close()
    }, { spec, maxTokens: 10 })
    const plain = await (async () => {
      await using pipeline = await open(models, spec)
      return await pipeline.generate("a", { maxTokens: 10, seed: 1 })
    })()
    const found = text.tokens.map(({ weights }) => weights.x)
    // The rows are the same at every step, and so is what each token spends.
    assertEquals(found, plain.tokens.map(({ weights }) => weights.x))
    assertEquals(weights.copy, [1 + found[9]])
  })

  it("is saved by its options", () => {
    const weight = klBudget({ budget: 0.1, most: 2 })
    const graph = defineGraph({
      base: "b",
      rewards: { x: { reward: arm({ model: "m" }), weight } },
    })
    assertEquals(JSON.parse(JSON.stringify(graph.rewards.x.weight)), {
      plugin: "klBudget",
      options: { budget: 0.1, most: 2 },
    })
  })
})
