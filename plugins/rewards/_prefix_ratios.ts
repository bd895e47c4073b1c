/**
 * How much likelier each of several policies holds the text so far than the base does, kept token by
 * token: what combinations of policies over whole texts go by.
 */
import { History } from "./_history.ts"

/** Log-ratios of policies to the base. */
export class PrefixRatios {
  /** `[policies]` after each token written. */
  readonly #written: History<Float64Array>
  /** `[1 + policies][vocabulary]`: the base's row of this step, and theirs. */
  readonly #rows: readonly Float32Array[]

  private constructor(written: History<Float64Array>, vocabularySize: number) {
    this.#written = written
    this.#rows = Array.from(
      { length: written.now.length + 1 },
      () => new Float32Array(vocabularySize),
    )
  }

  /** Of no text yet. */
  static open(policies: number, vocabularySize: number): PrefixRatios {
    return new PrefixRatios(new History(new Float64Array(policies)), vocabularySize)
  }

  /** `[policies]`: those of the text so far. */
  get now(): Float64Array {
    return this.#written.now
  }

  /** Keeps the rows of a step, which are the decoder's only until a token is chosen. */
  see(base: Float32Array, policies: readonly Float32Array[]): void {
    this.#rows[0].set(base)
    policies.forEach((row, i) => this.#rows[i + 1].set(row))
  }

  /** One more token, by the rows of this step. */
  accept(id: number): void {
    const [base, ...policies] = this.#rows
    this.#written.push(this.now.map((ratio, i) => ratio + policies[i][id] - base[id]))
  }

  rewind(count: number): void {
    this.#written.rewind(count)
  }

  fork(): PrefixRatios {
    return new PrefixRatios(this.#written.fork(), this.#rows[0].length)
  }
}
