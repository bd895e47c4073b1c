/**
 * A regular expression, read as JavaScript reads it with the flag `u`. What no finite automaton can
 * do (looking around, referring back) is refused by name, and whatever is wrong with its position.
 */
import {
  charactersWith,
  type CodePoints,
  codePoints,
  complement,
  digits,
  lineEnds,
  whiteSpace,
  wordCharacters,
} from "./_code_points.ts"
import { choice, type Expression, oneOf, PatternProblem, repeat, sequence } from "./_expression.ts"

/**
 * Reads a regular expression.
 *
 * @throws {PatternProblem} Where it is none, or asks for what cannot be done.
 */
export function parseRegex(source: string): Expression {
  return new Parser(source).parse()
}

/** Groups that are no groups. */
const lookarounds = ["(?=", "(?!", "(?<=", "(?<!"]

const inLine = complement(lineEnds)

const controlEscapes: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 }

const classEscapes: Readonly<Record<string, CodePoints>> = {
  d: digits,
  D: complement(digits),
  w: wordCharacters,
  W: complement(wordCharacters),
  s: whiteSpace,
  S: complement(whiteSpace),
}

class Parser {
  readonly #source: string
  #at = 0

  constructor(source: string) {
    this.#source = source
  }

  parse(): Expression {
    const whole = this.#disjunction()
    if (this.#at < this.#source.length) throw this.#problem(`")" closes no group: write "\\)"`)
    return whole
  }

  #disjunction(): Expression {
    const options = [this.#alternative()]
    while (this.#takes("|")) options.push(this.#alternative())
    return choice(...options)
  }

  #alternative(): Expression {
    const items: Expression[] = []
    while (this.#at < this.#source.length && !this.#sees("|") && !this.#sees(")")) {
      items.push(this.#quantified())
    }
    return sequence(...items)
  }

  #quantified(): Expression {
    const start = this.#at
    const item = this.#atom()
    const quantifier = this.#match(/[*+?]|\{(\d+)(?:(,)(\d*))?\}/y)
    if (quantifier === undefined) return item
    this.#takes("?") // how much is preferred makes no difference to what matches
    const [sign, least, comma, most] = quantifier
    if (item.type === "anchor") throw this.#problem(`"${sign}" has nothing to repeat`, start)
    if (sign === "*") return repeat(item, 0, Infinity)
    if (sign === "+") return repeat(item, 1, Infinity)
    if (sign === "?") return repeat(item, 0, 1)
    const min = Number(least)
    const max = comma === undefined ? min : most === "" ? Infinity : Number(most)
    if (max < min) throw this.#problem(`the numbers of "${sign}" are out of order`, start)
    return repeat(item, min, max)
  }

  #atom(): Expression {
    const position = this.#at
    for (const opening of lookarounds) {
      if (!this.#sees(opening)) continue
      const name = opening.includes("<") ? "lookbehind" : "lookahead"
      throw this.#problem(`${name} "${opening}" is not supported: say what the text is instead`)
    }
    if (this.#match(/\(\?<[\p{ID_Start}$_][\p{ID_Continue}$]*>|\(\?:/yu)) {
      return this.#group(position)
    }
    if (this.#sees("(?")) {
      throw this.#problem(`"(?" begins no group that is supported: expected "(?:" or "(?<name>"`)
    }
    if (this.#takes("(")) return this.#group(position)
    if (this.#takes("^")) return { type: "anchor", at: "start", position }
    if (this.#takes("$")) return { type: "anchor", at: "end", position }
    if (this.#takes(".")) return oneOf(inLine)
    if (this.#takes("[")) return oneOf(this.#class(position))
    if (this.#sees("\\")) {
      const value = this.#escape(false)
      return oneOf(typeof value === "number" ? single(value) : value)
    }
    const lone = this.#match(/[*+?{}\]]/y)?.[0]
    if (lone !== undefined) {
      const reason = "*+?".includes(lone) ? "has nothing to repeat" : "stands alone"
      throw this.#problem(`"${lone}" ${reason}: write "\\${lone}" for the character`, position)
    }
    return oneOf(single(this.#character()))
  }

  #group(position: number): Expression {
    const inside = this.#disjunction()
    if (!this.#takes(")")) throw this.#problem(`"(" is never closed`, position)
    return inside
  }

  /** What stands between brackets; the first has been read. */
  #class(position: number): CodePoints {
    const isNegated = this.#takes("^")
    const ranges: (readonly [number, number])[] = []
    const unclosed = () => this.#problem(`"[" is never closed`, position)
    while (!this.#takes("]")) {
      if (this.#at >= this.#source.length) throw unclosed()
      const start = this.#at
      const from = this.#classAtom()
      const isRange = this.#sees("-") && !this.#sees("-]")
      if (!isRange) {
        ranges.push(...(typeof from === "number" ? single(from) : from))
        continue
      }
      this.#takes("-")
      if (this.#at >= this.#source.length) throw unclosed()
      const to = this.#classAtom()
      if (typeof from !== "number" || typeof to !== "number") {
        throw this.#problem("a range has a character at both ends", start)
      }
      if (to < from) throw this.#problem("the ends of a range are out of order", start)
      ranges.push([from, to])
    }
    const points = codePoints(ranges)
    return isNegated ? complement(points) : points
  }

  #classAtom(): number | CodePoints {
    return this.#sees("\\") ? this.#escape(true) : this.#character()
  }

  /** What a backslash stands for. */
  #escape(isInClass: boolean): number | CodePoints {
    const start = this.#at++
    const letter = this.#source[this.#at] ?? ""
    if (!isInClass && (letter === "b" || letter === "B")) {
      throw this.#problem(`the word boundary "\\${letter}" is not supported`, start)
    }
    if (!isInClass && /[1-9k]/.test(letter)) {
      throw this.#problem(`the backreference "\\${letter}" is not supported`, start)
    }
    const property = this.#match(/([pP])\{([^}]*)\}/y)
    if (property !== undefined) {
      const points = charactersWith(property[2])
      if (points === undefined) {
        throw this.#problem(`"\\${property[0]}" names no Unicode property`, start)
      }
      return property[1] === "p" ? points : complement(points)
    }
    const pair = this.#match(/u([dD][89abAB][\da-fA-F]{2})\\u([dD][c-fC-F][\da-fA-F]{2})/y)
    if (pair !== undefined) {
      return String.fromCharCode(parseInt(pair[1], 16), parseInt(pair[2], 16)).codePointAt(0)!
    }
    const code = this.#match(/x([\da-fA-F]{2})|u([\da-fA-F]{4})|u\{([\da-fA-F]+)\}/y)
    if (code !== undefined) {
      const point = parseInt(code[1] ?? code[2] ?? code[3], 16)
      if (point <= 0x10ffff) return point
      throw this.#problem(`"\\${code[0]}" is beyond the last character, \\u{10ffff}`, start)
    }
    const control = this.#match(/c([A-Za-z])/y)
    if (control !== undefined) return control[1].charCodeAt(0) % 32
    this.#at++
    if (letter === "0" && /\d/.test(this.#source[this.#at] ?? "")) {
      throw this.#problem(`"\\0" may not be followed by a digit`, start)
    }
    if (isInClass && letter === "b") return 8
    if (Object.hasOwn(classEscapes, letter)) return classEscapes[letter]
    if (Object.hasOwn(controlEscapes, letter)) return controlEscapes[letter]
    if (/^[!-/:-@[-`{-~]$/.test(letter)) return letter.charCodeAt(0)
    throw this.#problem(`"\\${letter}" stands for nothing`, start)
  }

  #character(): number {
    const point = this.#source.codePointAt(this.#at)!
    this.#at += point > 0xffff ? 2 : 1
    return point
  }

  #sees(text: string): boolean {
    return this.#source.startsWith(text, this.#at)
  }

  #takes(text: string): boolean {
    const sees = this.#sees(text)
    if (sees) this.#at += text.length
    return sees
  }

  /** Takes what a sticky expression matches here. */
  #match(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#source) ?? undefined
    if (found !== undefined) this.#at += found[0].length
    return found
  }

  #problem(what: string, position = this.#at): PatternProblem {
    return new PatternProblem(`${what}, at position ${position} of the regular expression`)
  }
}

function single(point: number): CodePoints {
  return codePoints([[point, point]])
}
