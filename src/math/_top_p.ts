import { BLOCK, type TokenWeights } from "./_token_weights.ts"

// The histogram spans 64 nats in buckets of 1/32. The floor of `find` keeps every weight within:
// it is at least 2^-54 / vocab, that is 60 nats under the greatest weight for 2^32 ids.
const BUCKETS_PER_NAT = 32
const BUCKETS = 64 * BUCKETS_PER_NAT

/**
 * Finds the last id, in order of falling score and then of rising id, that the top-p step keeps,
 * without sorting the vocabulary: the masses of buckets of scores tell the bucket that holds it, and
 * only its members are ranked. One workspace for one vocabulary size.
 */
export class TopP {
  /** `[BUCKETS]`, by distance from the greatest score. */
  readonly #masses = new Float64Array(BUCKETS)
  /** `[vocab]`: the ids of one bucket. */
  readonly #members: Int32Array

  constructor(size: number) {
    this.#members = new Int32Array(size)
  }

  /**
   * The id at which the mass of the more likely ids and its own reaches `topP * total`; -1 when
   * rounding leaves none, and so nothing to cut.
   */
  find(
    scores: Float32Array,
    max: number,
    temperature: number,
    held: TokenWeights,
    topP: number,
  ): number {
    // All weights up to `floor` together are at most half the mass that may be cut.
    const floor = (1 - topP) * held.total / (2 * scores.length)
    const scale = Math.min(BUCKETS_PER_NAT / temperature, Number.MAX_VALUE)
    this.#fillMasses(scores, max, scale, held, floor)

    const masses = this.#masses
    let rest = topP * held.total
    let bucket = 0
    while (bucket < BUCKETS && masses[bucket] < rest) rest -= masses[bucket++]
    if (bucket === BUCKETS) return -1
    const count = this.#gather(scores, max, scale, held, floor, bucket)
    return reach(this.#members, count, rest, scores, held.weights)
  }

  #fillMasses(
    scores: Float32Array,
    max: number,
    scale: number,
    held: TokenWeights,
    floor: number,
  ): void {
    const masses = this.#masses
    const { weights, blockSums } = held
    masses.fill(0)
    for (let b = 0; b < blockSums.length; b++) {
      if (blockSums[b] <= floor) continue
      const to = Math.min((b + 1) * BLOCK, weights.length)
      for (let v = b * BLOCK; v < to; v++) {
        if (weights[v] > floor) masses[((max - scores[v]) * scale) | 0] += weights[v]
      }
    }
  }

  // In id order, which `reach` profits from.
  #gather(
    scores: Float32Array,
    max: number,
    scale: number,
    held: TokenWeights,
    floor: number,
    bucket: number,
  ): number {
    const members = this.#members
    const { weights, blockSums } = held
    let count = 0
    for (let b = 0; b < blockSums.length; b++) {
      if (blockSums[b] <= floor) continue
      const to = Math.min((b + 1) * BLOCK, weights.length)
      for (let v = b * BLOCK; v < to; v++) {
        if (weights[v] > floor && (((max - scores[v]) * scale) | 0) === bucket) members[count++] = v
      }
    }
    return count
  }
}

/**
 * The first of the ids, in order of falling score and then of rising id, at which the cumulative
 * weight reaches `mass`; reorders the ids: quickselect by mass, then insertion sort of a short range.
 */
function reach(
  ids: Int32Array,
  count: number,
  mass: number,
  scores: Float32Array,
  weights: Float64Array,
): number {
  let from = 0
  let to = count
  let rest = mass
  while (to - from > 16) {
    const split = partition(ids, from, to, scores)
    let sum = 0
    for (let i = from; i < split; i++) sum += weights[ids[i]]
    if (sum >= rest) to = split
    else {
      rest -= sum
      from = split
    }
  }
  sortRange(ids, from, to, scores)
  let i = from
  while (i < to - 1 && weights[ids[i]] < rest) rest -= weights[ids[i++]]
  return ids[i]
}

function ranksBefore(a: number, b: number, scores: Float32Array): boolean {
  return scores[a] > scores[b] || (scores[a] === scores[b] && a < b)
}

// Hoare's partition around the middle id: returns a split strictly between `from` and `to`, with
// every id before it ranked before every id from it on.
function partition(ids: Int32Array, from: number, to: number, scores: Float32Array): number {
  const pivot = ids[(from + to - 1) >> 1]
  let i = from - 1
  let j = to
  while (true) {
    do i++
    while (ranksBefore(ids[i], pivot, scores))
    do j--
    while (ranksBefore(pivot, ids[j], scores))
    if (i >= j) return j + 1
    const id = ids[i]
    ids[i] = ids[j]
    ids[j] = id
  }
}

function sortRange(ids: Int32Array, from: number, to: number, scores: Float32Array): void {
  for (let i = from + 1; i < to; i++) {
    const id = ids[i]
    let j = i
    while (j > from && ranksBefore(id, ids[j - 1], scores)) ids[j] = ids[--j]
    ids[j] = id
  }
}
