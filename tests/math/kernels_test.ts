import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { BLOCK, BUCKET_SHIFT, BUCKETS, GROUP } from "../../src/math/kernels/constants.ts"
import { exponentScale } from "../../src/math/kernels/exponent_scale.ts"
import type { Kernels } from "../../src/math/kernels/kernels.ts"
import { plainKernels } from "../../src/math/kernels/plain_loops.ts"
import { wasmKernels } from "../../src/math/kernels/wasm_kernels.ts"
import { type ScoreCase, scoreCasesOfSize } from "./_reference.ts"

const sizes = [1, 15, 16, 255, 256, 257, 512, 1000, 1024, 2051]
const cases = sizes.flatMap((size) => scoreCasesOfSize(size, 40 + size))

const memory = new WebAssembly.Memory({ initial: 8, maximum: 8 })
const wasm = wasmKernels(memory)!

/** The same work of both versions, each on arrays of its own, for every kind of scores. */
function bothAgree(work: (kernels: Kernels, arrays: Arrays, one: ScoreCase) => unknown): void {
  for (const one of cases) {
    const size = one.scores.length
    const found = [wasm, plainKernels].map((kernels) => {
      const arrays = allocate(kernels, size)
      arrays.scores.set(one.scores)
      return [work(kernels, arrays, one), arrays]
    })
    assertEquals(found[0], found[1], one.name)
  }
}

type Arrays = ReturnType<typeof allocate>

function allocate(kernels: Kernels, size: number) {
  if (kernels === wasm) new Uint8Array(memory.buffer).fill(0)
  let at = 64
  const take = (length: number, width: number): [ArrayBufferLike, number, number] => {
    if (kernels === plainKernels) return [new ArrayBuffer(length * width), 0, length]
    const offset = at
    at += Math.ceil(length * width / 8) * 8
    return [memory.buffer, offset, length]
  }
  const blocks = Math.ceil(size / BLOCK)
  const weights = new Float32Array(...take(size, 4))
  return {
    scores: new Float32Array(...take(size, 4)),
    weights,
    weightBits: new Int32Array(weights.buffer, weights.byteOffset, size),
    out: new Float32Array(...take(size, 4)),
    rows: Array.from({ length: 4 }, () => new Float32Array(...take(size, 4))),
    sums: new Float64Array(...take(blocks, 8)),
    maxima: new Float32Array(...take(Math.ceil(size / GROUP), 4)),
    masses: new Float64Array(...take(BUCKETS, 8)),
    members: new Int32Array(...take(size, 4)),
  }
}

function greatest(scores: Float32Array): number {
  return scores.reduce((a, b) => Math.max(a, b))
}

function weigh(kernels: Kernels, { scores, weights, sums }: Arrays, temperature = 1): number {
  const scale = exponentScale(temperature)
  return kernels.exponentials(scores, greatest(scores), scale, weights, sums)
}

