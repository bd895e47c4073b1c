import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { randomStream } from "../../src/math/random.ts"
import { divideThreads, stepCost } from "../../src/runtime/thread_shares.ts"

const examples = fileURLToPath(new URL("../../examples/models/", import.meta.url))

describe("threads that are divided among models", () => {
  it("are all given away, one to each model at least", () => {
    const random = randomStream(1)
    for (let run = 0; run < 200; run++) {
      const costs = Array.from({ length: 1 + run % 5 }, () => random.nextUniform() * 100)
      const threads = 1 + Math.floor(random.nextUniform() * 12)
      const shares = divideThreads(costs, threads)
      assert(shares.every((share) => share >= 1))
      const given = shares.reduce((sum, share) => sum + share, 0)
      assertEquals(given, Math.max(threads, costs.length))
    }
  })

  it("make the slowest model as fast as any division could", () => {
    const random = randomStream(2)
    const slowest = (costs: readonly number[], shares: readonly number[]) =>
      Math.max(...costs.map((cost, i) => cost / shares[i]))
    for (let run = 0; run < 100; run++) {
      const costs = [1, 2, 3].map(() => 0.1 + random.nextUniform())
      const threads = 3 + Math.floor(random.nextUniform() * 8)
      let best = Infinity
      for (let a = 1; a <= threads - 2; a++) {
        for (let b = 1; a + b <= threads - 1; b++) {
          best = Math.min(best, slowest(costs, [a, b, threads - a - b]))
        }
      }
      assertEquals(slowest(costs, divideThreads(costs, threads)), best)
    }
  })

  it("go to the larger model, and evenly to like ones", () => {
    assertEquals(divideThreads([135, 15], 8), [7, 1])
    assertEquals(divideThreads([1, 1], 8), [4, 4])
    assertEquals(divideThreads([9, 1, 1], 2), [1, 1, 1])
  })
})

describe("the cost of a step", () => {
  it("is that of the weights, at their precision, with a little for each further row", async () => {
    const cost = async (name: string, precision: "f32" | "q4", rows = 1) =>
      (await stepCost(`${examples}${name}`, precision, rows))!
    const base = await cost("base", "f32")
    assert(base > 2_755_008)
    assert(await cost("cheerful-small", "f32") < 0.6 * base)
    assert(await cost("base", "q4") < 0.8 * base)
    const two = await cost("base", "f32", 2)
    assert(two > base && two < 1.3 * base)
  })

  it("is unknown of a folder that holds no model, and no error yet", async () => {
    assertEquals(await stepCost(`${examples}nothing`, "f32"), undefined)
  })
})
