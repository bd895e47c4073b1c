import type { Truncation } from "genarm/math"
import { exponentScale } from "../../src/math/kernels/exponent_scale.ts"
import { plainKernels } from "../../src/math/kernels/plain_loops.ts"

// Obvious twins of the kernels in float64, and the scores the properties run over.

/** softmax(scores / temperature) `[vocab]`, in float64. */
export function softmax(scores: ArrayLike<number>, temperature = 1): number[] {
  const max = Math.max(...Array.from(scores))
  const weights = Array.from(scores, (score) => Math.exp((score - max) / temperature))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

export function referenceLogSumExp(scores: ArrayLike<number>, temperature = 1): number {
  const scaled = Array.from(scores, (score) => score / temperature)
  const max = Math.max(...scaled)
  return max + Math.log(scaled.reduce((sum, score) => sum + Math.exp(score - max), 0))
}

/** `e^((score - max) / temperature)` of each score, rounded as the kernels round them. */
export function weightsOf(scores: Float32Array, temperature: number): Float32Array {
  const weights = new Float32Array(scores.length)
  const max = scores.reduce((a, b) => Math.max(a, b))
  const sums = new Float64Array(Math.ceil(scores.length / 256))
  plainKernels.exponentials(scores, max, exponentScale(temperature), weights, sums)
  return weights
}

/** The probabilities `[vocab]` left by each warper in turn, with full sorts; 0 for a cut id. */
export function truncated(scores: Float32Array, truncation: Truncation): number[] {
  const { temperature, topK, topP, minP, typicalP } = truncation
  const weights = weightsOf(scores, temperature)
  const ids = Array.from(scores.keys())
  const scoreAt = (rank: number) => scores.toSorted((a, b) => b - a)[rank]

  let kept = ids
  if (topK !== undefined && topK < ids.length) {
    const least = scoreAt(topK - 1)
    kept = kept.filter((id) => scores[id] >= least)
  }
  if (topP !== undefined && topP < 1) {
    const target = topP * kept.reduce((sum, id) => sum + weights[id], 0)
    let before = 0
    kept = kept.toSorted((a, b) => weights[b] - weights[a] || a - b).filter((id) => {
      const stays = before < target
      before += weights[id]
      return stays
    })
  }
  if (minP !== undefined) kept = kept.filter((id) => weights[id] >= minP)
  if (typicalP !== undefined && typicalP < 1) kept = typical(scores, weights, kept, truncation)

  const total = kept.reduce((sum, id) => sum + weights[id], 0)
  const probabilities = new Array<number>(scores.length).fill(0)
  for (const id of kept) probabilities[id] = weights[id] / total
  return probabilities
}

/** The ids that the typical step keeps of those there are. */
function typical(
  scores: Float32Array,
  weights: Float32Array,
  ids: readonly number[],
  { temperature, typicalP = 1 }: Truncation,
): number[] {
  const max = scores.reduce((a, b) => Math.max(a, b))
  const possible = ids.filter((id) => weights[id] > 0)
  const total = possible.reduce((sum, id) => sum + weights[id], 0)
  const surprisal = (id: number) => (max - scores[id]) / temperature
  const mean = possible.reduce((sum, id) => sum + weights[id] * surprisal(id), 0) / total
  const distance = (id: number) => Math.fround(Math.abs(surprisal(id) - mean))
  let before = 0
  let farthest = 0
  for (const id of possible.toSorted((a, b) => distance(a) - distance(b))) {
    if (before >= typicalP * total) break
    before += weights[id]
    farthest = distance(id)
  }
  return possible.filter((id) => distance(id) <= farthest)
}

/** Uniform numbers in [0, 1) of a generator other than the one under test. */
export function uniforms(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 4294967296
  }
}

export const SIZES = [1, 2, 7, 255, 256, 257, 5000]

export interface ScoreCase {
  readonly name: string
  readonly scores: Float32Array
}

/** Flat, peaked, level, tied and partly excluded scores of every size, the same on every run. */
export function scoreCases(seed: number): ScoreCase[] {
  return SIZES.flatMap((size) => scoreCasesOfSize(size, seed + size))
}

export function scoreCasesOfSize(size: number, seed: number): ScoreCase[] {
  const next = uniforms(seed)
  const bell = () => next() + next() + next() + next() - 2
  const row = (score: () => number) => Float32Array.from({ length: size }, score)
  const peaked = row(() => bell() * 4)
  peaked[Math.floor(next() * size)] = 15
  const excluded = row(() => next() < 0.5 ? -Infinity : bell() * 5)
  excluded[Math.floor(next() * size)] = 1
  return [
    { name: "flat", scores: row(() => next() * 0.001) },
    { name: "wide", scores: row(() => bell() * 10 - 40) },
    { name: "peaked", scores: peaked },
    { name: "level", scores: row(() => -2.5) },
    { name: "tied", scores: row(() => Math.floor(next() * 6)) },
    { name: "excluded", scores: excluded },
    { name: "far apart", scores: row(() => bell() * 600) },
  ].map(({ name, scores }) => ({ name: `${name} scores of size ${size}`, scores }))
}
