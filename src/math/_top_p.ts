import type { TokenWeights } from "./_token_weights.ts"

const BUCKETS_PER_NAT = 32
/** The last bucket takes what lies 64 nats and more below the greatest score. */
const LAST_BUCKET = 64 * BUCKETS_PER_NAT

/**
 * Finds the last id, in order of falling score and then of rising id, that the top-p step keeps,
 * without sorting the vocabulary: the masses of buckets of scores tell the bucket that holds it, and
 * only its members are ranked. One workspace for one vocabulary size.
 */
export class TopP {
  /** `[LAST_BUCKET + 1]`, by distance from the greatest score. */
  readonly #masses = new Float64Array(LAST_BUCKET + 1)
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
    { weights, total }: TokenWeights,
    topP: number,
  ): number {
    const masses = this.#masses
    const members = this.#members
    const scale = Math.min(BUCKETS_PER_NAT / temperature, Number.MAX_VALUE)
    masses.fill(0)
    // No test whether an id still counts: it would be hard to predict, and a weight of 0 adds nothing.
    for (let v = 0; v < scores.length; v++) {
      let bucket = (max - scores[v]) * scale
      if (bucket > LAST_BUCKET) bucket = LAST_BUCKET
      masses[bucket | 0] += weights[v]
    }
    let rest = topP * total
    let border = 0
    while (border <= LAST_BUCKET && masses[border] < rest) rest -= masses[border++]
    if (border > LAST_BUCKET) return -1
    let count = 0
    for (let v = 0; v < scores.length; v++) {
      let bucket = (max - scores[v]) * scale
      if (bucket > LAST_BUCKET) bucket = LAST_BUCKET
      if ((bucket | 0) === border) members[count++] = v
    }
    return reach(members, count, rest, scores, weights)
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
