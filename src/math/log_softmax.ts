import { logSumExp } from "./log_sum_exp.ts"

/**
 * `out[v] = logits[v] - log sum_u e^logits[u]`: normalised log-probabilities.
 *
 * @param logits `[vocab]`, natural log, may hold -Infinity.
 * @param out `[vocab]`, natural log; may be `logits`.
 * @throws {RangeError} when the sizes differ, or no logit is above -Infinity, or one is NaN or
 * +Infinity.
 *
 * @example
 * ```ts
 * import { logSoftmaxInto } from "genarm/math"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * const logProbabilities = new Float32Array(2)
 * logSoftmaxInto(Float32Array.of(7, 7), logProbabilities)
 * assertAlmostEquals(logProbabilities[0], Math.log(0.5), 1e-6)
 * ```
 */
export function logSoftmaxInto(logits: Float32Array, out: Float32Array): void {
  if (out.length !== logits.length) {
    throw new RangeError(
      `expected out to have the size of the logits, ${logits.length}, found ${out.length}`,
    )
  }
  const normalizer = logNormalizer(logits)
  for (let v = 0; v < logits.length; v++) out[v] = logits[v] - normalizer
}

/**
 * The log-probability of one id, natural log, in float64: `logits[id] - log sum_u e^logits[u]`.
 *
 * @param logits `[vocab]`, natural log, may hold -Infinity.
 * @param id an integer from 0 to `logits.length - 1`.
 * @throws {RangeError} when `id` is outside the logits, or no logit is above -Infinity, or one is
 * NaN or +Infinity.
 *
 * @example
 * ```ts
 * import { logSoftmaxAt } from "genarm/math"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * assertAlmostEquals(logSoftmaxAt(Float32Array.of(7, 7), 1), Math.log(0.5), 1e-9)
 * ```
 */
export function logSoftmaxAt(logits: Float32Array, id: number): number {
  if (!Number.isInteger(id) || id < 0 || id >= logits.length) {
    throw new RangeError(
      `expected an id from 0 to ${logits.length - 1}, found ${id}: check that id and logits are ` +
        "of one vocabulary",
    )
  }
  return logits[id] - logNormalizer(logits)
}

function logNormalizer(logits: Float32Array): number {
  const normalizer = logSumExp(logits)
  if (!Number.isFinite(normalizer)) {
    throw new RangeError(
      "expected logits below Infinity with at least one above -Infinity, found a log-normaliser " +
        `of ${normalizer}: check the model's output and the ids you excluded`,
    )
  }
  return normalizer
}
