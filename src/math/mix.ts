import { ROWS_AT_ONCE } from "./kernels/kernels.ts"
import { type Region, regionFor } from "./kernels/region.ts"

/**
 * `out[v] = base[v] + sum_i weights[i] * rows[i][v]`: the unnormalised log-linear mixture of GenARM
 * (arXiv 2410.08193), added from left to right in float32.
 *
 * A row may hold log-probabilities or logits: a constant added to it adds a constant to `out`,
 * which softmax ignores. A row of weight 0 is left out. An id ends as -Infinity when `base`, or a
 * row of nonzero weight of either sign, gives it -Infinity, and when such a row is too short to
 * have it. What a row has beyond `base` is ignored.
 *
 * Arrays of one `TokenWorkspace` are mixed where they are; others may be copied on the way.
 *
 * @param base `[vocab]`, natural log, may hold -Infinity.
 * @param rows each `[vocab]` or another size, natural log, may hold -Infinity.
 * @param weights `[rows.length]`, finite as float32.
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
  let shared = base.length
  let isExcluding = false
  for (let r = 0; r < rows.length; r++) {
    if (weights[r] === 0) continue
    shared = Math.min(shared, rows[r].length)
    // Under these, -Infinity does not carry itself through the sum.
    if (!(Math.fround(weights[r]) > 0)) isExcluding = true
  }
  const region = regionFor(out)
  const target = region.holds(out) ? out : region.scores
  addRows(region, base, rows, weights, shared, isExcluding, target)
  if (shared < target.length) target.fill(-Infinity, shared)
  if (target !== out) out.set(target)
}

// One pass's rows. All calls share them: each runs to its end.
const passRows: Float32Array[] = []
const passWeights = new Float64Array(ROWS_AT_ONCE)

function addRows(
  region: Region,
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  shared: number,
  isExcluding: boolean,
  target: Float32Array,
): void {
  const { kernels, staging } = region
  let from = base
  if (!region.holds(base)) {
    target.set(base)
    from = target
  }
  let count = 0
  let staged = 0
  for (let r = 0; r < rows.length; r++) {
    if (weights[r] === 0) continue
    let row = rows[r]
    if (!region.holds(row)) {
      const copy = staging[staged++]
      copy.set(row.length > copy.length ? row.subarray(0, copy.length) : row)
      row = copy
    }
    passRows[count] = row
    passWeights[count++] = weights[r]
    if (count === ROWS_AT_ONCE || staged === staging.length && staged > 0) {
      kernels.mix(from, passRows, passWeights, count, shared, isExcluding, target)
      from = target
      count = 0
      staged = 0
    }
  }
  if (count > 0) kernels.mix(from, passRows, passWeights, count, shared, isExcluding, target)
  else if (from !== target) target.set(from)
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
    if (!Number.isFinite(Math.fround(weights[r]))) {
      throw new RangeError(
        `expected weights that are finite as float32, found ${
          weights[r]
        } at ${r}: give weight 0 to ` +
          "leave a row out",
      )
    }
  }
}
