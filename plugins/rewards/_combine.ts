/** Rewards that are a combination of several, id by id: what sums, unions and intersections share. */
import { Schema } from "effect"
import { nodeSchema, type PluginNode, type RewardDefinition, rewardParts } from "genarm/plugin"

/** Options of a combination of rewards. */
export interface CombinedRewards {
  /** The rewards; at least one. */
  readonly of: readonly PluginNode<"reward">[]
}

/** A reward that takes several ones into one. */
type Combination = Omit<RewardDefinition<CombinedRewards>, "options"> & {
  readonly options: Schema.Codec<CombinedRewards, CombinedRewards>
}

/**
 * The definition of a combination.
 *
 * @param combine Takes the scores of a further part, `[vocabulary]`, into `out`, which at first are
 * those of the first part.
 */
export function combination(
  name: string,
  combine: (out: Float32Array, part: Float32Array) => void,
): Combination {
  return {
    name,
    options: Schema.Struct({ of: Schema.Array(nodeSchema("reward")).check(Schema.isMinLength(1)) }),
    sources: ({ of }) => rewardParts(of).sources,
    open({ of }, sequence) {
      const further = new Float32Array(of.length > 1 ? sequence.vocabularySize : 0)
      return rewardParts(of).open(sequence).state((out, parts) => {
        parts.score(0, out)
        for (let part = 1; part < of.length; part++) {
          parts.score(part, further)
          combine(out, further)
        }
      })
    },
  }
}
