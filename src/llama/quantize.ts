/**
 * Block quantisation of weight matrices as `com.microsoft:MatMulNBits` reads them: each block of 32
 * weights of a row becomes unsigned codes with one float32 scale, `weight = (code - zero) * scale`.
 * At 4 bits the scale is searched for, so that the block's squared error is small; the arithmetic is
 * the same on every runtime, and so are the codes.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
 */

/** Weights in a block; they share a scale. */
export const blockSize = 32

/** Goes up whenever the same weights would give other codes: what was prepared before is stale then. */
export const quantizerVersion = 2

/** A quantised matrix `[rows, columns]`. */
export interface BlockQuantized {
  readonly bits: 4 | 8
  /** `[rows, blocks, blockSize * bits / 8]`; at 4 bits the earlier weight is in the low half. */
  readonly codes: Uint8Array<ArrayBuffer>
  /** `[rows, blocks]` */
  readonly scales: Float32Array<ArrayBuffer>
}

/**
 * Quantises `weights` `[rows, columns]`, in row-major order; `columns` is filled up to whole blocks
 * with zeros. A block that holds NaN or an infinity gets such a scale, as no code stands for it.
 */
export function quantizeBlocks(
  weights: Float32Array,
  rows: number,
  columns: number,
  bits: 4 | 8,
): BlockQuantized {
  const { blocks, bytes } = blockSizes(rows, columns, bits)
  const codes = new Uint8Array(bytes)
  const scales = new Float32Array(rows * blocks)
  const block = new Float64Array(blockSize)
  let index = 0
  for (let row = 0; row < rows; row++) {
    const rowEnd = (row + 1) * columns
    for (let begin = row * columns; begin < rowEnd; begin += blockSize, index++) {
      const length = Math.min(blockSize, rowEnd - begin)
      for (let i = 0; i < length; i++) block[i] = weights[begin + i]
      block.fill(0, length)
      if (bits === 8) {
        const scale = scales[index] = plainScale(block, 128)
        writeCodes8(block, scale, codes, index * blockSize)
      } else {
        const scale = scales[index] = searchedScale(block, plainScale(block, 8))
        writeCodes4(block, scale, codes, index * (blockSize / 2))
      }
    }
  }
  return { bits, codes, scales }
}

/** What a matrix takes: blocks of a row, and bytes of all codes. */
export function blockSizes(
  rows: number,
  columns: number,
  bits: 4 | 8,
): { readonly blocks: number; readonly bytes: number } {
  const blocks = Math.ceil(columns / blockSize)
  return { blocks, bytes: (rows * blocks * blockSize * bits) / 8 }
}

/**
 * The signed scale with which the weight of the largest magnitude meets the lowest code exactly: of
 * the codes `-zero .. zero - 1` the lowest has no positive twin, and with this sign none is wasted.
 */
function plainScale(block: Float64Array, zero: number): number {
  let extreme = 0
  let most = 0
  let sum = 0
  for (let i = 0; i < blockSize; i++) {
    const x = block[i]
    const magnitude = x < 0 ? -x : x
    sum += magnitude
    if (magnitude > most) {
      most = magnitude
      extreme = x
    }
  }
  // No comparison sees NaN; the sum does.
  return Number.isNaN(sum) ? NaN : Math.fround(extreme / -zero)
}

/**
 * Where the extreme weight may fall, in codes below zero: on the lowest code, as in the plain scale,
 * short of it, or beyond it, where the extreme is cut off for a finer grid of the rest.
 */
const extremeCodes = Float64Array.of(8, 7, 7.5, 8.5, 9)

/**
 * How many weights the extreme one counts as. With 1 the least squared error of all is found, which
 * helps models of even activations most; in language models with a few channels of outliers the
 * extremes carry those, and are to be spared. Divergence from float32, against plain scales (of
 * SmolLM2 there was a file of 4 bits in the layers and 8 in the head to begin with):
 *
 * | counts as | stories, 2.7M weights | SmolLM2, 135M: layers | SmolLM2: head |
 * |---|---|---|---|
 * | 1 | 0.83 | 1.12 | 1.11 |
 * | 5 | 0.92 | 1.00 | 1.04 |
 * | 9 | 0.94 | 0.95 | 1.02 |
 * | 17 | 0.96 | 0.96 | 0.97 |
 */
const extremeCount = 9

/** By which part a scale must take off more than another, so that rounding moves no exact block. */
const leastGain = 1e-9

/**
 * The best of a few scales at 4 bits. Rounding with a scale fixes codes `q`, and for these the scale
 * of least squared error is `x.q / q.q`, which takes `(x.q)^2 / q.q` off the error `x.x` of zeros.
 * The plain scale is one of those compared and has no error at the extreme, so that the error of a
 * block, even if its weights count alike, is never greater than with the plain scale.
 */
function searchedScale(block: Float64Array, plain: number): number {
  if (plain === 0 || !Number.isFinite(plain)) return plain
  const extreme = -8 * plain
  let best = plain
  let bestGain = 0
  let least = 0
  for (let place = 0; place < extremeCodes.length; place++) {
    const inverse = extremeCodes[place] / -extreme
    const code = Math.max(-8, Math.floor(0.5 - extremeCodes[place]))
    let xq = (extremeCount - 1) * extreme * code
    let qq = (extremeCount - 1) * code * code
    for (let i = 0; i < blockSize; i++) {
      const x = block[i]
      const unsigned = (x * inverse + 8.5) | 0 // from -0.5 up, which becomes 0
      const q = (unsigned > 15 ? 15 : unsigned) - 8
      xq += x * q
      qq += q * q
    }
    if (place === 0) {
      bestGain = plain * (2 * xq - plain * qq)
      least = bestGain * leastGain
    }
    const gain = (xq * xq) / qq
    if (gain > bestGain + least) {
      bestGain = gain
      best = Math.fround(xq / qq)
    }
  }
  return best
}

function writeCodes4(block: Float64Array, scale: number, codes: Uint8Array, at: number): void {
  const inverse = scale === 0 ? 0 : 1 / scale
  for (let i = 0; i < blockSize / 2; i++) {
    let low = Math.floor(block[2 * i] * inverse + 8.5)
    let high = Math.floor(block[2 * i + 1] * inverse + 8.5)
    low = low < 0 ? 0 : low > 15 ? 15 : low
    high = high < 0 ? 0 : high > 15 ? 15 : high
    codes[at + i] = low | (high << 4)
  }
}

function writeCodes8(block: Float64Array, scale: number, codes: Uint8Array, at: number): void {
  const inverse = scale === 0 ? 0 : 1 / scale
  for (let i = 0; i < blockSize; i++) {
    const code = Math.floor(block[i] * inverse + 128.5)
    codes[at + i] = code < 0 ? 0 : code > 255 ? 255 : code
  }
}
