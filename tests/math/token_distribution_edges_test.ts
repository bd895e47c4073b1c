import { assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { TokenDistribution } from "genarm/math"

describe("the edges of TokenDistribution", () => {
  it("keeps the lowest of equally likely ids at the border of top-p", () => {
    const level = new Float32Array(1000).fill(-3)
    const distribution = new TokenDistribution(1000).set(level, { temperature: 1, topP: 0.25 })
    assertEquals(distribution.count, 250)
    assertEquals(distribution.draw(1 - 2 ** -53), 249)
    // One id more once the mass of 250 falls short.
    assertEquals(distribution.set(level, { temperature: 1, topP: 0.2501 }).count, 251)
  })

  it("keeps every id tied with the k-th", () => {
    const scores = Float32Array.of(1, 3, 2, 3, 3, 0)
    const distribution = new TokenDistribution(6).set(scores, { temperature: 1, topK: 2 })
    assertEquals([0, 1, 2, 3, 4, 5].filter((id) => distribution.logProbability(id) > -9), [1, 3, 4])
  })

  it("reads the scores and does not keep them", () => {
    const scores = Float32Array.of(1, 2, 3)
    const distribution = new TokenDistribution(3).set(scores, { temperature: 1, topK: 2 })
    const before = [0, 1, 2].map((id) => distribution.logProbability(id))
    scores.fill(NaN)
    assertEquals([0, 1, 2].map((id) => distribution.logProbability(id)), before)
  })

  it("refuses scores that have no distribution, and is unset afterwards", () => {
    const distribution = new TokenDistribution(3).set(new Float32Array(3), { temperature: 1 })
    for (const bad of [[NaN, 1, 2], [1, 2, NaN], [1, Infinity, 2], Array(3).fill(-Infinity)]) {
      assertThrows(
        () => distribution.set(Float32Array.from(bad), { temperature: 1, topK: 2, topP: 0.5 }),
        RangeError,
        "at least one above -Infinity",
      )
      assertThrows(() => distribution.draw(0.5), RangeError, "call set")
    }
    assertThrows(
      () => distribution.set(new Float32Array(4), { temperature: 1 }),
      RangeError,
      "expected 3 scores, found 4",
    )
  })

  it("refuses sizes, ids and uniform numbers out of their range", () => {
    for (const size of [0, -1, 1.5, NaN]) {
      assertThrows(() => new TokenDistribution(size), RangeError, `size of ${size}`)
    }
    const distribution = new TokenDistribution(3)
    assertThrows(() => distribution.logProbability(0), RangeError, "call set")
    assertThrows(() => distribution.count, RangeError, "call set")
    assertThrows(() => distribution.logNormalizer, RangeError, "call set")
    distribution.set(new Float32Array(3), { temperature: 1 })
    for (const uniform of [-0.1, 1, NaN]) {
      assertThrows(() => distribution.draw(uniform), RangeError, `found ${uniform}`)
    }
    for (const id of [-1, 3, 0.5]) {
      assertThrows(() => distribution.logProbability(id), RangeError, `found ${id}`)
    }
  })
})
