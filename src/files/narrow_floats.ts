/**
 * From float32 to the types of 16 bits, rounded to the nearest number and to the even one of two
 * equally near, as IEEE 754 and PyTorch do. Subnormal numbers, infinities, -0 and NaN are kept.
 * Works on bit patterns: `target[i]` is the pattern for the float32 pattern `source[i]`.
 */

/** Rounds to IEEE 754 binary16; what lies beyond its range becomes an infinity. */
export function narrowToFloat16(source: Uint32Array, target: Uint16Array): void {
  for (let i = 0; i < source.length; i++) {
    const word = source[i]
    const sign = (word >>> 16) & 0x8000
    const size = word & 0x7fffffff
    let half: number
    if (size > 0x7f800000) {
      half = 0x7e00 | ((size >>> 13) & 0x3ff) // NaN
    } else if (size >= 0x47800000) {
      half = 0x7c00 // 2^16 and more
    } else if (size >= 0x38800000) {
      // A normal number of both types; a carry may run up into the exponent, and should.
      half = (size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13
    } else if (size >= 0x33000000) {
      // From 2^-25 to 2^-14: multiples of 2^-24.
      const fraction = (size & 0x7fffff) | 0x800000
      const shift = 126 - (size >>> 23)
      const rest = fraction & ((1 << shift) - 1)
      const middle = 1 << (shift - 1)
      half = fraction >>> shift
      if (rest > middle || (rest === middle && (half & 1) === 1)) half++
    } else {
      half = 0
    }
    target[i] = sign | half
  }
}

/** Rounds to bfloat16, the upper half of a float32. */
export function narrowToBfloat16(source: Uint32Array, target: Uint16Array): void {
  for (let i = 0; i < source.length; i++) {
    const word = source[i]
    target[i] = (word & 0x7fffffff) > 0x7f800000
      ? (word >>> 16) | 0x40 // a NaN stays one
      : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
}
