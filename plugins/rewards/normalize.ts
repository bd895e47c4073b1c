/** @module A reward brought to a common scale. */
import { Schema } from "effect"
import { logSumExp } from "genarm/math"
import {
  defineReward,
  nodeSchema,
  type PluginNode,
  rewardParts,
  type RewardPlugin,
} from "genarm/plugin"

/** Options of `normalize`. */
export interface NormalizeOptions {
  /** The reward. */
  readonly of: PluginNode<"reward">
  /**
   * `"logSoftmax"`: less the log of the sum of its exponentials, so that it is the log-probabilities of
   * a distribution. `"zScore"`: less its mean, over its standard deviation; both are taken over the ids
   * that it does not rule out, each counted once, and where all of them are alike the score is 0.
   */
  readonly by: "logSoftmax" | "zScore"
}

/**
 * A reward whose scores are brought to a common scale at each token, so that `union`, `intersection`
 * and weights compare like with like. What it rules out stays ruled out.
 *
 * @example
 * ```ts
 * import { contrast, normalize } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const mood = contrast({ expert: { prefix: "A happy story. " }, amateur: { prefix: "A sad story. " } })
 * assertEquals(normalize({ of: mood, by: "zScore" }).plugin, "normalize")
 * ```
 */
export const normalize: RewardPlugin<NormalizeOptions> = defineReward({
  name: "normalize",
  options: Schema.Struct({
    of: nodeSchema("reward"),
    by: Schema.Literals(["logSoftmax", "zScore"]),
  }),
  sources: ({ of }) => rewardParts([of]).sources,
  open: ({ of, by }, sequence) =>
    rewardParts([of]).open(sequence).state((out, parts) => {
      parts.score(0, out)
      if (by === "logSoftmax") subtractNormalizer(out)
      else standardize(out)
    }),
})

function subtractNormalizer(out: Float32Array): void {
  const normalizer = logSumExp(out)
  if (normalizer === -Infinity) return // all ids are ruled out, and stay so
  for (let id = 0; id < out.length; id++) out[id] -= normalizer
}

function standardize(out: Float32Array): void {
  let count = 0
  let mean = 0
  for (let id = 0; id < out.length; id++) {
    if (out[id] === -Infinity) continue
    count++
    mean += out[id]
  }
  mean /= count
  let variance = 0
  for (let id = 0; id < out.length; id++) {
    const deviation = out[id] - mean
    if (out[id] !== -Infinity) variance += deviation * deviation
  }
  const deviation = Math.sqrt(variance / count)
  for (let id = 0; id < out.length; id++) {
    if (out[id] !== -Infinity) out[id] = deviation === 0 ? 0 : (out[id] - mean) / deviation
  }
}
