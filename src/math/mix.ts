import { mixFour, mixMany, mixOne, mixThree, mixTwo } from "./_mix_loops.ts"

/**
 * `out[v] = base[v] + sum_i weights[i] * rows[i][v]`: the unnormalised log-linear mixture of GenARM
 * (arXiv 2410.08193), accumulated in float64 and stored in float32.
 *
 * A row may hold log-probabilities or logits: a constant added to it adds a constant to `out`,
 * which softmax ignores. A row of weight 0 is left out. An id ends as -Infinity when `base`, or a
 * row of nonzero weight of either sign, gives it -Infinity, and when such a row is too short to
 * have it. What a row has beyond `base` is ignored.
 *
 * @param base `[vocab]`, natural log, may hold -Infinity.
 * @param rows each `[vocab]` or another size, natural log, may hold -Infinity.
 * @param weights `[rows.length]`, finite.
 * @param out `[vocab]`; may be `base`, but none of the rows.
 * @throws {RangeError} when `rows` and `weights`, or `base` and `out`, differ in length, or when a
 * weight is not finite.
 *
 * @example
 * ```ts
 * import { mixInto } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * const out = new Float32Array(3)
 * mixInto(Float32Array.of(1, 2, 3), [Float32Array.of(10, 20)], [0.5], out)
 * assertEquals([...out], [6, 12, -Infinity])
 * ```
 */
export function mixInto(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  out: Float32Array,
): void {
  checkShapes(base, rows, weights, out)
  const active = countActive(weights)
  const i = nextActive(weights, 0)
  const j = nextActive(weights, i + 1)
  const k = nextActive(weights, j + 1)
  const l = nextActive(weights, k + 1)
  if (active === 0) {
    if (out !== base) out.set(base)
  } else if (active === 1) {
    mixOne(base, rows[i], weights[i], out)
  } else if (active === 2) {
    mixTwo(base, rows[i], weights[i], rows[j], weights[j], out)
  } else if (active === 3) {
    const a = rows[i]
    const b = rows[j]
    mixThree(base, a, weights[i], b, weights[j], rows[k], weights[k], out)
  } else if (active === 4) {
    const a = rows[i]
    const b = rows[j]
    const c = rows[k]
    mixFour(base, a, weights[i], b, weights[j], c, weights[k], rows[l], weights[l], out)
  } else {
    mixMany(base, rows, weights, out)
  }
}

function countActive(weights: ArrayLike<number>): number {
  let active = 0
  for (let r = 0; r < weights.length; r++) if (weights[r] !== 0) active++
  return active
}

// The place of the first nonzero weight from `from` on, or a place past the end.
function nextActive(weights: ArrayLike<number>, from: number): number {
  let r = from
  while (r < weights.length && weights[r] === 0) r++
  return r
}

function checkShapes(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  out: Float32Array,
): void {
  if (rows.length !== weights.length) {
    throw new RangeError(
      `expected one weight for each row, found ${weights.length} weights and ${rows.length} rows: ` +
        "pass both in the same order",
    )
  }
  if (out.length !== base.length) {
    throw new RangeError(
      `expected out to have the size of base, ${base.length}, found ${out.length}: allocate it ` +
        "once with the size of the base vocabulary",
    )
  }
  for (let r = 0; r < weights.length; r++) {
    if (!Number.isFinite(weights[r])) {
      throw new RangeError(
        `expected finite weights, found ${weights[r]} at ${r}: give weight 0 to leave a row out`,
      )
    }
  }
}
