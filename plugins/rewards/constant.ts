/** @module The same score for every token. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"

/** Options of `constant`. */
export interface ConstantOptions {
  /** The score of every id. */
  readonly value: number
}

/**
 * The same score for every id. By itself it changes nothing; inside of `union` it is a floor, and
 * inside of `intersection` a ceiling: in formulas `max(mood, 0)` and `min(mood, 2)`.
 *
 * @example
 * ```ts
 * import { constant, contrast, union } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const mood = contrast({ expert: { prefix: "A happy story. " }, amateur: { prefix: "A sad story. " } })
 * // Nothing is held against a token: a reward, never a punishment.
 * assertEquals(union({ of: [mood, constant({ value: 0 })] }).plugin, "union")
 * ```
 */
export const constant: RewardPlugin<ConstantOptions> = defineReward({
  name: "constant",
  options: Schema.Struct({ value: Schema.Finite }),
  open: ({ value }) => ({ score: (_, out) => out.fill(value) }),
})
