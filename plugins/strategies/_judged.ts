/** What a strategy goes by: one reward of the graph by its name, or all of them with their weights. */
import { GenArmError, type GuidedSequence } from "genarm/plugin"

/** Fails where the graph has no such reward; `by` is the strategy's option. */
export function checkReward(strategy: string, sequence: GuidedSequence, by?: string): void {
  const names = Object.keys(sequence.weights)
  if (by === undefined ? names.length > 0 : names.includes(by)) return
  const found = names.length === 0 ? "the graph has no rewards" : `it has ${names.join(", ")}`
  throw new GenArmError(
    { _tag: "InvalidGraph", path: ["strategy", "options", "by"] },
    `the strategy "${strategy}" chooses by ${by === undefined ? "rewards" : `a reward "${by}"`}: ` +
      `expected one of the graph's, and ${found}`,
  )
}

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
