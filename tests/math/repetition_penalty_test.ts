import { assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { penalizeRepeats } from "genarm/math"

describe("penalizeRepeats", () => {
  it("multiplies scores below 0, and divides the others", () => {
    const scores = Float32Array.of(-1, 3, -2, 4, 0, -Infinity)
    penalizeRepeats(scores, [1, 2, 4, 5], 2)
    assertEquals([...scores], [-1, 1.5, -4, 4, 0, -Infinity])
    penalizeRepeats(scores, new Set([1, 2]), 0.5)
    assertEquals([...scores], [-1, 3, -2, 4, 0, -Infinity])
  })

  it("changes nothing with a penalty of 1, no ids, or ids that are not there", () => {
    const scores = Float32Array.of(-1, 3)
    penalizeRepeats(scores, [0, 1], 1)
    penalizeRepeats(scores, [], 7)
    penalizeRepeats(scores, [2, 300], 7)
    assertEquals([...scores], [-1, 3])
  })
})
