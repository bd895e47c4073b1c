/** @module A weight that moves evenly from one value to another. */
import { Schema } from "effect"
import { defineSchedule, type SchedulePlugin } from "genarm/plugin"

/** Options of `linear`. */
export interface LinearOptions {
  /** The weight of the first token. */
  readonly from: number
  /** The weight that is reached, and kept. */
  readonly to: number
  /** Tokens over which it moves: token number `tokens` (counted from 0) is the first to have `to`. */
  readonly tokens: number
}

/**
 * A weight that moves evenly from `from` to `to` over `tokens` tokens, and stays there.
 *
 * @example
 * ```ts
 * import { linear } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const fade = linear({ from: 1, to: 0, tokens: 50 })
 * assertEquals(fade.options, { from: 1, to: 0, tokens: 50 })
 * ```
 */
export const linear: SchedulePlugin<LinearOptions> = defineSchedule({
  name: "linear",
  options: Schema.Struct({
    from: Schema.Finite,
    to: Schema.Finite,
    tokens: Schema.Int.check(Schema.isGreaterThan(0)),
  }),
  open: ({ from, to, tokens }) => ({
    weight: ({ position }) => from + (to - from) * Math.min(1, position / tokens),
  }),
})
