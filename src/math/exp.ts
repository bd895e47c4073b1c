import { buildExpTable } from "./_exp_table.ts"

// For a distance d >= 0 in nats, with y = d * STEPS, k = round(y) and r = y - k:
//
//     e^-d = e^(-k/STEPS) * e^(-r/STEPS) ~ TABLE[k] * ((r - VERTEX)^2 + OFFSET)
//
// The bracket is 2^17 times the quadratic 1 - (1 + a^2/8)p + p^2/2 in p = r/STEPS, |p| <= a = 1/512:
// the Taylor polynomial with the cubic term folded in by Chebyshev, relative error under 3.2e-10.
// Its completed square saves a multiplication; VERTEX and OFFSET are exact, so that e^0 is exactly 1.
// The loops live in this file because V8 folds constants and tables of the same module only.

/** Table entries to one nat. */
const STEPS = 256
/** Nats the table spans, without a subnormal entry: beyond them the loops take e^-d as 0. */
const RANGE = 690
/** The index of the zero that ends the table; larger distances, infinite ones too, go there. */
const END = RANGE * STEPS + 1
/** 1.5 * 2^52: adding and subtracting it rounds a float64 under 2^51 to the nearest integer. */
const ROUNDER = 6755399441055744
/** 256 * (1 + 2^-21). */
const VERTEX = 256.0001220703125
const OFFSET = 131072 - VERTEX * VERTEX
/** `[END + 1]` */
const TABLE = buildExpTable(STEPS, RANGE, 1 / 131072)

/**
 * e^x, with the same bits on every JavaScript engine.
 *
 * `Math.exp` may differ in its last bit between V8 and JavaScriptCore, which is enough for one seed
 * to give two texts. This function uses only IEEE 754 additions, multiplications and divisions, and
 * a table built from multiplications and square roots.
 *
 * The relative error is under 1e-9 wherever the result is a normal float64. -Infinity and `x` under
 * about -745 give 0, `x` over about 709.78 gives Infinity, NaN gives NaN, and `fastExp(0)` is 1.
 *
 * @example
 * ```ts
 * import { fastExp } from "genarm/math"
 * import { assertAlmostEquals, assertEquals } from "@std/assert"
 *
 * assertEquals(fastExp(0), 1)
 * assertEquals(fastExp(-Infinity), 0)
 * assertAlmostEquals(fastExp(-1), 1 / Math.E, 1e-9)
 * ```
 */
export function fastExp(x: number): number {
  if (x > 0) return x > 710 ? Infinity : x > RANGE ? square(fastExp(x / 2)) : 1 / fastExp(-x)
  if (x < -RANGE) return x < -746 ? 0 : square(fastExp(x / 2))
  const y = -x * STEPS
  const k = y + ROUNDER - ROUNDER
  const u = y - k - VERTEX
  return TABLE[k | 0] * (u * u + OFFSET)
}

function square(x: number): number {
  return x * x
}

/**
 * sum_v e^(scores[v] - max) for a `max` no score exceeds; NaN when any score is NaN.
 *
 * Two lanes: an addition waits for the one before it in its own lane only.
 */
export function sumOfExps(scores: Float32Array, max: number): number {
  const pairs = scores.length & ~1
  let sum = 0
  let sumOdd = 0
  for (let v = 0; v < pairs; v += 2) {
    let y = (max - scores[v]) * STEPS
    let yOdd = (max - scores[v + 1]) * STEPS
    if (y > END) y = END
    if (yOdd > END) yOdd = END
    const k = y + ROUNDER - ROUNDER
    const u = y - k - VERTEX
    sum += TABLE[k | 0] * (u * u + OFFSET)
    const kOdd = yOdd + ROUNDER - ROUNDER
    const uOdd = yOdd - kOdd - VERTEX
    sumOdd += TABLE[kOdd | 0] * (uOdd * uOdd + OFFSET)
  }
  if (pairs < scores.length) sum += fastExp(scores[pairs] - max)
  return sum + sumOdd
}

/**
 * `weights[v] = e^((scores[v] - max) / temperature)`, where no score exceeds `max`, and `blockSums[b]`
 * their sum in id order over the b-th run of `block` ids. A distance over RANGE nats gives exactly 0,
 * distance 0 exactly 1.
 *
 * @returns the sum of the block sums, NaN when any score is NaN.
 */
export function expBlocks(
  scores: Float32Array,
  max: number,
  temperature: number,
  weights: Float64Array,
  blockSums: Float64Array,
  block: number,
): number {
  const size = scores.length
  // Finite, since 0 * Infinity is NaN: the temperature may be as low as the least float64.
  const scale = Math.min(STEPS / temperature, Number.MAX_VALUE)
  let total = 0
  for (let b = 0, from = 0; from < size; b++, from += block) {
    const to = Math.min(from + block, size)
    let sum = 0
    for (let v = from; v < to; v++) {
      let y = (max - scores[v]) * scale
      if (y > END) y = END
      const k = y + ROUNDER - ROUNDER
      const u = y - k - VERTEX
      const weight = TABLE[k | 0] * (u * u + OFFSET)
      weights[v] = weight
      sum += weight
    }
    blockSums[b] = sum
    total += sum
  }
  return total
}
