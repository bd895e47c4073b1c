/**
 * From the text of a formula to what it says. The grammar, with blanks anywhere between its parts:
 *
 *     sum     = [-] product { (+ | -) product }
 *     product = factor { (* | /) factor }
 *     factor  = number | name | schedule | (max | min) "(" sum { "," sum } ")" | "(" sum ")"
 *     schedule = name "(" [ key ":" JSON { "," key ":" JSON } ] ")"
 */
import { FormulaScanner } from "./formula_scanner.ts"
import { asSum, finite, negative, plus, times, type Value } from "./formula_sums.ts"
import { atomSum, constantSum, isConstant, type Sum } from "./formula_terms.ts"

/** Reads a whole formula, or fails with `InvalidFormula` and the position. */
export function readFormula(text: string): Sum {
  const scanner = new FormulaScanner(text)
  const sum = new Parser(scanner).sum()
  if (!scanner.isAtEnd) throw scanner.unexpected("+, -, * or the end")
  return sum
}

class Parser {
  readonly #scanner: FormulaScanner
  readonly #fail = (at: number, what: string) => this.#scanner.error(at, what)

  constructor(scanner: FormulaScanner) {
    this.#scanner = scanner
  }

  sum(): Sum {
    const scanner = this.#scanner
    const start = scanner.at
    let sum = scanner.take("-")
      ? negative(this.#product(), start, this.#fail)
      : asSum(this.#product(), this.#fail)
    while (true) {
      const at = scanner.at
      if (scanner.take("+")) sum = plus(sum, asSum(this.#product(), this.#fail), this.#fail)
      else if (scanner.take("-")) {
        sum = plus(sum, negative(this.#product(), at, this.#fail), this.#fail)
      } else return sum
    }
  }

  #product(): Value {
    let value = this.#factor()
    while (true) {
      const { at } = this.#scanner
      if (this.#scanner.take("*")) value = times(value, this.#factor(), at, this.#fail)
      else if (this.#scanner.take("/")) value = times(value, this.#inverse(), at, this.#fail)
      else return value
    }
  }

  #inverse(): Sum {
    const { at } = this.#scanner
    const divisor = this.#factor()
    if ("schedule" in divisor || !isConstant(divisor) || divisor.constant === 0) {
      throw this.#fail(at, "expected a number other than 0 to divide by")
    }
    return constantSum(1 / divisor.constant)
  }

  #factor(): Value {
    const scanner = this.#scanner
    const { at } = scanner
    if (scanner.take("(")) {
      const sum = this.sum()
      scanner.expect(")")
      return sum
    }
    const number = scanner.match(/(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?/iuy)
    if (number !== undefined) return constantSum(finite(Number(number), at, this.#fail))
    const name = scanner.match(/\p{L}[\p{L}\p{N}_-]*/uy)
    if (name === undefined) throw scanner.unexpected("a reward's name, a number or a bracket")
    const isCall = scanner.sees("(")
    if (isCall && (name === "max" || name === "min")) return this.#choice(name, at)
    if (isCall) return { schedule: { plugin: name, options: this.#options() }, at }
    return name === "base" ? { ...constantSum(0), base: 1, baseAt: at } : atomSum({ name, at })
  }

  #choice(choose: "max" | "min", at: number): Sum {
    this.#scanner.expect("(")
    const of: Sum[] = []
    do {
      const start = this.#scanner.at
      const sum = this.sum()
      if (sum.base !== 0) {
        throw this.#fail(sum.baseAt, `base cannot stand inside ${choose}: choose among rewards`)
      }
      if ([...sum.terms.values()].some(({ schedule }) => schedule !== undefined)) {
        throw this.#fail(start, `a schedule cannot stand inside ${choose}: multiply all of it`)
      }
      of.push(sum)
    } while (this.#scanner.take(","))
    this.#scanner.expect(")")
    if (of.length < 2) throw this.#fail(at, `expected two sums or more to take the ${choose} of`)
    if (of.every(isConstant)) {
      return constantSum(Math[choose](...of.map(({ constant }) => constant)))
    }
    return atomSum({ choose, of, at })
  }

  #options(): Record<string, unknown> {
    const scanner = this.#scanner
    const options = new Map<string, unknown>()
    scanner.expect("(")
    if (scanner.take(")")) return {}
    do {
      const { at } = scanner
      const key = scanner.match(/[\p{L}_][\p{L}\p{N}_-]*/uy) ??
        scanner.match(/"(?:[^"\\]|\\.)*"/uy)
      if (key === undefined) {
        throw scanner.unexpected("an option, as in linear(from: 1, to: 0, tokens: 9)")
      }
      const name: string = key.startsWith('"') ? this.#unquoted(key, at) : key
      if (options.has(name)) throw this.#fail(at, `the option ${key} stands twice`)
      scanner.expect(":")
      options.set(name, scanner.json())
    } while (scanner.take(","))
    scanner.expect(")")
    return Object.fromEntries(options)
  }

  #unquoted(text: string, at: number): string {
    try {
      return JSON.parse(text)
    } catch {
      throw this.#fail(at, "expected a name in quotes as in JSON")
    }
  }
}
