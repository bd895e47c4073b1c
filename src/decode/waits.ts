/**
 * Waiting for what a plugin promises: not longer than it may take, and not beyond the end of the text
 * that it is for. What it gives later is ignored; an effect is interrupted.
 */
import { Context, Effect } from "effect"
import { closed } from "../engine/engine.ts"
import { GenArmError } from "../errors.ts"
import type { Promised } from "../plugin/reward.ts"

/** Who promised something, and how long that may take. */
export interface Promiser {
  readonly plugin: string
  /** The reward on whose behalf it runs. */
  readonly term: string
  /** Milliseconds; `Infinity` waits for ever, and where absent it is a minute. */
  readonly limit: number | undefined
}

/** Milliseconds: far longer than a reward of one step takes, and soon enough to be noticed. */
const usualLimit = 60_000

/** Timers take no longer delay, some 24 days: beyond it they end at once. */
const longestDelay = 2 ** 31 - 1

/** All that one text waits for. */
export class Waits {
  readonly #services: Context.Context<never>
  readonly #leave = new Set<(error: GenArmError) => void>()
  #isOver = false

  /** @param services What effects may use. */
  constructor(services: Context.Context<never> = Context.empty()) {
    this.#services = services
  }

  /**
   * What was promised, or given at once.
   *
   * @throws {GenArmError} `PluginFailed` when it takes longer than it may, `Closed` when the text ends.
   */
  async until<A>(given: Promised<A>, promiser: Promiser): Promise<A> {
    const stop = new AbortController()
    const promise = Effect.isEffect(given)
      ? Effect.runPromiseWith(this.#services)(given as Effect.Effect<A>, { signal: stop.signal })
      : given as A | PromiseLike<A>
    if (!isPromise(promise)) return promise
    const { limit = usualLimit } = promiser
    let timer: ReturnType<typeof setTimeout> | undefined
    let leave: (error: GenArmError) => void
    const left = new Promise<never>((_, reject) => {
      leave = reject
      if (limit <= longestDelay) timer = setTimeout(() => reject(late(promiser, limit)), limit)
    })
    this.#leave.add(leave!)
    if (this.#isOver) leave!(closed("this text"))
    try {
      return await Promise.race([promise, left])
    } finally {
      stop.abort()
      clearTimeout(timer) // one that is left running keeps a process from ending
      this.#leave.delete(leave!)
    }
  }

  /** The text has ended: nobody waits any longer. Idempotent. */
  end(): void {
    this.#isOver = true
    for (const leave of [...this.#leave]) leave(closed("this text"))
  }
}

function isPromise<A>(given: A | PromiseLike<A>): given is PromiseLike<A> {
  return typeof (given as PromiseLike<A> | undefined)?.then === "function"
}

function late({ plugin, term }: Promiser, limit: number): GenArmError {
  return new GenArmError(
    { _tag: "PluginFailed", plugin },
    `the reward "${term}" (${plugin}) has not settled its promise within ${limit} ms: expected ` +
      "scores by then; give it fewer candidates, or its state a longer timeLimit",
  )
}
