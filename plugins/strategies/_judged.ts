/** What a strategy goes by: one reward of the graph by its name, or all of them with their weights. */
import type { GuidedSequence } from "genarm/plugin"

/** The reward of the tokens written: of `by`, or the sum of `weight * reward` with the last weights. */
export async function rewardOf(sequence: GuidedSequence, by?: string): Promise<number> {
  const rewards = await sequence.rewards()
  if (by !== undefined) return rewards[by]
  // A weight of 0 does not rule out what a reward of -Infinity would, and makes no number of it.
  return Object.entries(sequence.weights).reduce(
    (sum, [name, weight]) => weight === 0 ? sum : sum + weight * rewards[name],
    0,
  )
}

/** Where the greatest stands; of equals the first. */
export function greatest(values: readonly number[]): number {
  return values.reduce((best, value, i) => value > values[best] ? i : best, 0)
}
