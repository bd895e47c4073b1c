/**
 * The contract between decoding and whatever computes probabilities: rows in, log-probabilities
 * out; or values, where the model has a value head. One prompt, several prompts, several rewards,
 * drafted tokens to verify, forks: all are rows of one call, and weights shared by rows are read once.
 */
import { GenArmError } from "../errors.ts"

/** What the engine remembers of one row's tokens. */
export interface EngineCache {
  /** Tokens held. */
  readonly length: number
  /** The low-rank adapter that its tokens were and will be run with; none where absent. */
  readonly adapter?: string | undefined
  /**
   * A second cache with the same tokens; the two go on separately. Until it runs it costs little: a
   * reference, or its tokens where what it was taken of goes on without it.
   */
  fork(as?: ForkOptions): EngineCache
  /** Forgets all tokens from position `length` on. */
  truncate(length: number): void
  /** Frees the memory; further use is an error. Idempotent. */
  close(): void
}

/** What a fork is for. */
export interface ForkOptions {
  /** The adapter it goes on with, where `Engine.sharesCaches` allows another than the cache's. */
  readonly adapter?: string | undefined
}

/** New tokens for one cache. */
export interface Row {
  /** Where its earlier tokens are. */
  readonly cache: EngineCache
  /** At least one token id; not to be changed before the call has settled. */
  readonly tokens: ArrayLike<number>
  /** What the model gives after the last new token, or after each of them. */
  readonly want: "last" | "all"
}

/** One loaded set of weights, with any number of low-rank adapters beside it. */
export interface Engine {
  /** The model, for errors. */
  readonly name: string
  /** Ids that it reads, 0 and on; those that no tokenizer names included. */
  readonly vocabularySize: number
  /**
   * Entries of what it gives after a token: `vocabularySize` for a language model, the number of labels
   * for a model with a value head.
   */
  readonly width: number
  /** Tokens a cache can hold. */
  readonly contextLength: number
  /** The adapters that caches can be opened for; none where absent. */
  readonly adapters?: readonly string[]
  /** What a token in a cache that waits takes; absent where caches are not worth keeping. */
  readonly bytesPerToken?: number
  /**
   * Whether an adapter leaves all keys and values as they are without it, so that a cache may be
   * forked from one to the other; never where absent.
   */
  sharesCaches?(adapter: string): boolean
  /**
   * Opens an empty cache for the model itself, or for one of its `adapters`. What a cache holds
   * depends on the adapter, so it keeps to that one, and so do its forks; rows of one call may have
   * different ones.
   */
  openCache(adapter?: string): EngineCache
  /**
   * Runs the rows, appends their tokens to their caches and gives for each row `[width]` for `last`
   * and `[tokens, width]` for `all`: natural-log probabilities of the next token, or what a value head
   * gives each label. The arrays belong to the caller. On failure no cache has changed. Calls may
   * overlap, and then share batches; a cache takes part in one at a time.
   */
  forward(rows: readonly Row[]): Promise<Float32Array[]>
  /** Waits for running calls, then frees the weights. Idempotent. */
  close(): Promise<void>
}

/** Refuses ids that a model does not have. */
export function checkIds(ids: ArrayLike<number>, vocabularySize: number, model: string): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw new GenArmError(
        { _tag: "InvalidPrompt" },
        `expected token ids of ${model}, 0 to ${vocabularySize - 1}, found ${id} at position ${i}`,
      )
    }
  }
}

/** Refuses adapters that an engine does not hold. */
export function checkAdapter({ name, adapters = [] }: Engine, adapter: string | undefined): void {
  if (adapter === undefined || adapters.includes(adapter)) return
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["adapter"] },
    `${name} was opened ${
      adapters.length === 0 ? "without adapters" : `with the adapters ${adapters.join(", ")}`
    }, and a cache is asked for "${adapter}": open the model with it`,
  )
}

/**
 * The error of a distribution that holds NaN, or of values that are no finite numbers; the cause is in
 * the weights or the cache.
 */
export function nonFinite(
  name: string,
  adapter?: string,
  found: string = "NaN instead of log-probabilities",
): GenArmError {
  const of = adapter === undefined ? "" : ` with the adapter ${adapter}`
  return new GenArmError(
    { _tag: "NonFiniteScores", term: name },
    `${name}${of} gave ${found}: its weights are damaged, or overflow`,
  )
}

/** The error of using something after `close`. */
export function closed(what: string): GenArmError {
  return new GenArmError({ _tag: "Closed" }, `${what} is closed: open it again`)
}
