/** @module The greatest of several rewards, as one reward. */
import { defineReward, type RewardPlugin } from "genarm/plugin"
import { combination, type CombinedRewards } from "./_combine.ts"

/**
 * For each id the greatest of the rewards: what any of them likes. An id is ruled out where all of
 * them do. The union of language model arithmetic, https://arxiv.org/abs/2311.14479; in formulas
 * `max(a, b)`.
 *
 * @example
 * ```ts
 * import { defineGraph, prompted, union } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const either = union({ of: [prompted({ prefix: "A joke. " }), prompted({ prefix: "A poem. " })] })
 * const graph = defineGraph({ base: "./models/base", rewards: { fun: { reward: either, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*fun")
 * ```
 */
export const union: RewardPlugin<CombinedRewards> = defineReward(
  combination("union", (out, part) => {
    for (let id = 0; id < out.length; id++) out[id] = Math.max(out[id], part[id])
  }),
)
