/**
 * Block quantisation of weight matrices as `com.microsoft:MatMulNBits` reads them: each block of 32
 * weights of a row becomes unsigned codes with one float32 scale, `weight = (code - zero) * scale`.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
 */

/** Weights in a block; they share a scale. */
export const blockSize = 32

/** A quantised matrix `[rows, columns]`. */
export interface BlockQuantized {
  readonly bits: 4 | 8
  /** `[rows, blocks, blockSize * bits / 8]`; at 4 bits the earlier weight is in the low half. */
  readonly codes: Uint8Array
  /** `[rows, blocks]` */
  readonly scales: Float32Array
}

/**
 * Quantises `weights` `[rows, columns]`, in row-major order. The scale is signed and chosen so that
 * the weight of the largest magnitude meets the lowest code exactly: of the codes `-8 .. 7` the
 * lowest has no positive twin, and with this sign none is wasted.
 */
export function quantizeBlocks(
  weights: Float32Array,
  rows: number,
  columns: number,
  bits: 4 | 8,
): BlockQuantized {
  const blocks = Math.ceil(columns / blockSize)
  const zero = bits === 4 ? 8 : 128
  const highest = 2 * zero - 1
  const codes = new Uint8Array((rows * blocks * blockSize * bits) / 8)
  const scales = new Float32Array(rows * blocks)
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const begin = row * columns + block * blockSize
      const end = Math.min(begin + blockSize, (row + 1) * columns)
      const scale = Math.fround(extreme(weights, begin, end) / -zero)
      const inverse = scale === 0 ? 0 : 1 / scale
      scales[row * blocks + block] = scale
      const at = (row * blocks + block) * blockSize
      for (let i = 0; i < blockSize; i++) {
        const weight = begin + i < end ? weights[begin + i] : 0
        const code = Math.min(highest, Math.max(0, Math.round(weight * inverse) + zero))
        if (bits === 8) codes[at + i] = code
        else codes[(at + i) >> 1] |= i & 1 ? code << 4 : code
      }
    }
  }
  return { bits, codes, scales }
}

/** The value of the largest magnitude, with its sign; NaN where there is one, as no code stands for it. */
function extreme(weights: Float32Array, begin: number, end: number): number {
  let value = 0
  for (let i = begin; i < end; i++) {
    if (Number.isNaN(weights[i])) return NaN
    if (Math.abs(weights[i]) > Math.abs(value)) value = weights[i]
  }
  return value
}
