import type { TokenWeights } from "./_token_weights.ts"
import type { Region } from "./kernels/region.ts"
import { fastLog } from "./log.ts"

/** The ids in question, and how far each is from typical; grown to the largest vocabulary seen. */
let ids = new Int32Array(0)
let distances = new Float32Array(0)

/**
 * What the typical step keeps: the ids whose surprisal is nearest to the entropy, until their mass
 * reaches `typicalP * total`, and those as near as the last of them.
 *
 * Writes `-|surprisal - entropy|` of each id into the region's `candidates`, -Infinity for those cut
 * before, and returns the least of these that stays. The log-normaliser is in both surprisal and entropy
 * and falls out: what counts is the distance of `(max - score) / temperature` from its mean.
 */
export function typicalThreshold(
  { candidates }: Region,
  { weights, total }: TokenWeights,
  scores: Float32Array,
  max: number,
  temperature: number,
  typicalP: number,
): number {
  const size = weights.length
  if (ids.length < size) {
    ids = new Int32Array(size)
    distances = new Float32Array(size)
  }
  let mean = 0
  for (let v = 0; v < size; v++) {
    if (weights[v] > 0) mean += weights[v] * ((max - scores[v]) / temperature)
  }
  mean /= total
  // Beyond twice the mean the less likely are the farther: what is so unlikely that all of it together
  // is less than half of the mass to be cut, goes. Most ids are.
  const farthest = Math.max(2 * mean, -fastLog(0.5 * (1 - typicalP) * total / size))
  let count = 0
  for (let v = 0; v < size; v++) {
    candidates[v] = -Infinity
    if (weights[v] === 0) continue
    const surprisal = (max - scores[v]) / temperature
    const distance = Math.abs(surprisal - mean)
    candidates[v] = -distance
    if (surprisal > farthest) continue
    distances[v] = distance
    ids[count++] = v
  }
  return -distances[reach(count, typicalP * total, weights)]
}

/**
 * The first id, in order of rising distance, at which the cumulative weight reaches `mass`: quickselect
 * by mass. Where rounding leaves none, the last one.
 */
function reach(count: number, mass: number, weights: Float32Array): number {
  let from = 0
  let to = count
  let rest = mass
  while (true) {
    const pivot = distances[ids[(from + to) >> 1]]
    // Nearer than the pivot, as near, and farther.
    let i = from
    let nearer = from
    let farther = to
    let nearerMass = 0
    let pivotMass = 0
    while (i < farther) {
      const id = ids[i]
      const distance = distances[id]
      if (distance < pivot) {
        nearerMass += weights[id]
        ids[i++] = ids[nearer]
        ids[nearer++] = id
      } else if (distance > pivot) {
        ids[i] = ids[--farther]
        ids[farther] = id
      } else {
        pivotMass += weights[id]
        i++
      }
    }
    if (nearerMass >= rest && nearer > from) to = nearer
    else if (nearerMass + pivotMass >= rest || farther === to) return ids[nearer]
    else {
      rest -= nearerMass + pivotMass
      from = farther
    }
  }
}
