/** @module A reward model of whole texts, asked about unfinished ones. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"
import {
  count,
  inBatches,
  isOneFunction,
  openTextReward,
  type ScoreTexts,
  type TextFunction,
  textFunctionFields,
  textRewardFields,
  type TextRewardOptions,
} from "./_text_scores.ts"

/** Options of `trajectory`. `withPrompt` is true where it is absent. */
export type TrajectoryOptions = TextFunction & TextRewardOptions & {
  /** `"args"`, the default: the reward as it is. `"rad"`: clamped to 0 to 1. */
  readonly form?: "args" | "rad"
  /** How many of the likeliest tokens are scored: 10 for `"args"`, 20 for `"rad"` where absent. */
  readonly candidates?: number
}

const schema = Schema.Struct({
  ...textFunctionFields,
  ...textRewardFields,
  form: Schema.optionalKey(Schema.Literals(["args", "rad"])),
  candidates: Schema.optionalKey(count),
}).check(Schema.makeFilter(isOneFunction))

/** As published: the k of `deeplearning-wisc/args` and of `r-three/RAD`. */
const published = { args: 10, rad: 20 }

/**
 * A reward model that was trained on whole texts, asked about the prompt and the text so far with each
 * of the likeliest tokens added. With the weight `w`, the next token is chosen among the `k` likeliest
 * of the base by
 *
 * - `"args"`: `log pi_base + w * r` (ARGS, https://arxiv.org/abs/2402.01694; its weight is 1.5 in the
 *   paper and 1 in its code, its sampler `greedy()`, or `sampling({ temperature: 0.7 })`),
 * - `"rad"`: `log pi_base + w * min(max(r, 0), 1)` (RAD, https://arxiv.org/abs/2310.09520; its weight,
 *   beta there, is 10 to 50 and more, 30 in its code). A negative weight is what its code calls inverse:
 *   `w * (1 - r)` differs from `-w * r` by a constant.
 *
 * Both papers add to logits, which differ from log-probabilities by a constant too. A reward model
 * judges unfinished texts outside of what it has learnt; `arm` is trained for them, and costs one run a
 * step instead of `k`.
 *
 * @example
 * ```ts
 * import { defineGraph, greedy, trajectory } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const judge = async (texts: readonly string[]) => texts.map((text) => text.includes("please") ? 1 : 0)
 * const graph = defineGraph({
 *   base: "./models/base",
 *   rewards: { polite: { reward: trajectory({ batch: judge, form: "rad" }), weight: 30 } },
 *   sampler: greedy(),
 * })
 * assertEquals(String(graph), "base + 30.0*polite")
 * ```
 */
export const trajectory: RewardPlugin<TrajectoryOptions> = defineReward({
  name: "trajectory",
  options: schema as unknown as Schema.Codec<TrajectoryOptions, TrajectoryOptions>,
  open({ form = "args", candidates = published[form], withPrompt = true, ...options }, sequence) {
    const ask = inBatches(options)
    return openTextReward({
      plugin: "trajectory",
      ask: form === "rad" ? clamped(ask) : ask,
      candidates,
      options: { ...options, withPrompt },
    }, sequence)
  },
})

function clamped(ask: ScoreTexts): ScoreTexts {
  return async (texts) =>
    // What is no number stays what it is, and fails.
    Array.from(await ask(texts) ?? [], (reward) => reward < 0 ? 0 : reward > 1 ? 1 : reward)
}
