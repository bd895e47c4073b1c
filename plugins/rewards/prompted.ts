/** @module A model under another context, as a reward. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"

/** Options of `prompted`. */
export interface PromptedOptions {
  /** Text before the prompt; before a conversation it becomes part of the system message. */
  readonly prefix: string
  /** The model; the base itself where absent, which then reads its weights once for both. */
  readonly model?: string
  /** A low-rank adapter on that model. */
  readonly adapter?: string
}

/**
 * The log-probabilities of a model that has read something first, as in language model arithmetic
 * (https://arxiv.org/abs/2311.14479). A positive weight pulls towards what the prefix suggests, a
 * negative one away from it. It needs a text prompt or a conversation, not token ids.
 *
 * @example
 * ```ts
 * import { defineGraph, prompted } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const graph = defineGraph({
 *   base: "./models/base",
 *   rewards: { sad: { reward: prompted({ prefix: "This is a sad story. " }), weight: -0.5 } },
 * })
 * assertEquals(String(graph), "base - 0.5*sad")
 * ```
 */
export const prompted: RewardPlugin<PromptedOptions> = defineReward({
  name: "prompted",
  options: Schema.Struct({
    prefix: Schema.NonEmptyString,
    model: Schema.optionalKey(Schema.NonEmptyString),
    adapter: Schema.optionalKey(Schema.NonEmptyString),
  }),
  sources: (options) => ({ model: options }),
  open: () => ({
    score: (rows, out) => out.set(rows.model),
  }),
})
