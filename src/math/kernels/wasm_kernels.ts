/**
 * The kernels in WebAssembly: whole blocks of ids there, the ids that are left in the plain loops.
 *
 * The module is assembled and compiled when it is first asked for, which takes a few milliseconds.
 */
import { BLOCK } from "./constants.ts"
import type { Kernels } from "./kernels.ts"
import {
  addToBuckets,
  areBelowInfinity,
  exponentials,
  gatherBucket,
  groupMaxima,
  keepAtLeast,
  mix,
  multiply,
  sumExponentials,
} from "./plain_loops.ts"
import { assembleKernels } from "./wasm_source.ts"

type Exports = Readonly<Record<string, (...args: number[]) => number>>

let compiled: WebAssembly.Module | null | undefined

/** The module; undefined where there is no WebAssembly, or one without vectors. */
function compile(): WebAssembly.Module | undefined {
  if (compiled === undefined) {
    try {
      compiled = new WebAssembly.Module(assembleKernels())
    } catch {
      compiled = null
    }
  }
  return compiled ?? undefined
}

/** The kernels over a memory; undefined where they cannot run. */
export function wasmKernels(memory: WebAssembly.Memory): Kernels | undefined {
  const module = compile()
  if (module === undefined) return undefined
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  return new WasmKernels(exports as unknown as Exports, memory.buffer)
}

/** The ids of whole blocks. */
const wholeBlocks = (length: number): number => length - length % BLOCK

class WasmKernels implements Kernels {
  readonly buffer: ArrayBufferLike
  readonly #run: Exports

  constructor(run: Exports, buffer: ArrayBufferLike) {
    this.#run = run
    this.buffer = buffer
  }

  mix(
    base: Float32Array,
    rows: readonly Float32Array[],
    weights: Float64Array,
    count: number,
    length: number,
    isExcluding: boolean,
    out: Float32Array,
  ): void {
    const run = this.#run
    const whole = wholeBlocks(length)
    const from = base.byteOffset
    const end = from + 4 * whole
    const to = out.byteOffset
    const a = rows[0].byteOffset
    const b = count > 1 ? rows[1].byteOffset : 0
    const c = count > 2 ? rows[2].byteOffset : 0
    const d = count > 3 ? rows[3].byteOffset : 0
    const wa = weights[0]
    const wb = weights[1]
    const wc = weights[2]
    const wd = weights[3]
    if (whole === 0) {
      // All is left to the plain loops.
    } else if (count === 1) {
      const kernel = isExcluding ? run.mix1Excluding : run.mix1
      kernel(from, to, end, a, wa)
    } else if (count === 2) {
      const kernel = isExcluding ? run.mix2Excluding : run.mix2
      kernel(from, to, end, a, b, wa, wb)
    } else if (count === 3) {
      const kernel = isExcluding ? run.mix3Excluding : run.mix3
      kernel(from, to, end, a, b, c, wa, wb, wc)
    } else {
      const kernel = isExcluding ? run.mix4Excluding : run.mix4
      kernel(from, to, end, a, b, c, d, wa, wb, wc, wd)
    }
    if (whole < length) mix(base, rows, weights, count, length, isExcluding, out, whole)
  }

  groupMaxima(scores: Float32Array, maxima: Float32Array): void {
    const start = scores.byteOffset
    const whole = wholeBlocks(scores.length)
    if (whole > 0) this.#run.groupMaxima(start, start + 4 * whole, maxima.byteOffset)
    groupMaxima(scores, maxima, whole)
  }

  exponentials(
    scores: Float32Array,
    max: number,
    scale: number,
    weights: Float32Array,
    sums: Float64Array,
  ): number {
    const start = scores.byteOffset
    const whole = wholeBlocks(scores.length)
    const end = start + 4 * whole
    const total = whole === 0
      ? 0
      : this.#run.exponentials(start, end, max, scale, weights.byteOffset, sums.byteOffset)
    return exponentials(scores, max, scale, weights, sums, whole, total)
  }

  sumExponentials(scores: Float32Array, max: number, scale: number): number {
    const start = scores.byteOffset
    const whole = wholeBlocks(scores.length)
    const total = whole === 0
      ? 0
      : this.#run.sumExponentials(start, start + 4 * whole, max, scale, 0, 0)
    return sumExponentials(scores, max, scale, whole, total)
  }

  keepAtLeast(
    keys: Float32Array,
    least: number,
    weights: Float32Array,
    sums: Float64Array,
    fromBlock: number,
    toBlock: number,
  ): void {
    const end = Math.min(toBlock, wholeBlocks(keys.length) / BLOCK)
    if (fromBlock < end) {
      this.#run.keepAtLeast(
        keys.byteOffset + 4 * BLOCK * fromBlock,
        keys.byteOffset + 4 * BLOCK * end,
        least,
        weights.byteOffset + 4 * BLOCK * fromBlock,
        sums.byteOffset + 8 * fromBlock,
      )
    }
    keepAtLeast(keys, least, weights, sums, Math.max(fromBlock, end), toBlock)
  }

  addToBuckets(
    weights: Float32Array,
    bits: Int32Array,
    least: number,
    masses: Float64Array,
  ): void {
    const start = weights.byteOffset
    const whole = wholeBlocks(weights.length)
    if (whole > 0) this.#run.addToBuckets(start, start + 4 * whole, least, masses.byteOffset)
    addToBuckets(weights, bits, least, masses, whole)
  }

  gatherBucket(bits: Int32Array, from: number, to: number, members: Int32Array): number {
    const start = bits.byteOffset
    const whole = wholeBlocks(bits.length)
    const count = whole === 0
      ? 0
      : this.#run.gatherBucket(start, start + 4 * whole, from, to, members.byteOffset)
    return gatherBucket(bits, from, to, members, whole, count)
  }

  multiply(values: Float32Array, factor: number, out: Float32Array): void {
    const start = values.byteOffset
    const whole = wholeBlocks(values.length)
    if (whole > 0) this.#run.multiply(start, start + 4 * whole, factor, out.byteOffset)
    multiply(values, factor, out, whole)
  }

  areBelowInfinity(scores: Float32Array): boolean {
    const start = scores.byteOffset
    const whole = wholeBlocks(scores.length)
    const areBelow = whole === 0 || this.#run.areBelowInfinity(start, start + 4 * whole) === 1
    return areBelow && areBelowInfinity(scores, whole)
  }
}
