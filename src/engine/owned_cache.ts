/**
 * What the caches of all engines have in common: who opened them, and what must not be done to them
 * while a call runs them. Engines say how a cache is copied, cut and freed.
 */
import { GenArmError } from "../errors.ts"
import { closed, type Engine, type EngineCache, type ForkOptions } from "./engine.ts"

/** A cache that knows its engine. */
export abstract class OwnedCache implements EngineCache {
  abstract readonly engine: Engine
  abstract readonly length: number
  /** What the engine knows it by; none where undefined. */
  readonly adapter: string | undefined
  isClosed = false
  /** Set while a call is queued or runs: its tokens are not part of `length` yet. */
  isRunning = false

  constructor(adapter?: string) {
    this.adapter = adapter
  }

  fork(as: ForkOptions = this): EngineCache {
    this.#checkIdle()
    const { adapter } = as
    if (adapter !== this.adapter && !(this.#isShared(this.adapter) && this.#isShared(adapter))) {
      throw new GenArmError(
        { _tag: "InvalidOption", path: ["adapter"] },
        `${this.engine.name} keeps other keys and values with ${
          adapter ?? "no adapter"
        } than with ` +
          `${this.adapter ?? "none"}: fork the cache for its own, or open another`,
      )
    }
    return this.copy(adapter)
  }

  truncate(length: number): void {
    this.#checkIdle()
    if (!(Number.isInteger(length) && length >= 0 && length <= this.length)) {
      throw new GenArmError(
        { _tag: "InvalidOption", path: ["length"] },
        `expected a length of 0 to ${this.length} to truncate a cache to, found ${length}`,
      )
    }
    if (length < this.length) this.cut(length)
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.free()
  }

  /** A cache for `adapter`, with which the tokens are the same. */
  protected abstract copy(adapter: string | undefined): EngineCache
  /** Forgets tokens; `length` is below the cache's. */
  protected abstract cut(length: number): void
  protected abstract free(): void

  #isShared(adapter: string | undefined): boolean {
    return adapter === undefined || this.engine.sharesCaches?.(adapter) === true
  }

  #checkIdle(): void {
    if (this.isClosed) throw closed("this cache")
    if (this.isRunning) throw running(this.engine, ["cache"])
  }
}

/** The error of using a cache before a call that runs it has settled. */
export function running(engine: Engine, path: readonly (string | number)[]): GenArmError {
  return new GenArmError(
    { _tag: "InvalidOption", path },
    `a call of ${engine.name} runs this cache: expected one use at a time, wait for the call`,
  )
}
