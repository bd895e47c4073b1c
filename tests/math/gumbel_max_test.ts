import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { gumbelMax, randomStream } from "genarm/math"

const DRAWS = 40_000

/** Probabilities of some shape, which add up to 1. */
function shaped(size: number, weight: (id: number) => number): Float32Array {
  const weights = Float64Array.from({ length: size }, (_, id) => weight(id))
  const sum = weights.reduce((a, b) => a + b)
  return Float32Array.from(weights, (value) => value / sum)
}

function drawsOf(probabilities: Float32Array, seed: number): number[] {
  const random = randomStream(seed)
  return Array.from({ length: DRAWS }, () => gumbelMax(probabilities, random.nextUniform()))
}

/** Pearson's statistic, and the value that it exceeds once in 10,000 times. */
function chiSquare(counts: readonly number[], expected: readonly number[]): [number, number] {
  const statistic = counts.reduce(
    (sum, count, i) => sum + (count - expected[i]) ** 2 / expected[i],
    0,
  )
  const degrees = counts.length - 1
  // Wilson and Hilferty: the cube root of a chi-square is nearly normal.
  const critical = degrees * (1 - 2 / (9 * degrees) + 3.719 * Math.sqrt(2 / (9 * degrees))) ** 3
  return [statistic, critical]
}

describe("gumbelMax", () => {
  it("draws every id with its probability", () => {
    const cases = [
      shaped(2, (id) => id === 0 ? 0.9 : 0.1),
      shaped(10, (id) => 1 + id),
      shaped(200, () => 1),
      shaped(500, (id) => 1 / (1 + id)),
    ]
    for (const [seed, probabilities] of cases.entries()) {
      const counts = Array.from(probabilities, () => 0)
      for (const id of drawsOf(probabilities, seed)) counts[id]++
      const [statistic, critical] = chiSquare(counts, Array.from(probabilities, (p) => p * DRAWS))
      assert(statistic < critical, `case ${seed}: ${statistic} of ${critical}`)
    }
  })

  it("draws one token independently of the one before", () => {
    const probabilities = shaped(8, (id) => 1 + id % 3)
    const pairs = Array.from({ length: 64 }, () => 0)
    const ids = drawsOf(probabilities, 5)
    for (let i = 1; i < ids.length; i += 2) pairs[ids[i - 1] * 8 + ids[i]]++
    const expected = pairs.map((_, i) => probabilities[i >> 3] * probabilities[i & 7] * DRAWS / 2)
    const [statistic, critical] = chiSquare(pairs, expected)
    assert(statistic < critical, `${statistic} of ${critical}`)
  })

  it("gives rare ids their chance, and impossible ones none", () => {
    const probabilities = shaped(4000, (id) => id % 2 === 0 ? 0 : id === 1 ? 2000 : 1)
    const counts = Array.from(probabilities, () => 0)
    for (const id of drawsOf(probabilities, 6)) counts[id]++
    assert(counts.every((count, id) => id % 2 === 1 || count === 0))
    const possible = counts.filter((_, id) => id % 2 === 1)
    const expected = possible.map((_, i) => probabilities[2 * i + 1] * DRAWS)
    const [statistic, critical] = chiSquare(possible, expected)
    assert(statistic < critical, `${statistic} of ${critical}`)
  })

  it("agrees between two distributions as often as the theory of shared noise says", () => {
    const first = shaped(12, (id) => 1 + id)
    for (const tilt of [0.05, 0.3, 1]) {
      const second = shaped(12, (id) => (1 + id) * Math.exp(tilt * Math.sin(id)))
      const [one, two] = [drawsOf(first, 7), drawsOf(second, 7)]
      const agreed = one.filter((id, i) => id === two[i]).length / DRAWS
      // An id wins both where no other beats it in either.
      let exact = 0
      let distance = 0
      for (let i = 0; i < 12; i++) {
        let sum = 0
        for (let j = 0; j < 12; j++) sum += Math.max(first[j] / first[i], second[j] / second[i])
        exact += 1 / sum
        distance += Math.abs(first[i] - second[i]) / 2
      }
      assertAlmostEquals(agreed, exact, 0.012)
      assert(exact >= (1 - distance) / (1 + distance) - 1e-6)
    }
  })

  it("asks for relative sizes only, and one id has no rival", () => {
    const probabilities = shaped(50, (id) => 1 + id % 7)
    const larger = probabilities.map((p) => p * 1024)
    assertEquals(drawsOf(larger, 8), drawsOf(probabilities, 8))
    for (const uniform of [0, 0.5, 1 - 2 ** -53]) {
      assertEquals(gumbelMax(Float32Array.of(0, 0, 1e-30), uniform), 2)
    }
  })

  it("refuses what it cannot draw with", () => {
    for (const uniform of [-1, 1, NaN]) {
      assertThrows(() => gumbelMax(Float32Array.of(1), uniform), RangeError, "from 0 to below 1")
    }
    for (const none of [[], [0, 0], [NaN]]) {
      assertThrows(() => gumbelMax(Float32Array.from(none), 0.5), RangeError, "found none")
    }
  })

  it("gives the same ids on every engine", () => {
    const probabilities = shaped(1000, (id) => 1 / (1 + id % 97))
    assertEquals(drawsOf(probabilities, 9).slice(0, 12), IDS)
  })
})

const IDS = [214, 489, 197, 991, 295, 432, 201, 777, 680, 488, 783, 420]
