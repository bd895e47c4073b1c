import { BLOCK } from "./kernels/constants.ts"
import { exponentScale } from "./kernels/exponent_scale.ts"
import type { Kernels } from "./kernels/kernels.ts"
import { plainKernels, sumBlock } from "./kernels/plain_loops.ts"
import type { Occupant, Region } from "./kernels/region.ts"

interface Arrays {
  readonly weights: Float32Array
  readonly blockSums: Float64Array
}

/**
 * The unnormalised probabilities of one token, from 0 to 1, the greatest exactly 1, with their sums
 * over blocks of ids: in the region of the scores that they come from, until that has another use.
 */
export class TokenWeights implements Occupant {
  /** `[vocab]` */
  weights: Float32Array = new Float32Array(0)
  /** `[ceil(vocab / BLOCK)]` */
  blockSums: Float64Array = new Float64Array(0)
  /** The sum of `blockSums`; 0 while there is no distribution. */
  total = 0
  kernels: Kernels = plainKernels
  #region: Region | undefined
  #own: Arrays | undefined

  /**
   * Moves into the region of the scores, whose occupant has to leave, and takes
   * `e^((scores[v] - max) / temperature)` for all ids. Returns `total`, NaN when any score is.
   */
  fill(region: Region, scores: Float32Array, max: number, temperature: number): number {
    if (region.occupant !== this) region.occupant?.leave()
    region.occupant = this
    this.#region = region
    this.weights = region.weights
    this.blockSums = region.blockSums
    this.kernels = region.kernels
    const scale = exponentScale(temperature)
    return this.total = this.kernels.exponentials(scores, max, scale, this.weights, this.blockSums)
  }

  leave(): void {
    const { weights, blockSums } = this
    if (this.#own?.weights.length !== weights.length) {
      this.#own = { weights: weights.slice(), blockSums: blockSums.slice() }
    } else {
      this.#own.weights.set(weights)
      this.#own.blockSums.set(blockSums)
    }
    this.weights = this.#own.weights
    this.blockSums = this.#own.blockSums
    this.kernels = plainKernels
    this.#region = undefined
  }

  unset(): void {
    if (this.#region?.occupant === this) this.#region.occupant = undefined
    this.#region = undefined
    this.total = 0
  }

  /** Writes the probabilities. */
  normalize(out: Float32Array): void {
    const { kernels, weights } = this
    const factor = Math.fround(1 / this.total)
    const { buffer } = kernels
    if (buffer === undefined || out.buffer === buffer) return kernels.multiply(weights, factor, out)
    const { candidates } = this.#region!
    kernels.multiply(weights, factor, candidates)
    out.set(candidates)
  }

  /** Cuts the ids of a lower key `[vocab]` than `least`, a float32. */
  keepAtLeast(keys: Float32Array, least: number): void {
    const { weights, blockSums } = this
    this.kernels.keepAtLeast(keys, least, weights, blockSums, 0, blockSums.length)
    this.#addUp()
  }

  /** Cuts the ids of a lower weight than that of `lastId`, and of those at it the ids over `lastId`. */
  cutAfter(lastId: number): void {
    const { weights, blockSums, kernels } = this
    const least = weights[lastId]
    const border = Math.floor(lastId / BLOCK)
    const end = Math.min((border + 1) * BLOCK, weights.length)
    kernels.keepAtLeast(weights, least, weights, blockSums, 0, border)
    for (let v = border * BLOCK; v < end; v++) {
      if (weights[v] < least || weights[v] === least && v > lastId) weights[v] = 0
    }
    blockSums[border] = sumBlock(weights, border * BLOCK, end)
    const next = nextFloat32(least)
    kernels.keepAtLeast(weights, next, weights, blockSums, border + 1, blockSums.length)
    this.#addUp()
  }

  #addUp(): void {
    const { blockSums } = this
    let total = 0
    for (let b = 0; b < blockSums.length; b++) total += blockSums[b]
    this.total = total
  }

  /** How many ids have a weight above 0. */
  count(): number {
    const { weights } = this
    let count = 0
    for (let v = 0; v < weights.length; v++) if (weights[v] > 0) count++
    return count
  }

  /**
   * The first id whose cumulative weight, in id order, exceeds `target` in [0, total]. Where
   * rounding leaves none, the last id of a weight above 0.
   */
  find(target: number): number {
    const { weights, blockSums } = this
    let rest = target
    let block = -1
    for (let b = 0; b < blockSums.length && block < 0; b++) {
      if (rest < blockSums[b]) block = b
      else rest -= blockSums[b]
    }
    if (block < 0) {
      block = blockSums.length - 1
      while (block > 0 && blockSums[block] === 0) block--
      rest = Infinity
    }
    return findInBlock(weights, rest, block * BLOCK, Math.min((block + 1) * BLOCK, weights.length))
  }
}

function findInBlock(weights: Float32Array, target: number, from: number, to: number): number {
  let rest = target
  let id = from
  for (let v = from; v < to; v++) {
    if (weights[v] === 0) continue
    id = v
    if (rest < weights[v]) break
    rest -= weights[v]
  }
  return id
}

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** The next float32 over a positive one. */
export function nextFloat32(value: number): number {
  float[0] = value
  bits[0]++
  return float[0]
}
