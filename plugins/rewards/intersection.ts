/** @module The least of several rewards, as one reward. */
import { defineReward, type RewardPlugin } from "genarm/plugin"
import { combination, type CombinedRewards } from "./_combine.ts"

/**
 * For each id the least of the rewards: what all of them like. An id is ruled out where one of them
 * does. The intersection of language model arithmetic, https://arxiv.org/abs/2311.14479; in formulas
 * `min(a, b)`.
 *
 * @example
 * ```ts
 * import { defineGraph, intersection, prompted } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const both = intersection({
 *   of: [prompted({ prefix: "A joke. " }), prompted({ prefix: "A poem. " })],
 * })
 * const graph = defineGraph({ base: "./models/base", rewards: { fun: { reward: both, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*fun")
 * ```
 */
export const intersection: RewardPlugin<CombinedRewards> = defineReward(
  combination("intersection", (out, part) => {
    for (let id = 0; id < out.length; id++) out[id] = Math.min(out[id], part[id])
  }),
)
