/** Weighted particles: how even their weights are, and which go on. */
import { fastExp } from "genarm/math"

/** Weights that sum to 1, from their logarithms; all are `-Infinity` for none. */
export function normalized(logWeights: readonly number[]): number[] {
  const greatest = Math.max(...logWeights)
  const weights = logWeights.map((weight) => fastExp(weight - greatest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}

/** The effective sample size: 1 over the sum of the squares of weights that sum to 1. */
export function effectiveSize(weights: readonly number[]): number {
  return 1 / weights.reduce((sum, weight) => sum + weight * weight, 0)
}

/**
 * Systematic resampling: how often each particle goes on. With `n` weights that sum to 1 the points
 * `(uniform + i) / n` are laid over their running sum, so that each gets `n * weight`, rounded down or up.
 */
export function systematic(weights: readonly number[], uniform: number): number[] {
  const n = weights.length
  const counts = weights.map(() => 0)
  let [at, sum] = [0, weights[0]]
  for (let i = 0; i < n; i++) {
    const point = (uniform + i) / n
    // Rounding may leave the sum below the last point.
    while (point >= sum && at < n - 1) sum += weights[++at]
    while (weights[at] === 0 && at > 0) at-- // only at the end, where nothing is left
    counts[at]++
  }
  return counts
}
