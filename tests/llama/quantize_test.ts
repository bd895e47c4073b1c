import { assert, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { crc32 } from "node:zlib"
import { blockSize, quantizeBlocks, quantizerVersion } from "../../src/llama/quantize.ts"
import { codeAt, dequantize } from "./_dequantized.ts"

/** Plain rounding: one block after the other, one weight after the other, with nothing clever. */
function reference(weights: Float32Array, rows: number, columns: number, bits: 4 | 8) {
  const zero = 2 ** (bits - 1)
  const codes: number[] = []
  const scales: number[] = []
  for (let row = 0; row < rows; row++) {
    for (let begin = 0; begin < columns; begin += 32) {
      const block = Array.from(
        { length: 32 },
        (_, i) => begin + i < columns ? weights[row * columns + begin + i] : 0,
      )
      const largest = Math.max(...block.map(Math.abs))
      const extreme = block.find((x) => Math.abs(x) === largest)!
      const scale = Math.fround(-extreme / zero)
      scales.push(scale)
      for (const x of block) {
        const code = scale === 0 ? zero : Math.round(x / scale) + zero
        codes.push(Math.min(2 * zero - 1, Math.max(0, code)))
      }
    }
  }
  return { codes, scales }
}

const shapes = [[1, 32], [3, 64], [5, 33], [2, 1], [4, 31], [7, 100], [1, 5]] as const

/** Matrices of many kinds: bell-shaped, heavy-tailed, one-sided, with zeros, tiny and huge. */
function matrices(): { weights: Float32Array; rows: number; columns: number }[] {
  const random = randomStream(31)
  const uniform = () => random.nextUniform() * 2 - 1
  const kinds: (() => number)[] = [
    () => uniform() + uniform() + uniform(),
    () => uniform() ** 9 * 50,
    () => Math.abs(uniform()),
    () => random.nextUint32() % 3 === 0 ? 0 : uniform(),
    () => uniform() * 1e-30,
    () => uniform() * 1e30,
    () => random.nextUint32() % 2 === 0 ? 1 : -1,
    () => 0,
  ]
  return shapes.flatMap(([rows, columns]) =>
    kinds.map((kind) => ({
      weights: Float32Array.from({ length: rows * columns }, kind),
      rows,
      columns,
    }))
  )
}

/** Weights as sums of twelve uniform numbers. */
function bells(rows: number, columns: number) {
  const random = randomStream(7)
  const bell = () => Array.from({ length: 12 }, () => random.nextUniform()).reduce((a, b) => a + b)
  const weights = Float32Array.from({ length: rows * columns }, () => bell() - 6)
  return { weights, rows, columns }
}

/** What plain rounding stands for. */
function plainly(weights: Float32Array, rows: number, columns: number, bits: 4 | 8): Float32Array {
  const { codes, scales } = reference(weights, rows, columns, bits)
  const blocks = Math.ceil(columns / blockSize)
  return Float32Array.from(weights, (_, i) => {
    const column = i % columns
    const block = Math.floor(i / columns) * blocks + (column >> 5)
    return (codes[block * blockSize + (column & 31)] - 2 ** (bits - 1)) * scales[block]
  })
}

/** The parts of rows that share a scale, as ranges of indices. */
function blocksOf(rows: number, columns: number): [begin: number, end: number][] {
  return Array.from(
    { length: rows },
    (_, row) =>
      Array.from({ length: Math.ceil(columns / blockSize) }, (_, block): [number, number] => {
        const begin = row * columns + block * blockSize
        return [begin, Math.min(begin + blockSize, (row + 1) * columns)]
      }),
  ).flat()
}

function squaredError(a: Float32Array, b: Float32Array, [begin, end]: [number, number]): number {
  let sum = 0
  for (let i = begin; i < end; i++) sum += (a[i] - b[i]) ** 2
  return sum
}

describe("quantizeBlocks", () => {
  for (const bits of [4, 8] as const) {
    const zero = 2 ** (bits - 1)

    it(`rounds each weight to the nearest code of its block's scale at ${bits} bits`, () => {
      for (const { weights, rows, columns } of matrices()) {
        const quantized = quantizeBlocks(weights, rows, columns, bits)
        for (const [block, [begin, end]] of blocksOf(rows, columns).entries()) {
          const scale = quantized.scales[block]
          for (let i = begin; i < end; i++) {
            const code = codeAt(quantized, block * blockSize + i - begin)
            const exact = scale === 0 ? zero : weights[i] / scale + zero
            const nearest = Math.min(2 * zero - 1, Math.max(0, exact))
            // Half a code, and what float32 cannot tell from it.
            assert(Math.abs(code - nearest) <= 0.5 + 1e-5, `${weights[i]} became ${code}`)
          }
        }
      }
    })

    it(`is never worse than plain rounding at ${bits} bits, in the squared error of a block`, () => {
      for (const { weights, rows, columns } of matrices()) {
        const back = dequantize(quantizeBlocks(weights, rows, columns, bits), rows, columns)
        const plain = plainly(weights, rows, columns, bits)
        for (const block of blocksOf(rows, columns)) {
          const found = squaredError(back, weights, block)
          const bound = squaredError(plain, weights, block)
          assert(found <= bound * (1 + 1e-5), `${found} instead of ${bound}`)
        }
      }
    })

    it(`gives codes that stand for themselves back at ${bits} bits`, () => {
      const codes = Array.from({ length: 2 * zero }, (_, code) => code)
      const rows = Math.ceil(codes.length / 31)
      // The lowest code leads every block, so that the scale is 0.25 again.
      const weights = new Float32Array(rows * 32)
      for (let i = 0; i < weights.length; i++) {
        const code = i % 32 === 0 ? 0 : codes[(i - Math.floor(i / 32) - 1) % codes.length]
        weights[i] = (code - zero) * 0.25
      }
      const quantized = quantizeBlocks(weights, rows, 32, bits)
      assertEquals([...quantized.scales], new Array(rows).fill(0.25))
      assertEquals(dequantize(quantized, rows, 32), weights)
    })

    it(`fills the last block of a row with zeros at ${bits} bits`, () => {
      const quantized = quantizeBlocks(new Float32Array(2 * 33).fill(-3), 2, 33, bits)
      assertEquals(quantized.scales.length, 4)
      for (let row = 0; row < 2; row++) {
        for (let i = 33; i < 64; i++) assertEquals(codeAt(quantized, row * 64 + i), zero)
      }
    })

    it(`does not hide what is no number at ${bits} bits`, () => {
      for (const damage of [NaN, Infinity, -Infinity]) {
        const weights = new Float32Array(64).fill(0.5)
        weights[40] = damage
        const back = dequantize(quantizeBlocks(weights, 2, 32, bits), 2, 32)
        assert(back.subarray(0, 32).every((x) => x === 0.5), "the sound block")
        assert(back.subarray(32).some(Number.isNaN), `${damage} became ${back.subarray(32)}`)
      }
    })
  }

  it("gives the codes and scales of its obvious twin at 8 bits", () => {
    for (const { weights, rows, columns } of matrices()) {
      const found = quantizeBlocks(weights, rows, columns, 8)
      const { codes, scales } = reference(weights, rows, columns, 8)
      assertEquals([...found.scales], scales)
      assertEquals(found.codes.length, codes.length)
      // The twin divides and this multiplies by the inverse: a tie may fall to the other side.
      for (const [i, code] of found.codes.entries()) assert(Math.abs(code - codes[i]) <= 1)
      const different = found.codes.filter((code, i) => code !== codes[i]).length
      assert(different <= codes.length / 1000, `${different} of ${codes.length} codes differ`)
    }
  })

  it("finds scales at 4 bits that take 4 % off the squared error of bell-shaped weights", () => {
    const { weights, rows, columns } = bells(200, 320)
    const back = dequantize(quantizeBlocks(weights, rows, columns, 4), rows, columns)
    const all: [number, number] = [0, weights.length]
    const plain = squaredError(plainly(weights, rows, columns, 4), weights, all)
    const found = squaredError(back, weights, all)
    assert(found < 0.96 * plain, `${found / plain} of plain rounding's error`) // measured: 0.955
  })

  it("gives the same bytes on every runtime", () => {
    const { weights, rows, columns } = bells(64, 320)
    const sums = ([4, 8] as const).map((bits) => {
      const { codes, scales } = quantizeBlocks(weights, rows, columns, bits)
      return [crc32(codes), crc32(new Uint8Array(scales.buffer))]
    })
    // Another sum is another quantiser: then quantizerVersion has to go up, or old files are used.
    assertEquals(sums, [[577717700, 1383375147], [2852337233, 859252394]])
    assertEquals(quantizerVersion, 2)
  })
})
