/** Which ids a sequence holds, prompt and text, as it grows and is taken back. */
export class Written {
  /** How often each id has been there. */
  readonly #counts: Map<number, number>
  /** The tokens of the text, in order. */
  readonly #ids: number[]

  private constructor(counts: Map<number, number>, ids: number[]) {
    this.#counts = counts
    this.#ids = ids
  }

  /** Begins after a prompt. */
  static after(promptIds: readonly number[]): Written {
    const written = new Written(new Map(), [])
    for (const id of promptIds) written.#count(id)
    return written
  }

  /** Each once. */
  get distinct(): Iterable<number> {
    return this.#counts.keys()
  }

  accept(id: number): void {
    this.#ids.push(id)
    this.#count(id)
  }

  rewind(count: number): void {
    for (const id of this.#ids.splice(this.#ids.length - count)) {
      const left = this.#counts.get(id)! - 1
      if (left > 0) this.#counts.set(id, left)
      else this.#counts.delete(id)
    }
  }

  fork(): Written {
    return new Written(new Map(this.#counts), [...this.#ids])
  }

  #count(id: number): void {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
  }
}
