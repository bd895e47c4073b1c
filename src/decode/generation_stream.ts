/** A text as it is written: iterate it for tokens, or await it for the whole. */
import { GenArmError } from "../errors.ts"
import type { Generation, TokenEvent } from "./types.ts"

/** Starts at the first question; tokens are computed when they are asked for, never ahead. */
export class GenerationStream implements AsyncIterable<TokenEvent>, PromiseLike<Generation> {
  readonly #start: () => AsyncGenerator<TokenEvent, Generation, void>
  #tokens: AsyncGenerator<TokenEvent, Generation, void> | undefined
  #whole: Promise<Generation> | undefined
  #finished: Generation | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(start: () => AsyncGenerator<TokenEvent, Generation, void>) {
    this.#start = start
  }

  /** The tokens; a second iteration goes on where the first stopped, unless that ended the text. */
  async *[Symbol.asyncIterator](): AsyncIterator<TokenEvent> {
    try {
      while (true) {
        const next = await this.#pull()
        if (next.done) {
          this.#finished ??= next.value
          return
        }
        yield next.value
      }
    } finally {
      // Left by `break`, return or throw: the text ends here, and its caches are freed.
      await this.#tokens?.return(undefined as never)
    }
  }

  /** Runs to the end and gives the whole text, tokens that were iterated before included. */
  then<A = Generation, B = never>(
    onFulfilled?: ((generation: Generation) => A | PromiseLike<A>) | null,
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#whole ??= this.#runToEnd()
    return this.#whole.then(onFulfilled, onRejected)
  }

  async #runToEnd(): Promise<Generation> {
    if (this.#finished !== undefined) return this.#finished
    while (true) {
      const next = await this.#pull()
      if (!next.done) continue
      if (next.value !== undefined) return next.value
      throw new GenArmError(
        { _tag: "Aborted", cause: "left" },
        "the text was left before its end: await the stream without `break`, or start another",
      )
    }
  }

  /** The next token, or the end. What has failed stays failed. */
  async #pull(): Promise<IteratorResult<TokenEvent, Generation>> {
    if (this.#failure !== undefined) throw this.#failure.error
    try {
      return await (this.#tokens ??= this.#start()).next()
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }
}
