/** @module A weight that is in force where the base is unsure, or where it is sure. */
import { Schema } from "effect"
import { entropy, fastExp } from "genarm/math"
import { defineSchedule, type SchedulePlugin } from "genarm/plugin"

/** Options of `entropyGated`. */
export interface EntropyGatedOptions {
  /** The weight where the gate is open; 0 where it is closed. */
  readonly weight: number
  /** The entropy of the base's next token at which it opens, in nats: ln 2 = 0.69 is a fair coin. */
  readonly threshold: number
  /**
   * `"above"`, the default: open where the base is unsure, over the threshold. `"below"`: open where it
   * is sure, at the threshold or under it.
   */
  readonly when?: "above" | "below"
  /**
   * Nats over which it opens: the weight times `1 / (1 + e^(-(entropy - threshold) / softness))`, half
   * of it at the threshold. 0, the default, opens it at once.
   */
  readonly softness?: number
}

/**
 * Guides only where the base is unsure of the next token, or only where it is sure: where many tokens
 * would do guidance costs little fluency, and where one must come, such as the end of a word, much.
 *
 * The entropy is that of the base alone, before all rewards, and at temperature 1.
 *
 * @example
 * ```ts
 * import { entropyGated } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const atForks = entropyGated({ weight: 2, threshold: 1, softness: 0.2 })
 * assertEquals(atForks.plugin, "entropyGated")
 * ```
 */
export const entropyGated: SchedulePlugin<EntropyGatedOptions> = defineSchedule({
  name: "entropyGated",
  options: Schema.Struct({
    weight: Schema.Finite,
    threshold: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
    when: Schema.optionalKey(Schema.Literals(["above", "below"])),
    softness: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
  }),
  open: ({ weight, threshold, when = "above", softness = 0 }) => ({
    weight({ base }) {
      const over = entropy(base) - threshold
      if (softness === 0) return over > 0 === (when === "above") ? weight : 0
      return weight / (1 + fastExp((when === "above" ? -over : over) / softness))
    },
  }),
})
