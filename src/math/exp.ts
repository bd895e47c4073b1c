import { buildExpTable } from "./_exp_table.ts"

// For a distance d >= 0 in nats, with y = d * STEPS, k = round(y) and r = y - k:
//
//     e^-d = e^(-k/STEPS) * e^(-r/STEPS) ~ TABLE[k] * ((r - VERTEX)^2 + OFFSET)
//
// The bracket is 2^17 times the quadratic 1 - (1 + a^2/8)p + p^2/2 in p = r/STEPS, |p| <= a = 1/512:
// the Taylor polynomial with the cubic term folded in by Chebyshev, relative error under 3.2e-10.
// Its completed square saves a multiplication; VERTEX and OFFSET are exact, so that e^0 is exactly 1.

/** Table entries to one nat. */
const STEPS = 256
/** Nats the table spans, without a subnormal entry: beyond them fastExp squares. */
const RANGE = 690
/** 1.5 * 2^52: adding and subtracting it rounds a float64 under 2^51 to the nearest integer. */
const ROUNDER = 6755399441055744
/** 256 * (1 + 2^-21). */
const VERTEX = 256.0001220703125
const OFFSET = 131072 - VERTEX * VERTEX
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
