import { BLOCK } from "./_block.ts"
import { excludeIds, mixFour, mixMany, mixOne, mixThree, mixTwo } from "./_mix_loops.ts"

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
  const size = base.length
  const shared = sharedSize(size, rows, weights)
  const active = countActive(weights)
  // Places of the first four rows of nonzero weight, as far as there are so many.
  const i = nextActive(weights, 0)
  const j = nextActive(weights, i + 1)
  const k = nextActive(weights, j + 1)
  const l = nextActive(weights, k + 1)
  const a = rows[i]
  const b = rows[j]
  const c = rows[k]
  const d = rows[l]
  const weightA = weights[i]
  const weightB = weights[j]
  const weightC = weights[k]
  const weightD = weights[l]
  if (active === 0 && out !== base) out.set(base)
  for (let from = 0; from < shared && active > 0; from += BLOCK) {
    const to = Math.min(from + BLOCK, shared)
    if (active === 1) mixOne(base, a, weightA, out, from, to)
    else if (active === 2) mixTwo(base, a, weightA, b, weightB, out, from, to)
    else if (active === 3) mixThree(base, a, weightA, b, weightB, c, weightC, out, from, to)
    else if (active === 4) {
      mixFour(base, a, weightA, b, weightB, c, weightC, d, weightD, out, from, to)
    } else mixMany(base, rows, weights, out, from, to)
    // Under a positive weight -Infinity carries itself through the sum.
    for (let r = 0; r < rows.length; r++) if (weights[r] < 0) excludeIds(rows[r], out, from, to)
  }
  if (shared < size) out.fill(-Infinity, shared)
}

function countActive(weights: ArrayLike<number>): number {
  let active = 0
  for (let r = 0; r < weights.length; r++) if (weights[r] !== 0) active++
  return active
}

function nextActive(weights: ArrayLike<number>, from: number): number {
  let r = from
  while (r < weights.length && weights[r] === 0) r++
  return r
}

// The ids from 0 that `base` and every row of nonzero weight have.
function sharedSize(
  size: number,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
): number {
  let shared = size
  for (let r = 0; r < rows.length; r++) {
    if (weights[r] !== 0 && rows[r].length < shared) shared = rows[r].length
  }
  return shared
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
