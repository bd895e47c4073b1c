import { fastExp } from "./exp.ts"

/**
 * KL(P || Q) = sum_v P(v) * (log P(v) - log Q(v)), over the ids with P(v) > 0.
 *
 * @param logP `[vocab]`, normalised log-probabilities, natural log, may hold -Infinity.
 * @param logQ `[vocab]`, the same.
 * @returns nats; Infinity when P has an id that Q excludes. Rounding may leave a divergence of
 * nearly equal distributions slightly below 0.
 * @throws {RangeError} when the sizes differ.
 *
 * @example
 * ```ts
 * import { klDivergence } from "genarm/math"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * const certain = Float32Array.of(0, -Infinity)
 * const even = Float32Array.of(Math.log(0.5), Math.log(0.5))
 * assertAlmostEquals(klDivergence(certain, even), Math.log(2), 1e-6)
 * ```
 */
export function klDivergence(logP: Float32Array, logQ: Float32Array): number {
  if (logP.length !== logQ.length) {
    throw new RangeError(
      `expected two distributions over one vocabulary, found ${logP.length} and ${logQ.length} ids`,
    )
  }
  let sum = 0
  for (let v = 0; v < logP.length; v++) {
    const p = fastExp(logP[v])
    if (p !== 0) sum += p * (logP[v] - logQ[v])
  }
  return sum
}

/**
 * The entropy -sum_v P(v) * log P(v), over the ids with P(v) > 0.
 *
 * @param logP `[vocab]`, normalised log-probabilities, natural log, may hold -Infinity.
 * @returns nats.
 *
 * @example
 * ```ts
 * import { entropy } from "genarm/math"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * assertAlmostEquals(entropy(Float32Array.of(Math.log(0.5), Math.log(0.5))), Math.log(2), 1e-6)
 * ```
 */
export function entropy(logP: Float32Array): number {
  let sum = 0
  for (let v = 0; v < logP.length; v++) {
    const p = fastExp(logP[v])
    if (p !== 0) sum -= p * logP[v]
  }
  return sum
}
