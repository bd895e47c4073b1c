import { argmax } from "./argmax.ts"
import { TokenWeights } from "./_token_weights.ts"
import { TopK } from "./_top_k.ts"
import { TopP } from "./_top_p.ts"
import type { Truncation } from "./truncation.ts"

/**
 * The distribution of one token, softmax(scores / temperature) truncated by top-k, top-p and min-p
 * in this order, and the draws from it. A workspace for one sequence: everything is allocated once.
 *
 * Which ids are cut, and which is drawn, has the same answer on every JavaScript engine: the
 * exponentials are those of `fastExp` and the sums run in a fixed order. Nothing sorts the
 * vocabulary. Scores over 690 * temperature under the greatest count as impossible.
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
  readonly #held: TokenWeights
  #topK: TopK | undefined
  #topP: TopP | undefined
  #logNormalizer = NaN
  #count = -1

  /**
   * Allocates the workspace, about 8 bytes an id; the first use of top-k or top-p adds 4 for each.
   *
   * @param size the number of ids in the vocabulary.
   * @throws {RangeError} when `size` is not an integer of at least 1.
   */
  constructor(size: number) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(`expected a vocabulary of at least 1 id, found a size of ${size}`)
    }
    this.#size = size
    this.#held = new TokenWeights(size)
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
    const { temperature, topK, topP, minP } = truncation
    const held = this.#held
    this.#count = -1
    const max = this.#fill(scores, temperature)
    this.#logNormalizer = max / temperature + Math.log(held.total)
    if (topK !== undefined && topK < this.#size) {
      this.#topK ??= new TopK(this.#size)
      held.cutAfter(scores, this.#topK.threshold(scores, topK), this.#size)
    }
    if (topP !== undefined && topP < 1) {
      this.#topP ??= new TopP(this.#size)
      const lastId = this.#topP.find(scores, max, temperature, held, topP)
      if (lastId >= 0) held.cutAfter(scores, scores[lastId], lastId)
    }
    // The greatest weight is 1.
    if (minP !== undefined && minP > 0) held.cutBelow(minP)
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

  // Returns the greatest score.
  #fill(scores: Float32Array, temperature: number): number {
    const held = this.#held
    held.total = 0
    if (scores.length !== this.#size) {
      throw new RangeError(
        `expected ${this.#size} scores, found ${scores.length}: make one TokenDistribution for ` +
          "each vocabulary",
      )
    }
    const best = argmax(scores)
    const max = best < 0 ? -Infinity : scores[best]
    if (max > -Infinity) held.fill(scores, max, temperature)
    if (held.total > 0) return max
    held.total = 0
    throw new RangeError(
      "expected scores below Infinity with at least one above -Infinity, found NaN, Infinity or " +
        "only -Infinity: check the model's output and the ids you excluded",
    )
  }

  #checkSet(): void {
    if (this.#held.total > 0) return
    throw new RangeError("expected a distribution, found none yet: call set(scores, truncation)")
  }
}
