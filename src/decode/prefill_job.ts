/**
 * A prompt that is being run, and the calls that wait for it or for its beginning. It runs in pieces
 * that end where one of them wants to go on by itself, and no further than the last of them needs.
 */
import { closed, type Engine, type EngineCache } from "../engine/engine.ts"
import { aborted } from "../errors.ts"
import { commonLength } from "./common_length.ts"
import { holdsSame, type KnownText } from "./known_texts.ts"

/** Tokens that run at once. */
const pieceTokens = 512

/** A call that waits. */
interface Waiter {
  readonly length: number
  readonly adapter: string | undefined
  readonly resolve: (reached: KnownText | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Who hears of a job. */
export interface JobListener {
  /** The whole prompt has been run; its cache and its distribution stay the job's. */
  readonly onWhole: (text: Required<KnownText>) => void
  /** Nobody may wait for it any more. */
  readonly onEnd: () => void
}

/** A prompt under way. */
export class PrefillJob {
  readonly engine: Engine
  readonly ids: readonly number[]
  readonly #cache: EngineCache
  readonly #waiters = new Set<Waiter>()
  readonly #hears: JobListener
  /** Where the piece that runs ends. */
  #end: number
  #isGiven = false

  /** @param cache Holds the beginning of the prompt, or nothing; it belongs to the job. */
  constructor(engine: Engine, cache: EngineCache, ids: readonly number[], hears: JobListener) {
    this.engine = engine
    this.ids = ids
    this.#cache = cache
    this.#end = cache.length
    this.#hears = hears
  }

  /** Tokens of a prompt that `reach` can give: all of them only where the run can pause there. */
  sharedLength(engine: Engine, adapter: string | undefined, ids: readonly number[]): number {
    if (engine !== this.engine || !holdsSame(engine, this.#cache.adapter, adapter)) return 0
    const common = commonLength(this.ids, ids)
    const isAhead = adapter === this.#cache.adapter && this.#end < ids.length
    return isAhead ? common : Math.min(common, ids.length - 1)
  }

  /**
   * Waits until so many tokens have been run, and gives a cache of them, with their distribution
   * where the run pauses there. The first that waits hears why the job failed; to the others it
   * gives `undefined`, so that they try for themselves.
   */
  reach(
    length: number,
    adapter: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<KnownText | undefined> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener("abort", onAbort)
      }
      const waiter: Waiter = {
        length,
        adapter,
        resolve: (reached) => (leave(), resolve(reached)),
        reject: (error) => (leave(), reject(error)),
      }
      const onAbort = () => {
        waiter.reject(aborted(signal!))
        if (this.#waiters.size === 0) this.#stop() // frees the memory at once
      }
      this.#waiters.add(waiter)
      signal?.addEventListener("abort", onAbort)
    })
  }

  /** Runs until nobody waits. */
  async run(): Promise<void> {
    try {
      await undefined // calls of the same turn wait by then
      this.#serve(undefined)
      while (this.#waiters.size > 0) {
        const at = this.#cache.length
        const ends = [...this.#waiters].map(({ length }) => length)
        this.#end = Math.min(at + pieceTokens, ...ends)
        const tokens = this.ids.slice(at, this.#end)
        const [logProbs] = await this.engine.forward([{ cache: this.#cache, tokens, want: "last" }])
        if (this.#cache.length === this.ids.length) {
          this.#hears.onWhole({ cache: this.#cache, logProbs })
        }
        this.#serve(logProbs)
      }
    } catch (error) {
      const [first, ...others] = this.#waiters
      this.#stop()
      for (const { resolve } of others) resolve(undefined)
      first?.reject(error)
    } finally {
      this.#stop()
    }
  }

  /** Fails all that wait. */
  close(): void {
    this.#stop()
    for (const { reject } of [...this.#waiters]) reject(closed("the pipeline"))
  }

  #stop(): void {
    this.#hears.onEnd()
    if (!this.#isGiven) this.#cache.close()
  }

  /** Gives those their caches that want no more than what has been run. */
  #serve(logProbs: Float32Array | undefined): void {
    const held = this.#cache.length
    for (const waiter of [...this.#waiters]) {
      const { length, adapter } = waiter
      if (length > held) continue
      const isOwn = length === held && adapter === this.#cache.adapter
      this.#isGiven = isOwn && this.#waiters.size === 1
      const cache = this.#isGiven ? this.#cache : this.#cache.fork({ adapter })
      if (length < held) cache.truncate(length)
      waiter.resolve(
        isOwn && logProbs !== undefined ? { cache, logProbs: logProbs.slice() } : { cache },
      )
    }
  }
}
