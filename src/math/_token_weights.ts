import { expBlocks } from "./exp.ts"

/** Ids to one block: a draw walks the sums of the blocks, then the weights of one of them. */
export const BLOCK = 256

/**
 * The unnormalised probabilities of one token, from 0 to 1, the greatest exactly 1, with their sums
 * over blocks of ids.
 */
export class TokenWeights {
  /** `[vocab]` */
  readonly weights: Float64Array
  /** `[ceil(vocab / BLOCK)]` */
  readonly blockSums: Float64Array
  /** The sum of `blockSums`. */
  total = 0

  constructor(size: number) {
    this.weights = new Float64Array(size)
    this.blockSums = new Float64Array(Math.ceil(size / BLOCK))
  }

  /** `e^((scores[v] - max) / temperature)` for all ids; `total` becomes NaN when any score is. */
  fill(scores: Float32Array, max: number, temperature: number): void {
    const { weights, blockSums } = this
    this.total = expBlocks(scores, max, temperature, weights, blockSums, BLOCK)
  }

  /** Cuts the ids of a lower score than `score`, and of those at `score` the ids over `lastId`. */
  cutAfter(scores: Float32Array, score: number, lastId: number): void {
    const { weights, blockSums } = this
    let total = 0
    for (let b = 0; b < blockSums.length; b++) {
      const to = Math.min((b + 1) * BLOCK, weights.length)
      let sum = 0
      for (let v = b * BLOCK; v < to; v++) {
        let weight = weights[v]
        if (scores[v] < score) weight = 0
        else if (scores[v] === score && v > lastId) weight = 0
        weights[v] = weight
        sum += weight
      }
      blockSums[b] = sum
      total += sum
    }
    this.total = total
  }

  /** Cuts the ids of a lower weight than `weight`. */
  cutBelow(weight: number): void {
    const { weights, blockSums } = this
    let total = 0
    for (let b = 0; b < blockSums.length; b++) {
      const to = Math.min((b + 1) * BLOCK, weights.length)
      let sum = 0
      for (let v = b * BLOCK; v < to; v++) {
        if (weights[v] < weight) weights[v] = 0
        sum += weights[v]
      }
      blockSums[b] = sum
      total += sum
    }
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
    const to = Math.min((block + 1) * BLOCK, weights.length)
    let id = block * BLOCK
    for (let v = id; v < to; v++) {
      if (weights[v] === 0) continue
      id = v
      if (rest < weights[v]) break
      rest -= weights[v]
    }
    return id
  }
}
