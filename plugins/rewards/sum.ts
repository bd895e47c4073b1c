/** @module The sum of rewards, as one reward. */
import { defineReward, type RewardPlugin } from "genarm/plugin"
import { combination, type CombinedRewards } from "./_combine.ts"

/**
 * The sum of rewards; an id that one of them rules out is ruled out. Terms of a graph are summed
 * anyway, each with a weight and a name of its own: this is for sums inside of `union`, `mask` ...
 *
 * @example
 * ```ts
 * import { contrast, defineGraph, prompted, scale, sum, union } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const calm = prompted({ prefix: "A calm, short answer. " })
 * const kind = contrast({ expert: { prefix: "Be kind. " }, amateur: { prefix: "Be rude. " } })
 * const either = union({ of: [calm, sum({ of: [kind, scale({ of: calm, by: 0.5 })] })] })
 * const graph = defineGraph({ base: "./models/base", rewards: { mood: { reward: either, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*mood")
 * ```
 */
export const sum: RewardPlugin<CombinedRewards> = defineReward(
  combination("sum", (out, part) => {
    for (let id = 0; id < out.length; id++) out[id] += part[id]
  }),
)
