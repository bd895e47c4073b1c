import { assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { checkTruncation, type Truncation } from "genarm/math"

describe("checkTruncation", () => {
  it("accepts the ends of the ranges", () => {
    checkTruncation({ temperature: Number.MIN_VALUE })
    checkTruncation({ temperature: 1e300, topK: 1, topP: 1, minP: 0 })
    checkTruncation({ temperature: 1, topK: 1e6, topP: Number.MIN_VALUE, minP: 1 })
    checkTruncation({ temperature: 1, typicalP: Number.MIN_VALUE })
    checkTruncation({ temperature: 1, typicalP: 1 })
  })

  it("names what is out of its range", () => {
    const refused: [Truncation, string][] = [
      [{ temperature: 0 }, "temperature above 0, found 0"],
      [{ temperature: -1 }, "found -1"],
      [{ temperature: NaN }, "found NaN"],
      [{ temperature: Infinity }, "found Infinity"],
      [{ temperature: 1, topK: 0 }, "topK to be an integer of at least 1, found 0"],
      [{ temperature: 1, topK: 2.5 }, "found 2.5"],
      [{ temperature: 1, topP: 0 }, "topP above 0 and at most 1, found 0"],
      [{ temperature: 1, topP: 1.01 }, "found 1.01"],
      [{ temperature: 1, topP: NaN }, "found NaN"],
      [{ temperature: 1, minP: -0.1 }, "minP from 0 to 1, found -0.1"],
      [{ temperature: 1, minP: 1.5 }, "found 1.5"],
      [{ temperature: 1, typicalP: 0 }, "typicalP above 0 and at most 1, found 0"],
      [{ temperature: 1, typicalP: 1.01 }, "found 1.01"],
      [{ temperature: 1, typicalP: NaN }, "found NaN"],
    ]
    for (const [truncation, part] of refused) {
      assertThrows(() => checkTruncation(truncation), RangeError, part)
    }
  })
})
