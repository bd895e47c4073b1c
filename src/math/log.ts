const LN2 = Math.LN2
const SQRT_HALF = Math.SQRT1_2

const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)
/** The word that holds a float64's sign and exponent. */
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0

/** `1/1, 1/3, 1/5, ...`: atanh s = s * (1 + s^2/3 + s^4/5 + ...). */
const COEFFICIENTS = Float64Array.from({ length: 11 }, (_, i) => 1 / (2 * i + 1))

/**
 * log x, natural, with the same bits on every JavaScript engine: the companion of {@link fastExp}, for
 * decisions that a last bit of `Math.log` could turn.
 *
 * `x = m * 2^e` with m from sqrt(1/2) to sqrt(2), and `log m = 2 atanh((m - 1) / (m + 1))` as a series:
 * IEEE 754 additions, multiplications and divisions only. The relative error is under 1e-15.
 *
 * @param x above 0. 0 gives -Infinity, Infinity itself, a negative number and NaN give NaN.
 *
 * @example
 * ```ts
 * import { fastLog } from "genarm/math"
 * import { assertAlmostEquals, assertEquals } from "@std/assert"
 *
 * assertEquals(fastLog(1), 0)
 * assertAlmostEquals(fastLog(10), Math.LN10, 1e-15)
 * ```
 */
export function fastLog(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN
  if (x === Infinity) return Infinity
  if (x < 2 ** -1022) return fastLog(x * 2 ** 54) - 54 * LN2
  float[0] = x
  let exponent = (words[HIGH] >>> 20) - 1022
  words[HIGH] = words[HIGH] & 0xfffff | 1022 << 20
  let m = float[0]
  if (m < SQRT_HALF) {
    m *= 2
    exponent--
  }
  const s = (m - 1) / (m + 1)
  const square = s * s
  let series = 0
  for (let i = COEFFICIENTS.length - 1; i >= 0; i--) series = series * square + COEFFICIENTS[i]
  return exponent * LN2 + 2 * s * series
}
