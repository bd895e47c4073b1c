import { assert, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { anchored } from "../../../plugins/rewards/_anchors.ts"
import { anyText, PatternProblem } from "../../../plugins/rewards/_expression.ts"
import { parseRegex } from "../../../plugins/rewards/_parse_regex.ts"
import { drawing } from "./_sequences.ts"
import { drawText, matching } from "./_texts.ts"

const expressions: readonly string[] = [
  "",
  "abc",
  "a|b|",
  "a*b+c?",
  "(?:ab){2,3}",
  "(a|b){2}",
  "a{3,}",
  "(?<year>\\d{4})-(?<month>\\d\\d)",
  "[a-c]*?x",
  "[^a-y\\n]{1,3}",
  "[\\w.-]+@[\\w-]+\\.(com|org)",
  ".{2}",
  "\\s\\S",
  "[\\s\\S]{1,2}",
  "\\W\\D",
  "é+|[à-ö]",
  "[🙂-🙄]{2}",
  "\\u{1F642}|\\u00e9|\\x41|\\cJ|\\t|\\0",
  "\\uD83D\\uDE42",
  "\\p{Lu}\\p{Ll}*",
  "\\P{Script=Latin}",
  "[\\p{Nd}\\-_]+",
  "^abc$",
  "^(a|^b)c|d$",
  "(^|a)b($|c)",
  "((a*)*b)*",
  "(a|ab)(c|bcd)",
  "a{0}b{0,0}",
  "[]a|b",
  "[^]",
  "[a-]|[-z]",
  "\\/\\{\\}\\[\\]\\(\\)",
]

/** Texts near those that match: with a character more, less or other. */
function altered(text: string, letters: readonly string[], draw: (count: number) => number) {
  const own = [...text]
  const at = draw(own.length + 1)
  own.splice(at, draw(2), ...draw(2) === 0 ? [] : [letters[draw(letters.length)]])
  return own.join("")
}

describe("a regular expression", () => {
  const letters = [..."abcdxyzABé🙂🙁 \n\r-_@.1249\u2028{}[]()\0/;"]

  for (const source of expressions) {
    it(`matches the texts that JavaScript matches: ${source}`, () => {
      const expected = new RegExp(`^(?:${source})$`, "u")
      const expression = anchored(parseRegex(source))
      const matches = matching(expression)
      const draw = drawing(3)
      for (let round = 0; round < 60; round++) {
        const text = drawText(expression, draw)
        assert(expected.test(text), `drawn: ${JSON.stringify(text)}`)
        const near = altered(text, letters, draw)
        assertEquals(matches(near), expected.test(near), JSON.stringify(near))
        const random = Array.from({ length: draw(5) }, () => letters[draw(letters.length)]).join("")
        assertEquals(matches(random), expected.test(random), JSON.stringify(random))
      }
    })

    it(`is found in the texts where JavaScript finds it: ${source}`, () => {
      const expected = new RegExp(source, "u")
      const matches = matching(anchored(parseRegex(source), anyText))
      const draw = drawing(4)
      for (let round = 0; round < 120; round++) {
        const text = Array.from({ length: draw(7) }, () => letters[draw(letters.length)]).join("")
        assertEquals(matches(text), expected.test(text), JSON.stringify(text))
      }
    })
  }

  it("tells every character from the others, whatever its bytes", () => {
    for (const [from, to] of [[0, 0x7f], [0x7f, 0x80], [0x7ff, 0x800], [0xfff, 0x1000]]) {
      const matches = matching(parseRegex(`[\\u{${from.toString(16)}}-\\u{${to.toString(16)}}]`))
      for (const point of [from - 1, from, to, to + 1].filter((point) => point >= 0)) {
        assertEquals(matches(String.fromCodePoint(point)), from <= point && point <= to, `${point}`)
      }
    }
    const edges = ["\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"]
    const matches = matching(parseRegex("[\\ud7ff-\\u{10000}]"))
    assertEquals(edges.map(matches), [true, true, true, true, false])
  })

  it("is refused with its position where it cannot be read", () => {
    const problems: Record<string, string> = {
      "ab(": '"(" is never closed, at position 2',
      "a)": '")" closes no group: write "\\)", at position 1',
      "x[a-": '"[" is never closed, at position 1',
      "*a": '"*" has nothing to repeat: write "\\*" for the character, at position 0',
      "a**": '"*" has nothing to repeat: write "\\*" for the character, at position 2',
      "^*": '"*" has nothing to repeat, at position 0',
      "a{": '"{" stands alone: write "\\{" for the character, at position 1',
      "a{3,2}": 'the numbers of "{3,2}" are out of order, at position 0',
      "[z-a]": "the ends of a range are out of order, at position 1",
      "[\\d-z]": "a range has a character at both ends, at position 1",
      "\\q": '"\\q" stands for nothing, at position 0',
      "\\p{Nonsense}": '"\\p{Nonsense}" names no Unicode property, at position 0',
      "\\u{110000}": '"\\u{110000}" is beyond the last character, \\u{10ffff}, at position 0',
      "ab\\": '"\\" stands for nothing, at position 2',
    }
    for (const [source, message] of Object.entries(problems)) {
      const error = assertThrows(() => parseRegex(source), PatternProblem)
      assert(error.message.startsWith(message), `${source}: ${error.message}`)
      assertThrows(() => new RegExp(source, "u"))
    }
  })

  it("is refused by name where no automaton can do it", () => {
    const problems: Record<string, string> = {
      "a(?=b)": 'lookahead "(?=" is not supported: say what the text is instead, at position 1',
      "a(?!b)": 'lookahead "(?!"',
      "(?<=a)b": 'lookbehind "(?<="',
      "(?<!a)b": 'lookbehind "(?<!"',
      "(a)\\1": 'the backreference "\\1" is not supported, at position 3',
      "(?<n>a)\\k<n>": 'the backreference "\\k"',
      "\\bword": 'the word boundary "\\b" is not supported, at position 0',
      "(?i:a)": '"(?" begins no group that is supported: expected "(?:" or "(?<name>"',
      "a^b": '"^" at position 1 may only stand where the text begins',
      "(a$)b": '"$" at position 2 may only stand where the text ends',
      "(^a)*": '"^" at position 1',
    }
    for (const [source, message] of Object.entries(problems)) {
      const error = assertThrows(() => anchored(parseRegex(source)), PatternProblem)
      assert(error.message.startsWith(message), `${source}: ${error.message}`)
    }
  })
})
