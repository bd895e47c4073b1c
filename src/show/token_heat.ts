/**
 * Tokens coloured by a number: green where it is above zero, red where it is below. In a terminal by
 * escape codes, in a notebook as HTML.
 */
import type { TokenEvent } from "../decode/types.ts"

/** How tokens are coloured. */
export interface HeatOptions {
  /** The number of a token, e.g. one of its rewards. */
  readonly value: (token: TokenEvent) => number
  /** The absolute value that has the full colour; 2 (nats) where absent. */
  readonly scale?: number
}

/** What a notebook shows of a value, by MIME type. */
export interface MediaBundle {
  /** What a terminal shows. */
  readonly "text/plain": string
  /** What a page shows. */
  readonly "text/html": string
}

const green = [46, 160, 67] as const
const red = [218, 54, 51] as const

/** The strength, 0 to 1, and colour of a value. */
function heat(value: number, scale: number): { strength: number; color: readonly number[] } {
  const share = Number.isNaN(value) ? 0 : Math.min(1, Math.abs(value) / scale)
  return { strength: share, color: value < 0 ? red : green }
}

/**
 * Text on a coloured ground, for terminals with 24-bit colour.
 *
 * @param text What is painted.
 * @param value Green above zero, red below.
 * @param scale The absolute value that has the full colour.
 *
 * @example
 * ```ts
 * import { paint } from "genarm"
 * import { assertStringIncludes } from "@std/assert"
 *
 * assertStringIncludes(paint(" sunny", 1.5, 2), " sunny")
 * ```
 */
export function paint(text: string, value: number, scale = 2): string {
  const { strength, color } = heat(value, scale)
  if (strength < 0.04) return text
  const ground = color.map((part) => Math.round(part * strength)).join(";")
  // Line breaks are left bare: a coloured ground would run to the right margin.
  return text.split("\n").map((line) =>
    line && `\x1b[48;2;${ground};38;2;255;255;255m${line}\x1b[0m`
  )
    .join("\n")
}

/**
 * A text whose tokens are coloured: `String` gives it for a terminal, a notebook shows it as HTML.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, tableRuntime, tokenHeat } from "genarm"
 * import { assertStringIncludes } from "@std/assert"
 *
 * const runtime = tableRuntime({ yes: { vocabulary: ["yes", "no"], next: () => [0.5, 0.5] } })
 * await using pipeline = await openPipeline(defineGraph({ base: "yes" }), { runtime })
 * const { tokens } = await pipeline.generate("no", { maxTokens: 3, seed: 1 })
 * const picture = tokenHeat(tokens, { value: (token) => token.logprob.guided })
 * assertStringIncludes(picture.toHtml(), "<span")
 * ```
 */
export function tokenHeat(tokens: readonly TokenEvent[], options: HeatOptions): TokenHeat {
  return new TokenHeat(tokens, options)
}

/** Coloured tokens. */
export class TokenHeat {
  readonly #tokens: readonly TokenEvent[]
  readonly #value: (token: TokenEvent) => number
  readonly #scale: number

  /** See `tokenHeat`. */
  constructor(tokens: readonly TokenEvent[], { value, scale = 2 }: HeatOptions) {
    this.#tokens = tokens
    this.#value = value
    this.#scale = scale
  }

  /** For a terminal. */
  toString(): string {
    return this.#tokens.map((token) => paint(token.text, this.#value(token), this.#scale)).join("")
  }

  /** For a page; the number of each token appears when it is pointed at. */
  toHtml(): string {
    const spans = this.#tokens.map((token) => {
      const value = this.#value(token)
      const { strength, color } = heat(value, this.#scale)
      const ground = `rgba(${color.join(",")},${(strength * 0.8).toFixed(2)})`
      return `<span style="background:${ground}" title="${value.toFixed(3)}">${
        escapeHtml(token.text)
      }</span>`
    })
    return `<div style="white-space:pre-wrap;line-height:1.6">${spans.join("")}</div>`
  }

  /** For a notebook. */
  [Symbol.for("Jupyter.display")](): MediaBundle {
    return {
      "text/plain": this.#tokens.map(({ text }) => text).join(""),
      "text/html": this.toHtml(),
    }
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
}
