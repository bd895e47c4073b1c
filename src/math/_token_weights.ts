import { expBlocks } from "./exp.ts"

/** Ids to one block: a draw walks the sums of the blocks, then the weights of one of them. */
const BLOCK = 256

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
    for (let b = 0, from = 0; from < weights.length; b++, from += BLOCK) {
      const to = Math.min(from + BLOCK, weights.length)
      let sum = 0
      for (let v = from; v < to; v++) {
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

  /** Cuts the ids of a lower weight than `least`. */
  cutBelow(least: number): void {
    const { weights, blockSums } = this
    let total = 0
    for (let b = 0, from = 0; from < weights.length; b++, from += BLOCK) {
      const to = Math.min(from + BLOCK, weights.length)
      let sum = 0
      for (let v = from; v < to; v++) {
        let weight = weights[v]
        if (weight < least) weight = 0
        weights[v] = weight
        sum += weight
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
    return findInBlock(weights, rest, block * BLOCK, Math.min((block + 1) * BLOCK, weights.length))
  }
}

function findInBlock(weights: Float64Array, target: number, from: number, to: number): number {
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
