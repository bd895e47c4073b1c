import { assert, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { blockSize, quantizeBlocks } from "../../src/llama/quantize.ts"
import { codeAt, dequantize } from "./_dequantized.ts"

/** One block after the other, one weight after the other, with nothing clever. */
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

describe("quantizeBlocks", () => {
  for (const bits of [4, 8] as const) {
    const zero = 2 ** (bits - 1)

    it(`gives the codes and scales of its obvious twin at ${bits} bits`, () => {
      for (const { weights, rows, columns } of matrices()) {
        const found = quantizeBlocks(weights, rows, columns, bits)
        const { codes, scales } = reference(weights, rows, columns, bits)
        assertEquals(found.scales.length, scales.length)
        assertEquals(found.codes.length, (codes.length * bits) / 8)
        assertEquals([...found.scales], scales)
        const read = codes.map((_, i) => codeAt(found, i))
        // The twin divides and this multiplies by the inverse: a tie may fall to the other side.
        for (const [i, code] of read.entries()) assert(Math.abs(code - codes[i]) <= 1)
        const different = read.filter((code, i) => code !== codes[i]).length
        assert(different <= codes.length / 1000, `${different} of ${codes.length} codes differ`)
      }
    })

    it(`is at most half a scale off at ${bits} bits, a whole one at the end that has no code`, () => {
      for (const { weights, rows, columns } of matrices()) {
        const quantized = quantizeBlocks(weights, rows, columns, bits)
        const back = dequantize(quantized, rows, columns)
        const blocks = Math.ceil(columns / blockSize)
        for (const [i, weight] of weights.entries()) {
          const column = i % columns
          const scale = quantized.scales[Math.floor(i / columns) * blocks + (column >> 5)]
          // Codes end half a step early on the side that is opposite to the extreme.
          const beyond = weight / scale > zero - 0.5
          const bound = Math.abs(scale) * (beyond ? 1 : 0.5) * (1 + 1e-6)
          assert(Math.abs(weight - back[i]) <= bound, `${weight} came back as ${back[i]}`)
        }
      }
    })

    it(`keeps the extreme value of each block exactly at ${bits} bits`, () => {
      for (const { weights, rows, columns } of matrices()) {
        const back = dequantize(quantizeBlocks(weights, rows, columns, bits), rows, columns)
        for (let row = 0; row < rows; row++) {
          for (let begin = row * columns; begin < (row + 1) * columns; begin += blockSize) {
            const end = Math.min(begin + blockSize, (row + 1) * columns)
            const block = [...weights.subarray(begin, end)]
            const largest = Math.max(...block.map(Math.abs))
            const at = block.findIndex((x) => Math.abs(x) === largest)
            assert(back[begin + at] === block[at], `${block[at]} became ${back[begin + at]}`)
          }
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
})
