/** The numbers that both versions of the kernels share: with these, they agree to the last bit. */

/** Ids of which one maximum is kept. */
export const GROUP = 64
/** Ids of which one sum is kept: a draw walks the sums, then the weights of one block. */
export const BLOCK = 256
/** Float32 weights from 0 to 1 fall into buckets by their upper bits: 64 buckets to an octave. */
export const BUCKET_SHIFT = 17
/** One more than the bucket of weight 1. */
export const BUCKETS: number = (0x3f800000 >> BUCKET_SHIFT) + 1

// 2^x for x <= 0 with x = n + r, n an integer, |r| <= 1/2: 2^n by its bits, and 2^r by a polynomial.

/** log2(e) */
export const LOG2_E = 1.4426950408889634
/** Below this, and so over 87 nats under the greatest score, a weight is exactly 0. */
export const LEAST_EXPONENT = -127
/**
 * `1.5 * 2^23 + 127`. Added to x it rounds it to an integer, the last bits of which are n + 127: moved
 * up by 23, they are those of the float32 2^n, and of 0 for n = -127.
 */
export const ROUNDER = 12583039
/** Where the bits of a float32's exponent begin. */
export const EXPONENT_SHIFT = 23
/**
 * Of 2^r in rising powers, as float32: minimax with the first fixed, so that 2^0 is exactly 1. The
 * relative error in float32 arithmetic is under 1.8e-7.
 */
export const COEFFICIENTS: readonly number[] = [
  1,
  0.693147,
  0.24022247,
  0.05550711,
  0.009671292,
  0.0013269534,
].map(Math.fround)
