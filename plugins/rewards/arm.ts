/** @module The autoregressive reward model. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"

/** Options of `arm`. */
export interface ArmOptions {
  /** The folder or hub name of the reward model, any causal language model; the base where absent. */
  readonly model?: string
  /** A branch, tag or commit of a hub model. */
  readonly revision?: string
  /** How its weights are held. */
  readonly weights?: "f32" | "q8" | "q4"
  /**
   * The folder or hub name of a low-rank adapter (PEFT) on that model. One on the base runs as a row
   * beside it, and reads no weights of its own but the adapter's. A model or an adapter must be named.
   */
  readonly adapter?: string
}

/**
 * An autoregressive reward model: a language model trained on preferences, whose log-probability of
 * a text is its reward, `r(x, y) = sum_t log pi_r(y_t | x, y_<t)`. Its weight in a graph is `1/beta`.
 * GenARM, https://arxiv.org/abs/2410.08193.
 *
 * @example
 * ```ts
 * import { arm, defineGraph } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const graph = defineGraph({
 *   base: "./models/base",
 *   rewards: { helpful: { reward: arm({ model: "./models/helpful" }), weight: 1 } },
 * })
 * assertEquals(String(graph), "base + 1.0*helpful")
 * // An adapter that was trained on the base:
 * assertEquals(arm({ adapter: "./adapters/cheerful" }).options, { adapter: "./adapters/cheerful" })
 * ```
 */
export const arm: RewardPlugin<ArmOptions> = defineReward({
  name: "arm",
  options: Schema.Struct({
    model: Schema.optionalKey(Schema.NonEmptyString),
    revision: Schema.optionalKey(Schema.NonEmptyString),
    weights: Schema.optionalKey(Schema.Literals(["f32", "q8", "q4"])),
    adapter: Schema.optionalKey(Schema.NonEmptyString),
  }).check(Schema.makeFilter(({ model, adapter }) =>
    model !== undefined || adapter !== undefined ||
    { path: ["model"], issue: "Expected a model, or an adapter on the base" }
  )),
  sources: (options) => ({ model: options }),
  open: () => ({
    score: (rows, out) => out.set(rows.model),
  }),
})
