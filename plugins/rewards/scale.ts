/** @module A reward times a number. */
import { Schema } from "effect"
import {
  defineReward,
  nodeSchema,
  type PluginNode,
  rewardParts,
  type RewardPlugin,
} from "genarm/plugin"

/** Options of `scale`. */
export interface ScaleOptions {
  /** The reward. */
  readonly of: PluginNode<"reward">
  /** The factor; below zero it turns the reward round, 0 leaves nothing of it. */
  readonly by: number
}

/**
 * A reward times a number. As with weights, an id that the reward rules out stays ruled out, whatever
 * the sign of the factor, unless the factor is 0. The weight of a term is a factor already, and may be
 * a schedule: this is for factors inside of `union`, `sum`, `mask` ...
 *
 * @example
 * ```ts
 * import { prompted, scale, union } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const joke = prompted({ prefix: "A joke. " })
 * const either = union({ of: [joke, scale({ of: prompted({ prefix: "A poem. " }), by: 0.5 })] })
 * assertEquals(either.plugin, "union")
 * ```
 */
export const scale: RewardPlugin<ScaleOptions> = defineReward({
  name: "scale",
  options: Schema.Struct({ of: nodeSchema("reward"), by: Schema.Finite }),
  sources: ({ of }) => rewardParts([of]).sources,
  open: ({ of, by }, sequence) =>
    rewardParts([of]).open(sequence).state((out, parts) => {
      if (by === 0) {
        out.fill(0)
        return
      }
      parts.score(0, out)
      for (let id = 0; id < out.length; id++) if (out[id] !== -Infinity) out[id] *= by
    }),
})
