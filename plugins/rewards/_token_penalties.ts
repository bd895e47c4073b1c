/**
 * What has been written, as penalties that are kept from token to token: a step changes those of the
 * token that came and of the one that left the window, and looks the last n-gram up.
 */

/** What is penalised, as in `RepetitionOptions`. */
export interface Penalties {
  readonly presence?: number
  readonly frequency?: number
  readonly noRepeatNgram?: number
  readonly window?: number
  /** Ids that are scored. */
  readonly size: number
  /** Ids that are never penalised. */
  readonly never: readonly number[]
}

/** The tokens of one text. */
export class TokenPenalties {
  readonly #penalties: Penalties
  readonly #ids: number[] = []
  /** `[size]`: how often each id stands in the window. */
  readonly #counts: Int32Array
  /** `[size]` */
  readonly #scores: Float32Array
  /** Where the tokens stand that followed an n-gram but for its last token, in order. */
  readonly #followers = new Map<string, number[]>()

  constructor(penalties: Penalties) {
    this.#penalties = penalties
    this.#counts = new Int32Array(penalties.size)
    this.#scores = new Float32Array(penalties.size)
  }

  /** Writes the score of every id as the next token. */
  writeInto(out: Float32Array): void {
    out.set(this.#scores)
    const { noRepeatNgram: size, window = Infinity, never } = this.#penalties
    if (size === undefined) return
    const begin = this.#ids.length - window
    const places = this.#followers.get(this.#contextAt(this.#ids.length)) ?? []
    for (let i = places.length - 1; i >= 0 && places[i] - size + 1 >= begin; i--) {
      const id = this.#ids[places[i]]
      if (!never.includes(id)) out[id] = -Infinity
    }
  }

  /** One more token. */
  push(id: number): void {
    const { window = Infinity, noRepeatNgram: size } = this.#penalties
    const at = this.#ids.length
    if (size !== undefined && at >= size - 1) {
      const context = this.#contextAt(at)
      const places = this.#followers.get(context)
      if (places === undefined) this.#followers.set(context, [at])
      else places.push(at)
    }
    this.#ids.push(id)
    this.#count(id, 1)
    if (at >= window) this.#count(this.#ids[at - window], -1)
  }

  /** Takes back the last tokens. */
  pop(count: number): void {
    const { window = Infinity, noRepeatNgram: size } = this.#penalties
    for (let i = 0; i < count; i++) {
      const id = this.#ids.pop()!
      const at = this.#ids.length
      this.#count(id, -1)
      if (at >= window) this.#count(this.#ids[at - window], 1)
      if (size !== undefined && at >= size - 1) this.#followers.get(this.#contextAt(at))!.pop()
    }
  }

  /** A copy that goes on by itself. */
  fork(): TokenPenalties {
    const copy = new TokenPenalties(this.#penalties)
    for (const id of this.#ids) copy.push(id)
    return copy
  }

  /** The tokens of an n-gram before the one at `at`. */
  #contextAt(at: number): string {
    const before = this.#penalties.noRepeatNgram! - 1
    return at < before ? "none" : this.#ids.slice(at - before, at).join()
  }

  #count(id: number, change: number): void {
    const { presence = 0, frequency = 0, never } = this.#penalties
    if (!(id < this.#counts.length) || never.includes(id)) return
    const count = this.#counts[id] += change
    // 0 and not -0, which `-presence` may be.
    this.#scores[id] = count === 0 ? 0 : 0 - presence - frequency * count
  }
}
