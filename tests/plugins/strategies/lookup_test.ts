import { assert, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { lookUp } from "../../../plugins/strategies/_lookup.ts"

/** What follows "ids" by their letters. */
const after = (text: string, count: number): string =>
  lookUp([...text].map((letter) => letter.charCodeAt(0)), count)
    .map((code) => String.fromCharCode(code)).join("")

describe("looking up what came next before", () => {
  it("finds what followed the last tokens where they stood before", () => {
    assertEquals(after("abcdef__abc", 3), "def")
    assertEquals(after("xyabc!xy", 6), "abc!xy")
  })

  it("takes the latest of several places", () => {
    assertEquals(after("abcd 1 abcd 2 abcd", 2), " 2")
  })

  it("takes the longest match first, however old it is", () => {
    assertEquals(after("wxyz1..yz2..wxyz", 1), "1")
    assertEquals(after("xyz1..yz2..xyz", 1), "1")
    // No more than four tokens are compared: the later of two such places is taken.
    assertEquals(after("vwxyz1..wxyz2..vwxyz", 1), "2")
  })

  it("needs two tokens to recur", () => {
    assertEquals(after("ab.cb", 5), "")
    assertEquals(after("ab.cab", 1), ".")
  })

  it("gives as many as asked for, and goes round where it meets the end", () => {
    assertEquals(after("abcdefgh__abc", 2), "de")
    assertEquals(after("ababab", 8), "abababab")
    assertEquals(after("aaaa", 8), "aaaaaaaa")
    assertEquals(after("xyabc!xy", 9), "abc!xyabc")
    assertEquals(after("abcdef__abc", 0), "")
  })

  it("finds nothing at the start, or where nothing recurs", () => {
    for (const text of ["", "a", "aa", "ab", "abcdefgh"]) assertEquals(after(text, 4), "")
  })

  it("agrees with a search by strings", () => {
    const random = randomStream(1)
    let found = 0
    for (let round = 0; round < 500; round++) {
      const size = Math.floor(random.nextUniform() * 24)
      const text = Array.from({ length: size }, () => "abc"[random.nextUint32() % 3]).join("")
      const count = random.nextUint32() % 6
      let expected = ""
      for (let length = Math.min(4, size - 1); length >= 2; length--) {
        const at = text.slice(0, -1).lastIndexOf(text.slice(-length))
        if (at < 0) continue
        const round = text.slice(at + length)
        expected = round.repeat(count).slice(0, count)
        break
      }
      assertEquals(after(text, count), expected, `after "${text}"`)
      if (expected !== "") found++
    }
    assert(found > 200)
  })
})
