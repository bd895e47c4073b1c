import type { TokenWeights } from "./_token_weights.ts"
import { BUCKET_SHIFT, BUCKETS } from "./kernels/constants.ts"
import type { Region } from "./kernels/region.ts"

/**
 * The last id, in order of falling weight and then of rising id, that the top-p step keeps: the one at
 * which the mass reaches `topP * total`; -1 when rounding leaves none, and so nothing to cut.
 *
 * Nothing sorts the vocabulary: the masses of buckets of weights tell the bucket that holds the id, and
 * only its members are ranked. The weights are those of the region's occupant.
 */
export function topPLast(region: Region, held: TokenWeights, topP: number): number {
  const { kernels, weights, weightBits, masses, members } = region
  const { total } = held
  let rest = topP * total
  // What weighs less has, all together, less than half of the mass to be cut. Most ids do.
  const least = Math.fround(0.5 * (1 - topP) * total / weights.length)
  float[0] = least
  const last = bits[0] >> BUCKET_SHIFT
  masses.fill(0, last)
  kernels.addToBuckets(weights, weightBits, least, masses)
  let border = BUCKETS - 1
  while (border >= last && masses[border] < rest) rest -= masses[border--]
  if (border < last) return -1
  const from = border << BUCKET_SHIFT
  const count = kernels.gatherBucket(weightBits, from, from + (1 << BUCKET_SHIFT), members)
  return reach(members, count, rest, weights)
}

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/**
 * The first of the ids, in order of falling weight and then of rising id, at which the cumulative
 * weight reaches `mass`; reorders the ids: quickselect by mass, then insertion sort of a short range.
 */
function reach(ids: Int32Array, count: number, mass: number, weights: Float32Array): number {
  let from = 0
  let to = count
  let rest = mass
  while (to - from > 16) {
    const split = partition(ids, from, to, weights)
    let sum = 0
    for (let i = from; i < split; i++) sum += weights[ids[i]]
    if (sum >= rest) to = split
    else {
      rest -= sum
      from = split
    }
  }
  sortRange(ids, from, to, weights)
  let i = from
  while (i < to - 1 && weights[ids[i]] < rest) rest -= weights[ids[i++]]
  return ids[i]
}

function ranksBefore(a: number, b: number, weights: Float32Array): boolean {
  return weights[a] > weights[b] || (weights[a] === weights[b] && a < b)
}

// Hoare's partition around the middle id: returns a split strictly between `from` and `to`, with
// every id before it ranked before every id from it on.
function partition(ids: Int32Array, from: number, to: number, weights: Float32Array): number {
  const pivot = ids[(from + to - 1) >> 1]
  let i = from - 1
  let j = to
  while (true) {
    do i++
    while (ranksBefore(ids[i], pivot, weights))
    do j--
    while (ranksBefore(pivot, ids[j], weights))
    if (i >= j) return j + 1
    const id = ids[i]
    ids[i] = ids[j]
    ids[j] = id
  }
}

function sortRange(ids: Int32Array, from: number, to: number, weights: Float32Array): void {
  for (let i = from + 1; i < to; i++) {
    const id = ids[i]
    let j = i
    while (j > from && ranksBefore(id, ids[j - 1], weights)) ids[j] = ids[--j]
    ids[j] = id
  }
}
