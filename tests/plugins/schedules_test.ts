import { assertEquals, assertThrows } from "@std/assert"
import {
  arm,
  defineGraph,
  GenArmError,
  linear,
  live,
  logitBias,
  phases,
  type ScheduleNode,
} from "genarm"
import { describe, it } from "node:test"
import { always, letters, open, watch } from "../decode/_pipelines.ts"

const models = watch({ base: { next: always(...letters.map(() => 1)) } })

/** The weights in force at the first `count` tokens. */
async function weights(weight: ScheduleNode, count: number): Promise<number[]> {
  await using pipeline = await open(models, {
    rewards: { x: { reward: logitBias({ bias: {} }), weight } },
  })
  const { tokens } = await pipeline.generate("a", { maxTokens: count, seed: 1 })
  return tokens.map(({ weights }) => weights.x)
}

describe("linear", () => {
  it("moves evenly, arrives at its last token and stays there", async () => {
    assertEquals(await weights(linear({ from: 1, to: 0, tokens: 4 }), 7), [
      1,
      0.75,
      0.5,
      0.25,
      0,
      0,
      0,
    ])
    assertEquals(await weights(linear({ from: -2, to: 2, tokens: 2 }), 4), [-2, 0, 2, 2])
    assertEquals(await weights(linear({ from: 3, to: 5, tokens: 1 }), 3), [3, 5, 5])
  })
})

describe("phases", () => {
  it("follow each other, and the last one stays, whatever its length", async () => {
    const three = [{ weight: 0, tokens: 2 }, { weight: 2, tokens: 1 }, { weight: -1 }]
    assertEquals(await weights(phases({ phases: three }), 6), [0, 0, 2, -1, -1, -1])
    const short = [{ weight: 1, tokens: 1 }, { weight: 2, tokens: 2 }]
    assertEquals(await weights(phases({ phases: short }), 5), [1, 2, 2, 2, 2])
    assertEquals(await weights(phases({ phases: [{ weight: 4 }] }), 2), [4, 4])
  })
})

describe("live", () => {
  it("is its first value until it is set", async () => {
    const weight = live(0.5)
    assertEquals(weight.value, 0.5)
    assertEquals(await weights(weight, 2), [0.5, 0.5])
    weight.set(-1)
    assertEquals(weight.value, -1)
    assertEquals(await weights(weight, 2), [-1, -1])
  })

  it("takes finite numbers only, and keeps the last of them", () => {
    const weight = live(2)
    for (const wrong of [NaN, Infinity, "1", undefined]) {
      const error = assertThrows(() => weight.set(wrong as never), GenArmError, "finite")
      assertEquals(error.reason._tag, "InvalidOption")
      assertThrows(() => live(wrong as never), GenArmError, "finite")
    }
    assertEquals(weight.value, 2)
  })

  it("is one value for all texts and pipelines that use it", async () => {
    const weight = live(1)
    const rewards = { x: { reward: arm({ model: "base" }), weight } }
    await using one = await open(models, { rewards })
    await using two = await open(models, { rewards: { y: rewards.x } })
    const first = one.stream("a", { maxTokens: 3 })[Symbol.asyncIterator]()
    const second = two.stream("a", { maxTokens: 3 })[Symbol.asyncIterator]()
    assertEquals((await first.next()).value.weights, { x: 1 })
    weight.set(3)
    assertEquals((await second.next()).value.weights, { y: 3 })
    assertEquals((await first.next()).value.weights, { x: 3 })
    await first.return!()
    await second.return!()
  })

  it("may override a weight for one request", async () => {
    await using pipeline = await open(models, {
      rewards: { x: { reward: arm({ model: "base" }), weight: 1 } },
    })
    const weight = live(7)
    const { tokens } = await pipeline.generate("a", { maxTokens: 1, weights: { x: weight } })
    assertEquals(tokens[0].weights, { x: 7 })
  })

  it("stays live in a graph", () => {
    const weight = live(1)
    const graph = defineGraph({
      base: "b",
      rewards: { x: { reward: arm({ model: "m" }), weight } },
    })
    weight.set(4)
    assertEquals((graph.rewards.x.weight as typeof weight).value, 4)
  })
})
