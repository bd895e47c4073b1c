/**
 * Strategies whose sequences are watched: what is called and not waited for, which copies stay open, and
 * whether what a sequence shows is left as it is. A run that goes on for ever is given up.
 */
import { isDeepStrictEqual } from "node:util"
import { definition, type PluginNode } from "../plugin/node.ts"
import type {
  GuidedSequence,
  PreviewModels,
  SequenceModel,
  StrategyDefinition,
} from "../plugin/strategy.ts"

/** Calls after which a strategy is taken to go on for ever: texts are short. */
const mostCalls = 50_000

/** One text under way. */
export interface WatchedRun {
  /** Calls of its sequences, and yields. */
  calls: number
  /** What was begun and has not settled. */
  inFlight: number
  /** How it was when `run` returned or threw, or was left at its last yield. */
  end: { readonly inFlight: number; readonly open: number } | undefined
  /** What was changed that is not the strategy's: the first change. */
  changed: string | undefined
  /** A model that was asked for and is not there. */
  missing: string | undefined
}

/** A strategy that can be watched. */
export interface WatchedStrategy {
  readonly node: PluginNode<"strategy">
  /** In the order of beginning. */
  readonly runs: readonly WatchedRun[]
  /** Settles when a run is given up. */
  readonly endless: Promise<void>
  /** Told of each call. */
  onCall: ((run: WatchedRun) => void) | undefined
}

/** A copy of a strategy that is watched. */
export function watchStrategy(node: PluginNode<"strategy">): WatchedStrategy {
  const found = node[definition] as StrategyDefinition
  const runs: WatchedRun[] = []
  const endless = Promise.withResolvers<void>()
  async function* run(options: unknown, root: GuidedSequence): AsyncGenerator<GuidedSequence> {
    const run: WatchedRun = {
      calls: 0,
      inFlight: 0,
      end: undefined,
      changed: undefined,
      missing: undefined,
    }
    runs.push(run)
    const watch: Watch = {
      run,
      open: new Set(),
      call() {
        watched.onCall?.(run)
        if (++run.calls > mostCalls) endless.resolve()
        return run.calls <= mostCalls
      },
    }
    let last: GuidedSequence | undefined
    try {
      for await (last of found.run(options, new WatchedSequence(root, watch))) {
        if (!watch.call()) await forEver
        for (const sequence of watch.open) sequence.verify()
        // What is no sequence is for the request to refuse.
        yield last instanceof WatchedSequence ? last.inner : last
      }
    } finally {
      const open = [...watch.open].filter((sequence) => sequence !== last).length
      run.end = { inFlight: run.inFlight, open }
    }
  }
  const watched: WatchedStrategy = {
    node: Object.freeze({ ...node, [definition]: { ...found, run } }),
    runs,
    endless: endless.promise,
    onCall: undefined,
  }
  return watched
}

const forEver = new Promise<never>(() => {})

/** What the sequences of a run share. */
interface Watch {
  readonly run: WatchedRun
  readonly open: Set<WatchedSequence>
  /** Counts a call; false where the run is given up. */
  call(): boolean
}

class WatchedSequence implements GuidedSequence {
  readonly inner: GuidedSequence
  readonly #watch: Watch
  /** The tokens that there must be. */
  readonly #ids: number[]
  readonly #promptIds: readonly number[]
  /** What the last evaluation gave, and what it was. */
  #scores: { readonly given: Float32Array; readonly before: Float32Array } | undefined

  constructor(inner: GuidedSequence, watch: Watch) {
    this.inner = inner
    this.#watch = watch
    this.#ids = [...inner.ids]
    this.#promptIds = [...inner.promptIds]
    watch.open.add(this)
  }

  get vocabularySize(): number {
    return this.inner.vocabularySize
  }
  get promptIds(): readonly number[] {
    return this.inner.promptIds
  }
  get ids(): readonly number[] {
    return this.inner.ids
  }
  get ended(): GuidedSequence["ended"] {
    return this.inner.ended
  }
  get room(): number {
    return this.inner.room
  }
  get base(): SequenceModel {
    return this.inner.base
  }
  get models(): Readonly<Record<string, SequenceModel>> {
    const { run } = this.#watch
    return new Proxy(this.inner.models, {
      get(models, name: string) {
        if (!(name in models)) run.missing = name
        return models[name]
      },
    })
  }
  get random(): GuidedSequence["random"] {
    return this.inner.random
  }
  get weightSum(): number {
    return this.inner.weightSum
  }
  get weights(): Readonly<Record<string, number>> {
    return this.inner.weights
  }

  evaluate(): Promise<Float32Array> {
    return this.#begin(async () => {
      const given = await this.inner.evaluate()
      this.#scores = { given, before: given.slice() }
      return given
    })
  }

  step(): Promise<number> {
    return this.#begin(async () => {
      this.#scores = undefined
      const id = await this.inner.step()
      this.#ids.push(id)
      return id
    })
  }

  preview(ids: readonly number[], models?: PreviewModels): Promise<void> {
    return this.#begin(() => this.inner.preview(ids, models))
  }

  rewards(): Promise<Readonly<Record<string, number>>> {
    return this.#begin(() => this.inner.rewards())
  }

  probabilities(scores: Float32Array, out: Float32Array): void {
    this.#call()
    this.inner.probabilities(scores, out)
    this.verify()
  }

  accept(id: number, logProbability: number): void {
    this.#call()
    this.inner.accept(id, logProbability)
    this.#ids.push(id)
    this.#scores = undefined
  }

  fork(): GuidedSequence {
    this.#call()
    return new WatchedSequence(this.inner.fork(), this.#watch)
  }

  rewind(count: number): void {
    this.#call()
    this.inner.rewind(count)
    this.#ids.length -= count
    this.#scores = undefined
  }

  close(): void {
    this.#call()
    this.#watch.open.delete(this)
    this.#scores = undefined // another text's from now on
    this.inner.close()
  }

  /** Notes what is not as it must be. */
  verify(): void {
    const { run } = this.#watch
    if (run.changed !== undefined || !this.#watch.open.has(this)) return
    if (!isDeepStrictEqual([...this.inner.ids], this.#ids)) {
      run.changed = `the ids of a sequence: they were ${this.#ids.join(", ")}, and are ` +
        `${this.inner.ids.join(", ")}. Tokens come and go by step, accept and rewind`
    } else if (!isDeepStrictEqual([...this.inner.promptIds], this.#promptIds)) {
      run.changed = "the promptIds of a sequence: change a copy"
    } else if (this.#scores !== undefined) {
      const { given, before } = this.#scores
      const id = given.findIndex((score, id) => !Object.is(score, before[id]))
      if (id < 0) return
      run.changed = `the scores that evaluate gave: that of id ${id} was ${before[id]}, and is ` +
        `${given[id]}. The text's own log-probabilities are made of them: change a copy`
    }
  }

  #call(): void {
    this.verify()
    if (!this.#watch.call()) throw new Error("it goes on for ever")
  }

  #begin<A>(work: () => Promise<A>): Promise<A> {
    this.verify()
    if (!this.#watch.call()) return forEver
    const { run } = this.#watch
    run.inFlight++
    const promise = work()
    const settle = () => void run.inFlight--
    promise.then(settle, settle)
    return promise
  }
}
