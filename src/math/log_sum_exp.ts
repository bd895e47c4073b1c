import { argmax } from "./argmax.ts"
import { exponentScale } from "./kernels/exponent_scale.ts"
import { regionFor } from "./kernels/region.ts"

/**
 * log sum_v e^scores[v], natural log: the log-normaliser of unnormalised log-probabilities.
 *
 * Shifted by the maximum, so it does not overflow; the sum has the same bits on every engine, and
 * only the final `Math.log` may differ in the last one.
 *
 * @param scores `[vocab]`, natural log, may hold -Infinity.
 * @returns nats, within 1e-6; -Infinity when every score is -Infinity or there is none; NaN when
 * any score is NaN.
 *
 * @example
 * ```ts
 * import { logSumExp } from "genarm/math"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * assertAlmostEquals(logSumExp(Float32Array.of(1000, 1000)), 1000 + Math.log(2), 1e-6)
 * ```
 */
export function logSumExp(scores: Float32Array): number {
  const best = argmax(scores)
  const max = best < 0 ? -Infinity : scores[best]
  if (max === Infinity || max === -Infinity) return hasNaN(scores) ? NaN : max
  const region = regionFor(scores)
  // `argmax` has placed them already.
  const placed = region.holds(scores) ? scores : region.scores
  return max + Math.log(region.kernels.sumExponentials(placed, max, exponentScale(1)))
}

function hasNaN(scores: Float32Array): boolean {
  for (let v = 0; v < scores.length; v++) if (Number.isNaN(scores[v])) return true
  return false
}
