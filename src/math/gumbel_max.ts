import { fastLog } from "./log.ts"

const TWO_32 = 2 ** 32

/**
 * One id, drawn with noise of its own for every id: the Gumbel-max trick, `argmax log p[v] + g[v]` with
 * `g[v] = -log(-log u[v])`, in the form `argmax p[v] / -log u[v]`. Where `uniform` is uniform, an id
 * comes with its probability.
 *
 * The noise of an id depends on `uniform` and the id alone, through an integer hash, so that every
 * engine gives the same. Two distributions that are asked with the same `uniform` share their luck: of
 * total variation distance d, they give different ids with a probability of at most 2d / (1 + d)
 * (https://arxiv.org/abs/2408.07978).
 *
 * @param probabilities `[vocab]`, at least 0; need not add up to 1.
 * @param uniform in [0, 1), as `RandomStream.nextUniform` gives it.
 * @returns an id of a probability above 0.
 * @throws {RangeError} when `uniform` is outside [0, 1), or no probability is above 0.
 *
 * @example
 * ```ts
 * import { gumbelMax, randomStream } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * const random = randomStream(7)
 * let same = 0
 * for (let i = 0; i < 1000; i++) {
 *   const uniform = random.nextUniform()
 *   const [a, b] = [[0.5, 0.3, 0.2], [0.45, 0.3, 0.25]]
 *   if (gumbelMax(Float32Array.from(a), uniform) === gumbelMax(Float32Array.from(b), uniform)) same++
 * }
 * assertEquals(same > 905, true) // 1 - 2 * 0.05 / 1.05 = 0.905; independent draws: 0.365
 * ```
 */
export function gumbelMax(probabilities: Float32Array, uniform: number): number {
  if (!(uniform >= 0 && uniform < 1)) {
    throw new RangeError(`expected a uniform number from 0 to below 1, found ${uniform}`)
  }
  const high = uniform * TWO_32 >>> 0
  const low = (uniform * TWO_32 - high) * TWO_32 >>> 0
  let best = -1
  let ratio = 0
  for (let id = 0; id < probabilities.length; id++) {
    const p = probabilities[id]
    if (!(p > 0)) continue
    const hash = noiseHash(high, low, id)
    // -log u >= 1 - u, so most ids are out without a logarithm.
    if (p <= ratio * ((TWO_32 - 1 - hash) / TWO_32)) continue
    // 53 bits in all, and never 0 or 1.
    const fine = noiseHash(low, high, ~id) >>> 12
    const u = (hash + (fine + 0.5) / 2 ** 20) / TWO_32
    const found = p / -fastLog(u)
    if (best < 0 || found > ratio) {
      best = id
      ratio = found
    }
  }
  if (best >= 0) return best
  throw new RangeError(
    "expected a probability above 0, found none: check the scores and what was excluded",
  )
}

/** Two rounds of the finaliser of MurmurHash3, each with a key of its own. */
function noiseHash(first: number, second: number, id: number): number {
  let x = first + Math.imul(id, 0x9e3779b9) | 0
  x = Math.imul(x ^ x >>> 16, 0x85ebca6b)
  x = Math.imul(x ^ x >>> 13, 0xc2b2ae35)
  x ^= x >>> 16 ^ second
  x = Math.imul(x ^ x >>> 16, 0x85ebca6b)
  x = Math.imul(x ^ x >>> 13, 0xc2b2ae35)
  return (x ^ x >>> 16) >>> 0
}
