/**
 * Beginnings of texts that have been run already. Samples of one prompt, sweeps over weights and
 * turns of a conversation share what they begin with: the first runs it, those that ask meanwhile
 * wait for it, and later ones find it. What is kept are forks of caches, which take no part in
 * batches.
 */
import { closed, type Engine, type EngineCache } from "../engine/engine.ts"
import { GenArmError, throwIfAborted } from "../errors.ts"
import { type KnownText, KnownTexts, type PrefixLimits } from "./known_texts.ts"
import { PrefillJob } from "./prefill_job.ts"

/** A prompt that has been run. */
export interface Prefilled {
  /** Holds the whole prompt; the caller closes it, or hands it to `release`. */
  readonly cache: EngineCache
  /** `[vocabulary]` after the last token; the caller's own. */
  readonly logProbs: Float32Array
}

/** Fewer tokens in common are not worth a fork, where they are not the whole prompt. */
const worthwhile = 16

/** The beginnings that the texts of one pipeline share. */
export class PrefixCache {
  readonly #known: KnownTexts
  readonly #jobs = new Set<PrefillJob>()
  #isClosed = false

  /** @param limits What is kept at most: 64 texts of 8,192 tokens and 128 MiB where absent. */
  constructor(limits: Partial<PrefixLimits> = {}) {
    this.#known = new KnownTexts(limits)
  }

  /** Texts kept. */
  get size(): number {
    return this.#known.size
  }

  /** Bytes of what is kept, as if no two texts had a beginning in common. */
  get bytes(): number {
    return this.#known.bytes
  }

  /**
   * Runs a prompt of at least one token, but for what it has in common with earlier or running ones.
   * A call that is aborted or fails takes no other with it: those that waited for it go on.
   *
   * Fails with `Aborted`, with `Closed` after `close`, and as `Engine.forward` does. An abort may
   * come after a call has succeeded and before its caller goes on: then the cache is the caller's.
   */
  async prefill(
    engine: Engine,
    adapter: string | undefined,
    ids: readonly number[],
    signal?: AbortSignal,
  ): Promise<Prefilled> {
    if (ids.length === 0) {
      throw new GenArmError({ _tag: "InvalidPrompt" }, "expected a prompt of at least one token")
    }
    let begun: KnownText | undefined
    try {
      while (true) {
        throwIfAborted(signal)
        if (this.#isClosed) throw closed("the pipeline")
        if (begun?.logProbs !== undefined) return { ...begun, logProbs: begun.logProbs }
        const held = begun?.cache.length ?? 0
        let { job, length } = this.#longestJob(engine, adapter, ids, held)
        let found: KnownText | undefined = this.#known.take(engine, adapter, ids, length)
        if (found === undefined) {
          if (job === undefined) {
            job = this.#start(engine, begun?.cache ?? engine.openCache(adapter), ids)
            begun = undefined
            length = ids.length
          }
          found = await job.reach(length, adapter, signal)
          // Its distribution is that of a beginning only.
          if (found !== undefined && length < ids.length) found = { cache: found.cache }
        }
        if (found === undefined) continue
        begun?.cache.close()
        begun = found
      }
    } catch (error) {
      begun?.cache.close()
      throw error
    }
  }

  /**
   * Keeps a cache whose text has ended, for texts that go on from there, and closes it.
   * @param ids The tokens that the cache holds, from the first on; more are not looked at.
   */
  release(engine: Engine, cache: EngineCache, ids: readonly number[]): void {
    try {
      const { length } = cache
      if (this.#isClosed || engine.bytesPerToken === undefined) return
      if (length < worthwhile || length > ids.length) return
      this.#known.add(engine, ids.slice(0, length), { cache: cache.fork() })
    } catch {
      // A call still runs it, or it is closed: there is nothing to keep.
    } finally {
      cache.close()
    }
  }

  /** Ends running calls and frees what is kept. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const job of this.#jobs) job.close()
    this.#known.clear()
  }

  /** The running prompt with most in common, and how much that is; `length` is `held` for none. */
  #longestJob(
    engine: Engine,
    adapter: string | undefined,
    ids: readonly number[],
    held: number,
  ): { job: PrefillJob | undefined; length: number } {
    let job: PrefillJob | undefined
    let length = Math.max(held, worthwhile - 1)
    for (const other of this.#jobs) {
      const shared = other.sharedLength(engine, adapter, ids)
      if (shared === ids.length) return { job: other, length: shared }
      if (shared <= length) continue
      job = other
      length = shared
    }
    return { job, length }
  }

  #start(engine: Engine, cache: EngineCache, ids: readonly number[]): PrefillJob {
    const job = new PrefillJob(engine, cache, ids, {
      onWhole: (text) => {
        if (engine.bytesPerToken === undefined) return
        this.#known.add(engine, ids, { cache: text.cache.fork(), logProbs: text.logProbs.slice() })
      },
      onEnd: () => this.#jobs.delete(job),
    })
    this.#jobs.add(job)
    job.run()
    return job
  }
}
