/** How often one text beats the other of its pair. */
import { checkNumbers, checkPaired, type Estimate, type EstimateOptions } from "./estimate.ts"
import { shareEstimate } from "./share.ts"

/** Pairs won, tied and lost; the figure is the share won, a tie counting half. */
export interface WinRate extends Estimate {
  /** Pairs in which the first is greater. */
  readonly wins: number
  /** Pairs in which they are equal. */
  readonly ties: number
  /** Pairs in which the first is smaller. */
  readonly losses: number
}

/**
 * How often `ours[i] > theirs[i]`, with the interval of Wilson. Ties count half.
 *
 * @throws {GenArmError} Reason `InvalidOption` when there is no pair, one is NaN, or the lengths
 * differ.
 *
 * @example
 * ```ts
 * import { winRate } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * const { value, wins, ties, losses } = winRate([3, 2, 5, 1], [1, 2, 4, 7])
 * assertEquals({ value, wins, ties, losses }, { value: 0.625, wins: 2, ties: 1, losses: 1 })
 * ```
 */
export function winRate(
  ours: readonly number[],
  theirs: readonly number[],
  options: Pick<EstimateOptions, "level"> = {},
): WinRate {
  checkNumbers("ours", ours)
  checkNumbers("theirs", theirs)
  checkPaired(ours, theirs)
  const wins = ours.filter((value, i) => value > theirs[i]).length
  const ties = ours.filter((value, i) => value === theirs[i]).length
  return {
    ...shareEstimate(wins + ties / 2, ours.length, options),
    wins,
    ties,
    losses: ours.length - wins - ties,
  }
}
