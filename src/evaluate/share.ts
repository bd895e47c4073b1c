/**
 * Shares, such as the texts that ended by themselves. Their interval is Wilson's (1927), which,
 * other than the bootstrap's, still has a width when all of a sample are alike.
 */
import { GenArmError } from "../errors.ts"
import { type Estimate, type EstimateOptions, estimateOptions } from "./estimate.ts"
import { normalQuantile } from "./_normal.ts"

/**
 * `hits` of `count`, with the interval of Wilson.
 *
 * @param hits From 0 to `count`; halves are taken, for ties.
 * @throws {GenArmError} Reason `InvalidOption` when `count` is 0 or `hits` is out of range.
 *
 * @example
 * ```ts
 * import { shareEstimate } from "genarm/evaluate"
 * import { assert } from "@std/assert"
 *
 * const { value, low, high } = shareEstimate(20, 20)
 * assert(value === 1 && high === 1 && low > 0.83 && low < 0.85)
 * ```
 */
export function shareEstimate(
  hits: number,
  count: number,
  options: Pick<EstimateOptions, "level"> = {},
): Estimate {
  if (!(count > 0 && hits >= 0 && hits <= count)) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: [] },
      `expected some of one or more, found ${hits} of ${count}`,
    )
  }
  const z = normalQuantile((1 + estimateOptions(options).level) / 2)
  const share = hits / count
  const spread = z * z / count
  const centre = (share + spread / 2) / (1 + spread)
  const half = z * Math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
  return {
    value: share,
    low: hits === 0 ? 0 : Math.max(0, centre - half),
    high: hits === count ? 1 : Math.min(1, centre + half),
  }
}
