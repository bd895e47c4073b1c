/** @module A weight that changes at given tokens. */
import { Schema } from "effect"
import { defineSchedule, type SchedulePlugin } from "genarm/plugin"

/** Options of `phases`. */
export interface PhasesOptions {
  /**
   * One phase after the other. The last one goes on to the end, whatever its `tokens`; all before it
   * must say how long they last.
   */
  readonly phases: readonly {
    readonly weight: number
    /** How many tokens it lasts; to the end where absent. */
    readonly tokens?: number
  }[]
}

/**
 * A weight that changes at given tokens.
 *
 * @example
 * ```ts
 * import { phases } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const lateTwist = phases({ phases: [{ weight: 0, tokens: 40 }, { weight: 2 }] })
 * assertEquals(lateTwist.plugin, "phases")
 * ```
 */
export const phases: SchedulePlugin<PhasesOptions> = defineSchedule({
  name: "phases",
  options: Schema.Struct({
    phases: Schema.Array(Schema.Struct({
      weight: Schema.Finite,
      tokens: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    })).check(
      Schema.isMinLength(1),
      Schema.makeFilter((phases) =>
        phases.slice(0, -1).every(({ tokens }) => tokens !== undefined) ||
        "every phase but the last needs `tokens`: what follows one without would never begin"
      ),
    ),
  }),
  open: ({ phases }) => ({
    weight({ position }) {
      let end = 0
      for (const { weight, tokens = Infinity } of phases) {
        end += tokens
        if (position < end) return weight
      }
      return phases[phases.length - 1].weight
    },
  }),
})