describe("the WebAssembly kernels and the plain loops", () => {
  it("can both run here", () => {
    assert(wasm !== undefined, "expected WebAssembly with 128-bit vectors")
    assert(wasm.buffer === memory.buffer)
  })

  it("mix to the same bits, for every number of rows, sign and length", () => {
    const weights = [[0.7], [0.5, 2], [1, 0.1, 0.3], [0.1, 0.2, 0.3, 0.4], [-0.5], [1, -1]]
    for (const used of [...weights, [0.3, -0.7, 1e-50], [-1, 0.2, -0.3, 1.5]]) {
      bothAgree((kernels, { scores, rows, out }, one) => {
        const others = scoreCasesOfSize(scores.length, 99).map(({ scores }) => scores)
        for (let r = 0; r < used.length; r++) rows[r].set(others[(r + 3) % others.length])
        const isExcluding = used.some((weight) => !(Math.fround(weight) > 0))
        const length = Math.ceil(scores.length * (one.name.startsWith("wide") ? 0.7 : 1))
        const all = Float64Array.from(used)
        kernels.mix(scores, rows, all, used.length, length, isExcluding, out)
        kernels.mix(out, rows, all, used.length, length, isExcluding, out)
      })
    }
  })

  it("find the same maxima, passing over NaN", () => {
    bothAgree((kernels, { scores, maxima }) => {
      kernels.groupMaxima(scores, maxima)
      scores[scores.length >> 1] = NaN
      kernels.groupMaxima(scores, maxima)
    })
  })

  it("take exponentials and their sums to the same bits at any temperature", () => {
    for (const temperature of [1, 0.7, 30, 1e-30, 1e30, Number.MIN_VALUE, 1e300]) {
      bothAgree((kernels, arrays) => {
        const total = weigh(kernels, arrays, temperature)
        const { scores, sums } = arrays
        const scale = exponentScale(temperature)
        assertEquals(kernels.sumExponentials(scores, greatest(scores), scale), total)
        assertEquals(sums.reduce((a, b) => a + b), total)
        return total
      })
    }
  })

  it("give NaN for the sum when one score is, wherever it stands", () => {
    for (const place of [0, 1, 14, 255, 256, 511, 999]) {
      for (const kernels of [wasm, plainKernels]) {
        const arrays = allocate(kernels, 1000)
        arrays.scores[place] = NaN
        const { scores, weights, sums } = arrays
        assertEquals(kernels.exponentials(scores, 0, 1, weights, sums), NaN)
        assertEquals(kernels.sumExponentials(scores, 0, 1), NaN)
      }
    }
  })

  it("cut and sum alike, by scores and by weights, from block to block", () => {
    bothAgree((kernels, arrays) => {
      weigh(kernels, arrays)
      const { scores, weights, sums } = arrays
      kernels.keepAtLeast(scores, scores[scores.length >> 1], weights, sums, 0, sums.length)
      kernels.keepAtLeast(weights, 0.25, weights, sums, sums.length >> 1, sums.length)
    })
  })

  it("fill the same buckets from the least weight on, and list the same members", () => {
    bothAgree((kernels, arrays) => {
      weigh(kernels, arrays)
      const { weights, weightBits, masses, members } = arrays
      const least = Math.fround(0.001)
      kernels.addToBuckets(weights, weightBits, least, masses)
      const from = BUCKETS - 1 << BUCKET_SHIFT
      return kernels.gatherBucket(weightBits, from, from + (1 << BUCKET_SHIFT), members)
    })
  })

  it("multiply alike", () => {
    bothAgree((kernels, { scores, out }) => kernels.multiply(scores, Math.fround(0.3), out))
  })

  it("see NaN and Infinity at any place, and nothing else", () => {
    for (const kernels of [wasm, plainKernels]) {
      const { scores } = allocate(kernels, 1000)
      scores.fill(-Infinity, 300, 600)
      assert(kernels.areBelowInfinity(scores))
      for (const place of [0, 17, 255, 256, 700, 767, 768, 999]) {
        for (const broken of [NaN, Infinity]) {
          scores[place] = broken
          assert(!kernels.areBelowInfinity(scores), `${broken} at ${place}`)
        }
        scores[place] = 1
      }
    }
  })
})

describe("the exponential of the kernels", () => {
  it("has a relative error under 2e-7 for exact exponents of 2", () => {
    const scores = Float32Array.from({ length: 120001 }, (_, i) => -i / 1024)
    const weights = new Float32Array(scores.length)
    plainKernels.exponentials(scores, 0, 1, weights, new Float64Array(500))
    assertEquals(weights[0], 1)
    let worst = 0
    for (let i = 0; i < weights.length; i++) {
      worst = Math.max(worst, Math.abs(weights[i] / 2 ** scores[i] - 1))
    }
    assert(worst < 2e-7, `${worst}`)
  })

  it("is exactly 0 where the exponent rounds to -127 or less", () => {
    const weights = new Float32Array(4)
    const scores = Float32Array.of(-126, -127, -1e30, -Infinity)
    plainKernels.exponentials(scores, 0, 1, weights, new Float64Array(1))
    assertEquals([...weights], [2 ** -126, 0, 0, 0])
  })

  it("sums its weights as float64 does, but for the rounding of 4 at a time", () => {
    for (const { name, scores } of cases) {
      const weights = new Float32Array(scores.length)
      const sums = new Float64Array(Math.ceil(scores.length / BLOCK))
      const total = plainKernels.exponentials(scores, greatest(scores), 1, weights, sums)
      const exact = weights.reduce((sum, weight) => sum + weight, 0)
      assertAlmostEquals(total / exact, 1, 2.5e-7, name)
    }
  })
})
