/** @module A reward that speaks only where a condition holds. */
import { Schema } from "effect"
import {
  defineReward,
  nodeSchema,
  type PluginNode,
  rewardParts,
  type RewardPlugin,
} from "genarm/plugin"
import { kthGreatest } from "./_greatest.ts"

/** A condition on the scores of the base or of a reward; all that is given must hold, one at least. */
export interface MaskCondition {
  /** Whose scores are looked at; where absent the base's log-probabilities, as the term reads it. */
  readonly of?: PluginNode<"reward">
  /** Scores of this and more. */
  readonly atLeast?: number
  /** Scores of this and less. */
  readonly atMost?: number
  /** So many of the greatest scores, and all that equal the last of them. */
  readonly top?: number
  /**
   * Scores of `log(plausible)` below the greatest and more: for log-probabilities, ids at least so
   * likely as this share of the likeliest.
   */
  readonly plausible?: number
}

/** Options of `mask`. */
export interface MaskOptions {
  /** The reward. */
  readonly of: PluginNode<"reward">
  /** Where it counts. */
  readonly where: MaskCondition
  /**
   * What other ids get: 0, the default, or `"ban"` to rule them out. 0 is no opinion beside a difference
   * such as a `contrast`; beside log-probabilities, which are below 0 everywhere, it is the best of all,
   * so that these want the ban.
   */
  readonly otherwise?: "zero" | "ban"
}

const condition = Schema.Struct({
  of: Schema.optionalKey(nodeSchema("reward")),
  atLeast: Schema.optionalKey(Schema.Finite),
  atMost: Schema.optionalKey(Schema.Finite),
  top: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  plausible: Schema.optionalKey(
    Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1)),
  ),
}).check(
  Schema.makeFilter(({ atLeast, atMost, top, plausible }) =>
    [atLeast, atMost, top, plausible].some((bound) => bound !== undefined) ||
    "Expected a condition: atLeast, atMost, top or plausible"
  ),
)

/** The base's own log-probabilities, as a reward. */
const baseRow = defineReward({
  name: "base",
  sources: () => ({ model: {} }),
  open: () => ({ score: ({ model }, out) => out.set(model) }),
})

const partsOf = ({ of, where }: MaskOptions) => rewardParts([of, where.of ?? baseRow()])

/**
 * A reward where a condition holds, and 0 or a ban elsewhere: the masks and selective biases of
 * language model arithmetic, https://arxiv.org/abs/2311.14479.
 *
 * @example
 * ```ts
 * import { contrast, mask } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * // A pull towards cheer, among the tokens only that the base finds at all plausible.
 * const mood = contrast({ expert: { prefix: "A happy story. " }, amateur: { prefix: "A sad story. " } })
 * const cheer = mask({ of: mood, where: { plausible: 0.1 } })
 * assertEquals(cheer.plugin, "mask")
 * ```
 */
export const mask: RewardPlugin<MaskOptions> = defineReward({
  name: "mask",
  options: Schema.Struct({
    of: nodeSchema("reward"),
    where: condition,
    otherwise: Schema.optionalKey(Schema.Literals(["zero", "ban"])),
  }),
  sources: (options) => partsOf(options).sources,
  open(options, sequence) {
    const { atLeast = -Infinity, atMost = Infinity, top = 0, plausible } = options.where
    const elsewhere = options.otherwise === "ban" ? -Infinity : 0
    const seen = new Float32Array(sequence.vocabularySize)
    const heap = new Float32Array(top)
    // What the condition's own scores rule out is not among its greatest, however few there are.
    const lowest = atLeast > -Infinity || top > 0 || plausible !== undefined
      ? -Number.MAX_VALUE
      : -Infinity
    return partsOf(options).open(sequence).state((out, parts) => {
      parts.score(0, out)
      parts.score(1, seen)
      let least = Math.max(atLeast, lowest)
      if (top > 0) least = Math.max(least, kthGreatest(seen, top, heap))
      if (plausible !== undefined) least = Math.max(least, greatest(seen) + Math.log(plausible))
      for (let id = 0; id < out.length; id++) {
        // A condition that is no number must not pass for one that fails.
        if (seen[id] !== seen[id]) out[id] = NaN
        else if (!(seen[id] >= least && seen[id] <= atMost)) out[id] = elsewhere
      }
    })
  },
})

function greatest(scores: Float32Array): number {
  let max = -Infinity
  for (let id = 0; id < scores.length; id++) if (scores[id] > max) max = scores[id]
  return max
}
