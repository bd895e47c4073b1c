/** @module A weight that moves along half a cosine. */
import { Schema } from "effect"
import { defineSchedule, type SchedulePlugin } from "genarm/plugin"

/** Options of `cosine`. */
export interface CosineOptions {
  /** The weight of the first token. */
  readonly from: number
  /** The weight that is reached, and kept. */
  readonly to: number
  /**
   * Tokens over which it moves: token number `tokens` (counted from 0) is the first to have `to`. Where
   * absent, the last token that may be written is.
   */
  readonly tokens?: number
}

/**
 * A weight that moves from `from` to `to` along half a cosine, slowly at both ends:
 * `from + (to - from) * (1 - cos(pi * position / tokens)) / 2`.
 *
 * @example
 * ```ts
 * import { cosine } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const fade = cosine({ from: 1, to: 0 }) // over the whole text
 * assertEquals(fade.options, { from: 1, to: 0 })
 * ```
 */
export const cosine: SchedulePlugin<CosineOptions> = defineSchedule({
  name: "cosine",
  options: Schema.Struct({
    from: Schema.Finite,
    to: Schema.Finite,
    tokens: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  }),
  open: ({ from, to, tokens }) => ({
    weight({ position, maxTokens }) {
      const end = tokens ?? Math.max(1, maxTokens - 1)
      if (position >= end) return to
      return from + (to - from) * squaredSine(position / end)
    },
  }),
})

const TERMS = 12

/**
 * `sin(share * pi/2)^2 = (1 - cos(share * pi)) / 2`, by the Taylor series of the sine: engines differ in
 * the last bit of `Math.cos`, and one seed must not give two texts.
 */
function squaredSine(share: number): number {
  const x = share * Math.PI / 2
  let term = x
  let sum = x
  for (let n = 1; n < TERMS; n++) {
    term *= -x * x / (2 * n * (2 * n + 1))
    sum += term
  }
  return sum * sum
}
