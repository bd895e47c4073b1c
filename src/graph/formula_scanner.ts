/** Walking through the text of a formula, part by part; blanks between parts are passed over. */
import { formulaError } from "./formula_error.ts"

/** A place in a text that moves on. */
export class FormulaScanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** The position of the next part; the end of the text where there is none. */
  get at(): number {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++
    return this.#at
  }

  /** Whether all has been read. */
  get isAtEnd(): boolean {
    return this.at >= this.#text.length
  }

  /** Whether the next part begins with the sign. */
  sees(sign: string): boolean {
    return this.#text[this.at] === sign
  }

  /** Passes over the sign, if it is next. */
  take(sign: string): boolean {
    if (!this.sees(sign)) return false
    this.#at++
    return true
  }

  /** Passes over the sign, or fails. */
  expect(sign: string): void {
    if (!this.take(sign)) throw this.unexpected(`"${sign}"`)
  }

  /** Passes over what a sticky pattern finds, if it does here. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  /** Reads a JSON value, which goes on to the comma or bracket that is not its own. */
  json(): unknown {
    const start = this.at
    let depth = 0
    let end = start
    for (; end < this.#text.length; end++) {
      const c = this.#text[end]
      if (depth === 0 && (c === "," || c === ")")) break
      if (c === '"') end = this.#endOfString(end)
      if (c === "[" || c === "{") depth++
      if (c === "]" || c === "}") depth--
    }
    try {
      const value: unknown = JSON.parse(this.#text.slice(start, end))
      this.#at = end
      return value
    } catch {
      throw this.error(start, 'expected a JSON value, such as 0.5, true, "text" or [1, 2]')
    }
  }

  /** The error of a place. */
  error(at: number, what: string): Error {
    return formulaError(this.#text, at, what)
  }

  /** The error of this place, where something else was expected. */
  unexpected(expected: string): Error {
    const [next] = this.#text.slice(this.at)
    const found = next === undefined ? "the end" : JSON.stringify(next)
    return this.error(this.at, `expected ${expected}, found ${found}`)
  }

  /** The last character of the string that begins here. */
  #endOfString(start: number): number {
    const string = /"(?:[^"\\]|\\.)*"/uy
    string.lastIndex = start
    return start + (string.exec(this.#text)?.[0].length ?? this.#text.length) - 1
  }
}
