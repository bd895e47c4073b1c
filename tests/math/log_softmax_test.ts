import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { logSoftmaxAt, logSoftmaxInto, logSumExp } from "genarm/math"
import { referenceLogSumExp, scoreCases } from "./_reference.ts"

describe("logSoftmaxInto", () => {
  it("agrees with a plain float64 loop to the precision of float32", () => {
    for (const { name, scores } of scoreCases(3)) {
      const out = new Float32Array(scores.length)
      logSoftmaxInto(scores, out)
      const normalizer = referenceLogSumExp(scores)
      for (let v = 0; v < out.length; v++) {
        assertEquals(Math.abs(out[v] - Math.fround(scores[v] - normalizer)) > 1e-4, false, name)
      }
    }
  })

  it("leaves log-probabilities whose exponentials add to 1", () => {
    const out = Float32Array.of(3, -1, 0.25, -Infinity)
    logSoftmaxInto(out, out)
    assertAlmostEquals(logSumExp(out), 0, 1e-6)
    assertEquals(out[3], -Infinity)
  })

  it("asks for an out of the same size", () => {
    assertThrows(
      () => logSoftmaxInto(new Float32Array(3), new Float32Array(4)),
      RangeError,
      "size of the logits, 3, found 4",
    )
  })

  it("refuses logits that have no softmax", () => {
    for (const bad of [[-Infinity, -Infinity], [NaN, 1], [Infinity, 1], []]) {
      const logits = Float32Array.from(bad)
      assertThrows(() => logSoftmaxInto(logits, logits), RangeError, "at least one above -Infinity")
    }
  })
})

describe("logSoftmaxAt", () => {
  it("gives the log-probability of one id", () => {
    const logits = Float32Array.of(1, 2, 3, -Infinity)
    const normalizer = referenceLogSumExp(logits)
    assertAlmostEquals(logSoftmaxAt(logits, 0), 1 - normalizer, 5e-7)
    assertAlmostEquals(logSoftmaxAt(logits, 2), 3 - normalizer, 5e-7)
    assertEquals(logSoftmaxAt(logits, 3), -Infinity)
  })

  it("refuses an id outside the logits", () => {
    for (const id of [-1, 3, 0.5, NaN]) {
      assertThrows(
        () => logSoftmaxAt(new Float32Array(3), id),
        RangeError,
        `an id from 0 to 2, found ${id}`,
      )
    }
  })
})
