/**
 * The model runs of one text: each different prompt of each engine, and of each adapter in it, in a
 * cache of its own, stepped together. Sources of several rewards that ask for the same run share it.
 *
 * A run may read ahead of the text: tokens that are likely to follow can be run beforehand, several
 * in one call. What the text then accepts costs nothing more; what it does not is taken back.
 */
import { checkIds, type Engine, type EngineCache } from "../engine/engine.ts"
import { GenArmError, throwIfAborted } from "../errors.ts"
import { commonLength } from "./common_length.ts"
import type { OpenGraph, OpenSource } from "./open_graph.ts"
import type { PrefixCache } from "./prefix_cache.ts"
import { encodePrompt } from "./prompt.ts"
import type { Prompt } from "./types.ts"

/** A text in the cache of one engine, which knows its adapter. */
export interface ModelRun {
  readonly engine: Engine
  /** Whether the model has a token; what it lacks is left out of what it reads. */
  readonly has: (id: number) => boolean
  readonly adapter: string | undefined
  /** None until the prompt has been run. */
  cache: EngineCache | undefined
  /** What a step of its engine costs: see `OpenModel.stepCost`. */
  readonly stepCost: number | undefined
  /** The text as the model reads it, prompt included. */
  readonly ids: number[]
  /** What it has read beyond the text. */
  readonly ahead: number[]
  /** What it was asked to read beyond the text: the same, with tokens that it lacks. */
  readonly previewed: number[]
  /**
   * `rows[i]`, `[vocabulary]`, is the distribution after the text and the first `i` tokens ahead;
   * none until the text has been read to its end.
   */
  readonly rows: Float32Array[]
}

/** Unread tokens of a text up to which they run with tokens ahead in one call. */
const joinedTokens = 8

/** All model runs of one text; the first that is opened must be the base's. */
export class ModelRuns {
  readonly #prompt: Prompt
  readonly #base: OpenSource
  readonly #prefixes: PrefixCache
  readonly #runs: ModelRun[]
  readonly #closing = new AbortController()

  constructor(
    { base, prefixes }: Pick<OpenGraph, "base" | "prefixes">,
    prompt: Prompt,
    runs: ModelRun[] = [],
  ) {
    this.#base = base
    this.#prefixes = prefixes
    this.#prompt = prompt
    this.#runs = runs
    if (runs.length === 0) this.open(base)
  }

  /** The base model's. */
  get base(): ModelRun {
    return this.#runs[0]
  }

  /** Encodes the prompt for a source; nothing is computed yet. */
  open({ model, form }: OpenSource): ModelRun {
    const { engine, tokenizer } = model
    const ids = encodePrompt(tokenizer, form, this.#prompt)
    const known = this.#runs.find((run) =>
      run.engine === engine && run.adapter === model.adapter && isSame(run.ids, ids)
    )
    if (known !== undefined) return known
    checkIds(ids, engine.vocabularySize, form.model)
    checkLength(ids, engine, form.model)
    const run: ModelRun = {
      engine,
      has: engine === this.#base.model.engine
        ? () => true
        : (id) => tokenizer.token(id) !== undefined,
      adapter: model.adapter,
      cache: undefined,
      stepCost: model.stepCost,
      ids,
      ahead: [],
      previewed: [],
      rows: [],
    }
    this.#runs.push(run)
    return run
  }

