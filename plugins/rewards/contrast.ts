/** @module The difference of two models, as a reward. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin, type RewardSource } from "genarm/plugin"

/** One side of a contrast: a model, an adapter on it, a context for it, or several of these. */
export interface ContrastSide {
  /** The base model where absent. */
  readonly model?: string
  /** A low-rank adapter on that model. */
  readonly adapter?: string
  /** Text before the prompt. */
  readonly prefix?: string
}

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

const side = Schema.Union([
  Schema.NonEmptyString,
  Schema.Struct({
    model: Schema.optionalKey(Schema.NonEmptyString),
    adapter: Schema.optionalKey(Schema.NonEmptyString),
    prefix: Schema.optionalKey(Schema.NonEmptyString),
  }),
])

/** What stands for log 0 in the amateur: e^-1000 is far below any float32. */
const floor = -1000

/** The share of contrastive decoding, section 3.3. */
const published = 0.1

const sourceOf = (value: string | ContrastSide): RewardSource =>
  typeof value === "string" ? { model: value } : value

/**
 * `log pi_expert - log pi_amateur`: what an expert knows and an amateur does not, as in DExperts
 * (https://arxiv.org/abs/2105.03023) and proxy tuning (https://arxiv.org/abs/2401.08565), and with
 * `plausible` in contrastive decoding (https://arxiv.org/abs/2210.15097). What the expert rules out, the
 * contrast does; what the amateur alone rules out gets a score of about 1000.
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
        for (let id = 0; id < out.length; id++) {
          // Infinity could not be mixed with the scores of others, and -Infinity + Infinity is NaN.
          out[id] = expert[id] === -Infinity || expert[id] < least
            ? -Infinity
            : expert[id] - Math.max(amateur[id], floor)
        }
      },
    }
  },
})

function greatest(row: Float32Array): number {
  let max = -Infinity
  for (let id = 0; id < row.length; id++) if (row[id] > max) max = row[id]
  return max
}
