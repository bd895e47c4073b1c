/**
 * What a reward keeps after each token, so that tokens can be taken back. The values are never
 * changed, so that a copy of a sequence shares them.
 */

/** A value for each token written, and one for the beginning. */
export class History<A> {
  readonly #values: A[]

  constructor(first: A) {
    this.#values = [first]
  }

  /** The value now. */
  get now(): A {
    return this.#values[this.#values.length - 1]
  }

  /** The value after one more token. */
  push(value: A): void {
    this.#values.push(value)
  }

  /** Takes back the last `count` tokens. */
  rewind(count: number): void {
    this.#values.length -= count
  }

  /** A copy that goes on by itself. */
  fork(): History<A> {
    const copy = new History(this.#values[0])
    for (let i = 1; i < this.#values.length; i++) copy.push(this.#values[i])
    return copy
  }
}
