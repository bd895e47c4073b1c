import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { entropy, klDivergence, logSoftmaxInto } from "genarm/math"
import { type ScoreCase, scoreCases, SIZES } from "./_reference.ts"

function logSoftmax({ scores }: ScoreCase): Float32Array {
  const out = new Float32Array(scores.length)
  logSoftmaxInto(scores, out)
  return out
}

describe("klDivergence", () => {
  it("agrees with a plain float64 loop", () => {
    const cases = scoreCases(4).filter(({ name }) => !name.startsWith("excluded"))
    for (let i = 1; i < cases.length; i++) {
      if (cases[i].scores.length !== cases[i - 1].scores.length) continue
      const logP = logSoftmax(cases[i - 1])
      const logQ = logSoftmax(cases[i])
      let expected = 0
      for (let v = 0; v < logP.length; v++) expected += Math.exp(logP[v]) * (logP[v] - logQ[v])
      const tolerance = 1e-8 * (1 + Math.abs(expected))
      assertAlmostEquals(klDivergence(logP, logQ), expected, tolerance, cases[i].name)
    }
  })

  it("is 0 between a distribution and itself, and positive otherwise", () => {
    const cases = scoreCases(5)
    for (const one of cases) assertEquals(klDivergence(logSoftmax(one), logSoftmax(one)), 0)
    const wide = cases.find(({ name }) => name === `wide scores of size ${SIZES[6]}`)!
    const level = cases.find(({ name }) => name === `level scores of size ${SIZES[6]}`)!
    assert(klDivergence(logSoftmax(wide), logSoftmax(level)) > 0.1)
    assert(klDivergence(logSoftmax(level), logSoftmax(wide)) > 0.1)
  })

  it("is infinite when P has an id that Q excludes, and not the other way", () => {
    const certain = Float32Array.of(0, -Infinity)
    const even = Float32Array.of(Math.log(0.5), Math.log(0.5))
    assertEquals(klDivergence(even, certain), Infinity)
    assertAlmostEquals(klDivergence(certain, even), Math.log(2), 1e-6)
  })

  it("asks for two distributions of one size", () => {
    assertThrows(
      () => klDivergence(new Float32Array(3), new Float32Array(2)),
      RangeError,
      "one vocabulary, found 3 and 2",
    )
  })
})

describe("entropy", () => {
  it("is the logarithm of the size for level scores", () => {
    for (const size of SIZES) {
      const logP = new Float32Array(size).fill(-Math.log(size))
      assertAlmostEquals(entropy(logP), Math.log(size), 1e-4)
    }
  })

  it("is 0 for a certain id", () => {
    assertEquals(entropy(Float32Array.of(-Infinity, 0, -Infinity)), 0)
  })

  it("agrees with a plain float64 loop", () => {
    for (const one of scoreCases(6)) {
      const logP = logSoftmax(one)
      let expected = 0
      for (const logarithm of logP) {
        if (logarithm > -700) expected -= Math.exp(logarithm) * logarithm
      }
      assertAlmostEquals(entropy(logP), expected, 1e-7, one.name)
    }
  })
})
