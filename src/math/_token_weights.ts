import { BLOCK } from "./_block.ts"
import { expBlock } from "./exp.ts"

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
    this.total = 0
    for (let b = 0; b < blockSums.length; b++) {
      const to = Math.min((b + 1) * BLOCK, weights.length)
      blockSums[b] = expBlock(scores, max, temperature, weights, b * BLOCK, to)
      this.total += blockSums[b]
    }
  }

  /** Cuts the ids of a lower score than `score`, and of those at `score` the ids over `lastId`. */
  cutAfter(scores: Float32Array, score: number, lastId: number): void {
    const { weights, blockSums } = this
    this.total = 0
    for (let b = 0; b < blockSums.length; b++) {
      const to = Math.min((b + 1) * BLOCK, weights.length)
      blockSums[b] = cutBlockAfter(weights, scores, score, lastId, b * BLOCK, to)
      this.total += blockSums[b]
    }
  }

  /** Cuts the ids of a lower weight than `weight`. */
  cutBelow(weight: number): void {
    const { weights, blockSums } = this
    this.total = 0
    for (let b = 0; b < blockSums.length; b++) {
      const to = Math.min((b + 1) * BLOCK, weights.length)
      blockSums[b] = cutBlockBelow(weights, weight, b * BLOCK, to)
      this.total += blockSums[b]
    }
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

// These return the sum of the weights left, in id order.

function cutBlockAfter(
  weights: Float64Array,
  scores: Float32Array,
  score: number,
  lastId: number,
  from: number,
  to: number,
): number {
  let sum = 0
  for (let v = from; v < to; v++) {
    let weight = weights[v]
    if (scores[v] < score) weight = 0
    else if (scores[v] === score && v > lastId) weight = 0
    weights[v] = weight
    sum += weight
  }
  return sum
}

function cutBlockBelow(weights: Float64Array, least: number, from: number, to: number): number {
  let sum = 0
  for (let v = from; v < to; v++) {
    let weight = weights[v]
    if (weight < least) weight = 0
    weights[v] = weight
    sum += weight
  }
  return sum
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
