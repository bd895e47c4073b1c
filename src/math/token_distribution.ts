import { nextFloat32, TokenWeights } from "./_token_weights.ts"
import { topKThreshold } from "./_top_k.ts"
import { topPLast } from "./_top_p.ts"
import { typicalThreshold } from "./_typical.ts"
import { type Region, regionFor } from "./kernels/region.ts"
import type { Truncation } from "./truncation.ts"

/**
 * The distribution of one token, softmax(scores / temperature) truncated by top-k, top-p, min-p and
 * typicality in this order, and the draws from it.
 *
 * Which ids are cut, and which is drawn, has the same answer on every JavaScript engine, with and
 * without WebAssembly: exponentials are float32 polynomials, and sums run in a fixed order. Nothing
 * sorts the vocabulary. Probabilities are good to a relative error of about 1e-6; scores over
 * 87 * temperature under the greatest count as impossible.
 *
 * It reads the scores of a `TokenWorkspace` where they are, and others from a copy; what it holds
 * stands beside the scores, and is copied when another distribution is set there.
 *
 * @example
 * ```ts
 * import { randomStream, TokenDistribution } from "genarm/math"
 * import { assertAlmostEquals, assertEquals } from "@std/assert"
 *
 * const scores = Float32Array.of(Math.log(0.5), Math.log(0.3), Math.log(0.2))
 * const distribution = new TokenDistribution(3).set(scores, { temperature: 1, topK: 2 })
 * assertEquals(distribution.count, 2)
 * assertAlmostEquals(distribution.logProbability(0), Math.log(0.5 / 0.8), 1e-6)
 * const id = distribution.draw(randomStream(1).nextUniform())
 * assertEquals(id === 0 || id === 1, true)
 * ```
 */
export class TokenDistribution {
  readonly #size: number
  readonly #held = new TokenWeights()
  #logNormalizer = NaN
  #count = -1

  /**
   * Allocates nothing yet.
   *
   * @param size the number of ids in the vocabulary.
   * @throws {RangeError} when `size` is not an integer of at least 1.
   */
  constructor(size: number) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(`expected a vocabulary of at least 1 id, found a size of ${size}`)
    }
    this.#size = size
  }

  /**
   * Takes the scores of the next token; they are read, not kept.
   *
   * @param scores `[vocab]`, unnormalised, natural log, may hold -Infinity.
   * @param truncation numbers that `checkTruncation` accepts.
   * @returns this distribution.
   * @throws {RangeError} when there are not `size` scores, when none is above -Infinity, or when
   * one is NaN or +Infinity. The distribution is then unset.
   */
  set(scores: Float32Array, truncation: Truncation): this {
    const { temperature, topK, topP, minP, typicalP } = truncation
    const held = this.#held
    held.unset()
    this.#count = -1
    this.#checkSize(scores)
    const region = regionFor(scores)
    const placed = region.place(scores)
    const max = greatest(region, placed)
    const total = max > -Infinity ? held.fill(region, placed, max, temperature) : 0
    if (!(total > 0)) {
      held.unset()
      throw new RangeError(
        "expected scores below Infinity with at least one above -Infinity, found NaN, Infinity or " +
          "only -Infinity: check the model's output and the ids you excluded",
      )
    }
    this.#logNormalizer = max / temperature + Math.log(total)
    if (topK !== undefined && topK < this.#size) {
      held.keepAtLeast(placed, topKThreshold(region, placed, topK))
    }
    if (topP !== undefined && topP < 1) {
      const lastId = topPLast(region, held, topP)
      if (lastId >= 0) held.cutAfter(lastId)
    }
    // The greatest weight is 1.
    if (minP !== undefined && minP > 0) held.keepAtLeast(held.weights, ceilFloat32(minP))
    if (typicalP !== undefined && typicalP < 1) {
      const least = typicalThreshold(region, held, placed, max, temperature, typicalP)
      held.keepAtLeast(region.candidates, least)
    }
    return this
  }

  /**
   * One id: the first whose cumulative probability, in id order, exceeds `uniform`.
   *
   * @param uniform in [0, 1), as `RandomStream.nextUniform` gives it.
   * @returns an id of a probability above 0.
   * @throws {RangeError} when `uniform` is outside [0, 1), or the distribution is unset.
   */
  draw(uniform: number): number {
    if (!(uniform >= 0 && uniform < 1)) {
      throw new RangeError(`expected a uniform number from 0 to below 1, found ${uniform}`)
    }
    this.#checkSet()
    return this.#held.find(uniform * this.#held.total)
  }

  /**
   * The log-probability of an id after temperature and truncation: natural log, -Infinity when cut.
   *
   * @throws {RangeError} when `id` is outside the vocabulary, or the distribution is unset.
   */
  logProbability(id: number): number {
    if (!Number.isInteger(id) || id < 0 || id >= this.#size) {
      throw new RangeError(`expected an id from 0 to ${this.#size - 1}, found ${id}`)
    }
    this.#checkSet()
    return Math.log(this.#held.weights[id]) - Math.log(this.#held.total)
  }

  /**
   * Writes the probability of every id, after temperature and truncation: 0 for those cut. They add
   * up to 1 but for rounding.
   *
   * @param out `[vocab]`
   * @throws {RangeError} when `out` has another size, or the distribution is unset.
   */
  probabilities(out: Float32Array): void {
    this.#checkSize(out)
    this.#checkSet()
    this.#held.normalize(out)
  }

  /** How many ids have a probability above 0. Counted at the first question after `set`. */
  get count(): number {
    this.#checkSet()
    if (this.#count < 0) this.#count = this.#held.count()
    return this.#count
  }

  /** log sum_v e^(scores[v] / temperature), natural log, over all ids: before any truncation. */
  get logNormalizer(): number {
    this.#checkSet()
    return this.#logNormalizer
  }

  #checkSize(array: Float32Array): void {
    if (array.length === this.#size) return
    throw new RangeError(
      `expected ${this.#size} scores, found ${array.length}: make one TokenDistribution for ` +
        "each vocabulary",
    )
  }

  #checkSet(): void {
    if (this.#held.total > 0) return
    throw new RangeError("expected a distribution, found none yet: call set(scores, truncation)")
  }
}

function greatest({ kernels, maxima }: Region, scores: Float32Array): number {
  kernels.groupMaxima(scores, maxima)
  let max = -Infinity
  for (let g = 0; g < maxima.length; g++) if (maxima[g] > max) max = maxima[g]
  return max
}

/** The least float32 that is not below a float64. */
function ceilFloat32(value: number): number {
  const rounded = Math.fround(value)
  return rounded < value ? nextFloat32(rounded) : rounded
}
