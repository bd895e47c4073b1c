/**
 * The loops over a vocabulary, in two versions that agree to the last bit: plain loops, the reference,
 * and WebAssembly vectors. Float32 arithmetic throughout, sums in float64 in a fixed order of lanes.
 */

/** One version of the loops. */
export interface Kernels {
  /** The memory that all arrays must lie in; undefined where any will do. */
  readonly buffer: ArrayBufferLike | undefined

  /**
   * `out[v] = base[v] + weights[0]*rows[0][v] + ...` for the first `length` ids and the first `count`
   * of at most {@link ROWS_AT_ONCE} rows, from left to right. `isExcluding`: where the base or a row is
   * -Infinity, so is `out`, whatever the weights. `out` may be `base`.
   */
  mix(
    base: Float32Array,
    rows: readonly Float32Array[],
    weights: Float64Array,
    count: number,
    length: number,
    isExcluding: boolean,
    out: Float32Array,
  ): void

  /** The greatest score of each group of ids, NaN passed over; -Infinity where there is none. */
  groupMaxima(scores: Float32Array, maxima: Float32Array): void

  /**
   * `weights[v] = 2^((scores[v] - max) * scale)` and their sums by block; `max` and `scale` are
   * float32 and no score exceeds `max`.
   *
   * @returns the sum of the sums; NaN when a score is.
   */
  exponentials(
    scores: Float32Array,
    max: number,
    scale: number,
    weights: Float32Array,
    sums: Float64Array,
  ): number

  /** What `exponentials` returns, without its arrays. */
  sumExponentials(scores: Float32Array, max: number, scale: number): number

  /**
   * In the blocks from `fromBlock` to before `toBlock`: cuts the weights of ids of a lower key than
   * `least`, a float32, to 0, and sums what is left. `keys` may be `weights`.
   */
  keepAtLeast(
    keys: Float32Array,
    least: number,
    weights: Float32Array,
    sums: Float64Array,
    fromBlock: number,
    toBlock: number,
  ): void

  /**
   * Adds the weights of at least `least`, a float32, to buckets by their upper bits. `bits` are those
   * of `weights`.
   */
  addToBuckets(weights: Float32Array, bits: Int32Array, least: number, masses: Float64Array): void

  /** Lists the ids, rising, whose bits are from `from` to before `to`; returns how many. */
  gatherBucket(bits: Int32Array, from: number, to: number, members: Int32Array): number

  /** `out[v] = values[v] * factor`, a float32. */
  multiply(values: Float32Array, factor: number, out: Float32Array): void

  /** Whether no score is NaN or Infinity. */
  areBelowInfinity(scores: Float32Array): boolean
}

/** Rows that one pass of `mix` adds. */
export const ROWS_AT_ONCE = 4
