/**
 * What the decoding peers are asked: first, once, a model to open; then texts, one at a time, each a
 * line of JSON that is answered by a line of JSON. So sides can take turns within one run, and no
 * start-up is ever timed.
 */

/** What a peer opens. */
export interface DecodeTask {
  /** The folder of the base: its safetensors, and its exports where the peer wants others. */
  readonly base: string
  /** The folder of the reward model, in full; absent for unguided texts. */
  readonly arm?: string
  readonly precision: "f32" | "q4"
  readonly threads: number
  /** Settings of the peer's own. */
  readonly settings: Readonly<Record<string, string>>
}

/** A text to write: so many tokens after the prompt. */
export interface TextTask {
  readonly prompt: readonly number[]
  readonly tokens: number
  /** Draws each token from the distribution, where the peer can; the likeliest otherwise. */
  readonly sampled?: boolean
}

/** A text that was written. */
export interface TimedText {
  /** Milliseconds until the first token. */
  readonly first: number
  /** Milliseconds of each token after it, on average. */
  readonly each: number
  readonly ids: readonly number[]
}

/** A model that writes texts: a peer's, or ours. */
export interface DecodePeer {
  /** What it is, with its version and its settings. */
  readonly about: string
  write(task: TextTask): Promise<TimedText>
  close(): Promise<void>
}

/** Keeps the time of the tokens of a text, as they come. */
export class TokenClock {
  readonly #start = performance.now()
  #first = 0
  #last = 0
  readonly #ids: number[] = []

  /** How many there were. */
  get count(): number {
    return this.#ids.length
  }

  token(id: number): void {
    this.#last = performance.now()
    if (this.#ids.length === 0) this.#first = this.#last
    this.#ids.push(id)
  }

  text(): TimedText {
    const each = (this.#last - this.#first) / Math.max(1, this.#ids.length - 1)
    return { first: this.#first - this.#start, each, ids: this.#ids }
  }
}

/** A number of threads, in words. */
export function threadsOf(threads: number): string {
  return threads === 1 ? "1 thread" : `${threads} threads`
}
