/**
 * How scores become the distribution that a token is drawn from. The steps apply in the order of
 * the fields, as the warpers of Hugging Face's `generate` do (transformers 5.24.0); a step left out cuts
 * nothing.
 *
 * @example
 * ```ts
 * import { checkTruncation, type Truncation } from "genarm/math"
 *
 * const truncation: Truncation = { temperature: 0.8, topP: 0.95 }
 * checkTruncation(truncation)
 * ```
 */
export interface Truncation {
  /** Divides the scores: finite and above 0. 1 leaves them, less sharpens, more flattens. */
  readonly temperature: number
  /** Keeps the `topK` most likely ids, and those as likely as the last of them. An integer >= 1. */
  readonly topK?: number
  /**
   * Keeps the smallest set of most likely ids whose share of what `topK` left reaches `topP`, in
   * (0, 1]; of ids equally likely, the lowest first. 1 keeps all.
   */
  readonly topP?: number
  /** Keeps the ids at least `minP` times as likely as the most likely one, in [0, 1]. */
  readonly minP?: number
  /**
   * Locally typical sampling (https://arxiv.org/abs/2202.00666): of what the others left, keeps the ids
   * whose surprisal is nearest to the entropy, until they reach this share, in (0, 1], and those as near
   * as the last of them. The likeliest id may go. 1 keeps all.
   */
  readonly typicalP?: number
}

/**
 * Checks the numbers of a truncation, once, before they are used for many tokens.
 *
 * @throws {RangeError} when one lies outside the range that {@link Truncation} gives.
 *
 * @example
 * ```ts
 * import { checkTruncation } from "genarm/math"
 * import { assertThrows } from "@std/assert"
 *
 * checkTruncation({ temperature: 1, topK: 50 })
 * assertThrows(() => checkTruncation({ temperature: 0 }), RangeError, "temperature")
 * ```
 */
export function checkTruncation(truncation: Truncation): void {
  const { temperature, topK, topP, minP, typicalP } = truncation
  if (!(temperature > 0 && temperature < Infinity)) {
    throw new RangeError(
      `expected a finite temperature above 0, found ${temperature}: for greedy decoding use argmax`,
    )
  }
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) {
    throw new RangeError(
      `expected topK to be an integer of at least 1, found ${topK}: leave it out to keep all ids`,
    )
  }
  if (topP !== undefined && !(topP > 0 && topP <= 1)) {
    throw new RangeError(
      `expected topP above 0 and at most 1, found ${topP}: leave it out to keep all ids`,
    )
  }
  if (minP !== undefined && !(minP >= 0 && minP <= 1)) {
    throw new RangeError(
      `expected minP from 0 to 1, found ${minP}: leave it out to keep all ids`,
    )
  }
  if (typicalP !== undefined && !(typicalP > 0 && typicalP <= 1)) {
    throw new RangeError(
      `expected typicalP above 0 and at most 1, found ${typicalP}: leave it out to keep all ids`,
    )
  }
}
