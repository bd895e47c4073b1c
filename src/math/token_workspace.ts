import { Region } from "./kernels/region.ts"

/**
 * The arrays of one sequence, side by side where the kernels work fastest: `mixInto`,
 * `TokenDistribution` and the other functions over a row of scores find them there and copy nothing.
 * They take any other arrays too, with the same result to the last bit.
 *
 * @example
 * ```ts
 * import { mixInto, TokenDistribution, TokenWorkspace } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * const workspace = TokenWorkspace.acquire(3, 1)
 * workspace.rows[0].set([0, 0, 4])
 * mixInto(Float32Array.of(3, 2, 1), workspace.rows, [1], workspace.scores)
 * const distribution = new TokenDistribution(3).set(workspace.scores, { temperature: 1, topK: 1 })
 * assertEquals(distribution.draw(0.5), 2)
 * workspace.release()
 * ```
 */
export class TokenWorkspace {
  /** Each `[vocab]`: for the rows of the terms. */
  readonly rows: readonly Float32Array[]
  /** `[vocab]`: for the mixed scores. */
  readonly scores: Float32Array
  readonly #region: Region
  #isReleased = false

  private constructor(region: Region) {
    this.#region = region
    this.rows = region.rows
    this.scores = region.scores
  }

  /**
   * Takes arrays full of 0, from those given back where there are some. Where many are in use at once
   * the last ones are plain arrays: slower, nothing else.
   *
   * @param vocabulary the ids of a row, an integer of at least 1.
   * @param rows how many rows, an integer of at least 0.
   * @throws {RangeError} when one of them is not.
   */
  static acquire(vocabulary: number, rows: number): TokenWorkspace {
    if (!Number.isInteger(vocabulary) || vocabulary < 1) {
      throw new RangeError(`expected a vocabulary of at least 1 id, found a size of ${vocabulary}`)
    }
    if (!Number.isInteger(rows) || rows < 0) {
      throw new RangeError(`expected a number of rows, an integer of at least 0, found ${rows}`)
    }
    const region = new Region(vocabulary, rows, 1)
    for (const row of region.rows) row.fill(0)
    region.scores.fill(0)
    return new TokenWorkspace(region)
  }

  /**
   * Gives the arrays back to the next `acquire`: they must not be used any more. Distributions set
   * from its scores are unset. Idempotent.
   */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#region.release()
  }
}
