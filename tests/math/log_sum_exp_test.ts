import { assertAlmostEquals, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { logSumExp } from "genarm/math"
import { referenceLogSumExp, scoreCases } from "./_reference.ts"

describe("logSumExp", () => {
  it("agrees with a plain float64 loop", () => {
    for (const { name, scores } of scoreCases(2)) {
      assertAlmostEquals(logSumExp(scores), referenceLogSumExp(scores), 5e-7, name)
    }
  })

  it("does not overflow or underflow", () => {
    assertAlmostEquals(logSumExp(Float32Array.of(1e30, 1e30)), Math.fround(1e30), 1e15)
    assertAlmostEquals(logSumExp(Float32Array.of(-5000, -5000)), -5000 + Math.log(2), 1e-7)
    assertAlmostEquals(logSumExp(Float32Array.of(0, -5000)), 0, 1e-12)
  })

  it("moves by the constant added to every score", () => {
    const scores = Float32Array.of(0.5, -1.25, 3)
    const moved = scores.map((score) => score + 64)
    assertAlmostEquals(logSumExp(moved), logSumExp(scores) + 64, 1e-12)
  })

  it("is -Infinity without a score above -Infinity", () => {
    assertEquals(logSumExp(new Float32Array(0)), -Infinity)
    assertEquals(logSumExp(new Float32Array(5).fill(-Infinity)), -Infinity)
  })

  it("is +Infinity with a score of +Infinity", () => {
    assertEquals(logSumExp(Float32Array.of(1, Infinity)), Infinity)
  })

  it("is NaN with any NaN, at every place", () => {
    for (const other of [0, -Infinity, Infinity]) {
      for (let place = 0; place < 5; place++) {
        const scores = new Float32Array(5).fill(other)
        scores[place] = NaN
        assertEquals(logSumExp(scores), NaN)
      }
    }
  })
})
