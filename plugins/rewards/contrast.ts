/** @module The difference of two models, as a reward. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"
import { type ContrastSide, difference, side, sourceOf } from "./_sides.ts"

export type { ContrastSide } from "./_sides.ts"

/** Options of `contrast`. */
export interface ContrastOptions {
  /** What is wanted. */
  readonly expert: string | ContrastSide
  /** What is not. */
  readonly amateur: string | ContrastSide
  /**
   * Rules out what the expert finds less likely than this share of its likeliest token, so that ids of
   * which neither knows anything do not win by their noise: the adaptive plausibility constraint of
   * contrastive decoding (https://arxiv.org/abs/2210.15097). `true` is the paper's 0.1; nothing is
   * ruled out where it is absent or `false`.
   */
  readonly plausible?: number | boolean
}

/** The share of contrastive decoding, section 3.3. */
const published = 0.1

/**
 * `log pi_expert - log pi_amateur`: what an expert knows and an amateur does not, as in DExperts
 * (https://arxiv.org/abs/2105.03023), `proxyTuning` by another name, and with `plausible` in contrastive
 * decoding (https://arxiv.org/abs/2210.15097). What the expert rules out, the contrast does; what the
 * amateur alone rules out gets a score of about 1000.
 *
 * Contrastive decoding as published goes by the contrast alone, and the score of a term is added to the
 * base's: there the expert is the base, and `log pi_base + w * (log pi_base - log pi_amateur)` over
 * `1 + w` is `log pi_base - w / (1 + w) * log pi_amateur`, closer to the contrast the greater `w` is.
 *
 * @example
 * ```ts
 * import { contrast, defineGraph } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const mood = contrast({ expert: { prefix: "A happy story. " }, amateur: { prefix: "A sad story. " } })
 * const graph = defineGraph({ base: "./models/base", rewards: { mood: { reward: mood, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*mood")
 * ```
 */
export const contrast: RewardPlugin<ContrastOptions> = defineReward({
  name: "contrast",
  options: Schema.Struct({
    expert: side,
    amateur: side,
    plausible: Schema.optionalKey(Schema.Union([
      Schema.Boolean,
      Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1)),
    ])),
  }),
  sources: ({ expert, amateur }) => ({ expert: sourceOf(expert), amateur: sourceOf(amateur) }),
  open({ plausible = false }) {
    const share = typeof plausible === "number" ? plausible : plausible ? published : 0
    return {
      score({ expert, amateur }, out) {
        const least = share === 0 ? -Infinity : greatest(expert) + Math.log(share)
        difference(expert, amateur, out, least)
      },
    }
  },
})

function greatest(row: Float32Array): number {
  let max = -Infinity
  for (let id = 0; id < row.length; id++) if (row[id] > max) max = row[id]
  return max
}