  /** Tokens that can still be written before a model's context is full. */
  get room(): number {
    return this.#runs.reduce(
      (least, { engine, ids }) => Math.min(least, engine.contextLength - ids.length + 1),
      Infinity,
    )
  }

  /** Appends a token to the text. */
  accept(id: number): void {
    for (const run of this.#runs) {
      if (run.previewed[0] === id) run.previewed.shift()
      else run.previewed.length = 0
      if (!run.has(id)) continue
      if (run.ahead[0] === id) {
        run.ahead.shift()
        run.rows.shift()
      } else {
        takeBack(run, 0)
        run.rows.length = 0
      }
      run.ids.push(id)
    }
  }

  /** Runs the given runs, all where none are named, up to the end of the text. */
  async forward(runs: readonly ModelRun[] = this.#runs): Promise<void> {
    const begun = await this.#prefill(runs)
    const behind = begun.filter((run) => run.rows.length === 0)
    if (behind.length === 0) return
    await forwardOnce(behind.map((run) => ({ run, tokens: unreadOf(run), rows: 1, ahead: [] })))
  }

  /**
   * Runs tokens ahead of the text; what was run ahead before counts as far as it is the same. There
   * must be room for them.
   */
  async preview(tokens: readonly number[], runs: readonly ModelRun[] = this.#runs): Promise<void> {
    const begun = await this.#prefill(runs)
    await this.forward(begun.filter((run) => unreadOf(run).length > joinedTokens))
    const pieces = begun.map((run): Piece => {
      const wanted = tokens.filter(run.has)
      if (commonLength(run.previewed, tokens) < tokens.length) {
        run.previewed.splice(0, Infinity, ...tokens)
      }
      const same = commonLength(run.ahead, wanted)
      if (same < wanted.length) takeBack(run, same)
      const unread = unreadOf(run)
      const more = wanted.slice(run.ahead.length)
      return {
        run,
        tokens: [...unread, ...more],
        rows: more.length + (unread.length > 0 ? 1 : 0),
        ahead: more,
      }
    })
    await forwardOnce(pieces.filter((piece) => piece.tokens.length > 0))
  }

  /** Forgets tokens at the end of the text; `removed` are all those, in order. */
  rewind(removed: readonly number[]): void {
    for (const run of this.#runs) {
      run.previewed.length = 0
      const count = removed.filter(run.has).length
      if (count === 0) continue
      takeBack(run, 0)
      run.ids.length -= count
      run.rows.length = 0
      // The distribution after the last token is not kept, so that the token has to run again.
      run.cache?.truncate(Math.min(run.cache.length, run.ids.length - 1))
    }
  }

  /** Runs for a copy of the text, and what became of each run in it. */
  fork(): { readonly runs: ModelRuns; readonly copyOf: (run: ModelRun) => ModelRun } {
    const copies: ModelRun[] = []
    try {
      for (const run of this.#runs) {
        const { ids, ahead, previewed, rows } = run
        const cache = run.cache?.fork()
        copies.push({
          ...run,
          cache,
          ids: [...ids],
          ahead: [...ahead],
          previewed: [...previewed],
          rows: [...rows],
        })
      }
    } catch (error) {
      for (const { cache } of copies) cache?.close()
      throw error
    }
    const parts = { base: this.#base, prefixes: this.#prefixes }
    const runs = new ModelRuns(parts, this.#prompt, copies)
    return { runs, copyOf: (run) => copies[this.#runs.indexOf(run)] }
  }

  /**
   * Frees the caches. Idempotent.
   *
   * @param keep Whether later texts may go on from this one.
   */
  close(keep: boolean): void {
    this.#closing.abort()
    for (const run of this.#runs) {
      const { engine, cache, ids } = run
      run.cache = undefined
      if (cache === undefined) continue
      if (keep) this.#prefixes.release(engine, cache, [...ids, ...run.ahead])
      else cache.close()
    }
  }

  /** Runs the prompts that have not been run, or finds them. */
  async #prefill(runs: readonly ModelRun[]): Promise<readonly BegunRun[]> {
    const { signal } = this.#closing
    // The base's engine blocks this thread while it runs: others must have been asked before.
    await Promise.all(
      runs.toReversed().map(async (run) => {
        if (run.cache !== undefined) return
        const { engine, adapter, ids } = run
        const { cache, logProbs } = await this.#prefixes.prefill(engine, adapter, ids, signal)
        if (signal.aborted) return cache.close()
        run.cache = cache
        run.rows.push(logProbs)
      }),
    )
    throwIfAborted(signal)
    return runs as readonly BegunRun[]
  }
}

/** A run whose prompt has been run. */
type BegunRun = ModelRun & { readonly cache: EngineCache }

/** Tokens of the text that the model has not read. */
function unreadOf({ ids, cache, rows }: BegunRun): readonly number[] {
  return rows.length === 0 ? ids.slice(cache.length) : []
}

/** Tokens that one run is to read, and the distributions that are wanted at their end. */
interface Piece {
  readonly run: BegunRun
  readonly tokens: readonly number[]
  readonly rows: number
  /** Those of the tokens that are ahead of the text. */
  readonly ahead: readonly number[]
}

/** Runs pieces in one batch for each engine. */
async function forwardOnce(pieces: readonly Piece[]): Promise<void> {
  const groups = Map.groupBy(pieces, ({ run }) => run.engine)
  // The base's engine blocks this thread while it runs: others must have been asked before.
  const inOrder = [...groups].reverse()
  await Promise.all(inOrder.map(async ([engine, pieces]) => {
    const results = await engine.forward(pieces.map(({ run, tokens, rows }) => ({
      cache: run.cache,
      tokens,
      want: rows > 1 ? "all" as const : "last" as const,
    })))
    pieces.forEach(({ run, rows, ahead }, i) => {
      const size = engine.vocabularySize
      for (let end = results[i].length - (rows - 1) * size; end <= results[i].length; end += size) {
        run.rows.push(results[i].subarray(end - size, end))
      }
      run.ahead.push(...ahead)
    })
  }))
}

/** Forgets what a run has read ahead of the text, but for its first `kept` tokens. */
function takeBack(run: ModelRun, kept: number): void {
  if (run.cache === undefined || run.ahead.length <= kept) return
  run.cache.truncate(run.cache.length - run.ahead.length + kept)
  run.ahead.length = kept
  run.rows.length = kept + 1
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}

function checkLength(ids: readonly number[], engine: Engine, model: string): void {
  if (ids.length <= engine.contextLength) return
  throw new GenArmError(
    { _tag: "InvalidPrompt" },
    `the prompt is ${ids.length} tokens long for ${model}, and its context holds ` +
      `${engine.contextLength}: shorten it`,
  )
}
