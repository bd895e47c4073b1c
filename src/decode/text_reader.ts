/**
 * A model as a reward reads texts with it. What all texts of a call begin with is read once and kept;
 * each that is not the beginning of another goes on from there in a fork, in one batch. Of the forks those
 * of the last call are kept too: one of them is as a rule the text that the next call begins with.
 */
import { checkIds, closed, type Engine, type EngineCache, type Row } from "../engine/engine.ts"
import { GenArmError, messageOf } from "../errors.ts"
import { closeQuietly } from "../plugin/close_all.ts"
import type { TextModel } from "../plugin/reward.ts"
import type { OpenSource } from "./open_graph.ts"
import type { PrefixCache } from "./prefix_cache.ts"
import { commonLength } from "./common_length.ts"

/** A text that has been read, with the rows at its end. */
interface ReadText {
  readonly cache: EngineCache
  readonly ids: readonly number[]
  /** After the first `ids.length - rows.length + 1` ids, and one after the next, to the end. */
  readonly rows: readonly Float32Array[]
}

/** What a reader needs. */
export interface ReaderParts {
  readonly source: OpenSource
  readonly promptIds: readonly number[]
  readonly prefixes: PrefixCache
  /** On whose behalf it reads, for errors. */
  readonly reward: string
  readonly plugin: string
}

/** Reads texts of one sequence. */
export class TextReader implements TextModel {
  readonly vocabularySize: number
  readonly width: number
  readonly labels?: readonly string[]
  readonly contextLength: number
  readonly promptIds: readonly number[]
  readonly eos: readonly number[]
  readonly token: TextModel["token"]
  readonly decode: TextModel["decode"]
  readonly encode: TextModel["encode"]
  readonly read: TextModel["read"]
  readonly #parts: ReaderParts
  readonly #engine: Engine
  readonly #closing = new AbortController()
  /** What has been read, the beginning of the last call first. */
  #known: ReadText[]
  /** Caches that a call runs now. */
  #running: readonly EngineCache[] = []
  /** Calls run one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: ReaderParts, known: ReadText[] = []) {
    const { source: { model }, promptIds } = parts
    const { engine, tokenizer } = model
    this.#parts = parts
    this.#engine = engine
    this.#known = known
    this.vocabularySize = engine.vocabularySize
    this.width = engine.width
    if (model.labels !== undefined) this.labels = model.labels
    this.contextLength = engine.contextLength
    this.promptIds = promptIds
    this.eos = model.eos
    this.token = (id) => tokenizer.token(id)
    this.decode = (ids) => tokenizer.decode(ids)
    this.encode = (text) => tokenizer.encodeContinuation(text)
    // As a value: rewards take it out of the object.
    this.read = (texts, from) => {
      // What is kept must not change when the caller's lists do.
      const copies = Array.from(texts, (ids) => Array.from(ids))
      const reading = this.#last.then(() => this.#read(copies, from))
      this.#last = reading.catch(() => {})
      return reading
    }
  }

  /** A reader for a copy of the sequence. */
  fork(): TextReader {
    const [beginning] = this.#known
    const known = beginning && { ...beginning, cache: beginning.cache.fork() }
    return new TextReader(this.#parts, known && [known])
  }

  /** Frees the caches. Idempotent. */
  close(): void {
    this.#closing.abort()
    closeQuietly(...this.#running.map((cache) => () => cache.close()))
    this.#forget()
  }

  async #read(
    texts: readonly (readonly number[])[],
    from: number,
  ): Promise<readonly (readonly Float32Array[])[]> {
    this.#check(texts, from)
    if (texts.length === 0) return []
    const beginning = await this.#readBeginning(texts[0].slice(0, from))
    const { whole, placeOf } = longestOf(texts, from)
    const read = await this.#readOn(beginning, whole)
    const [row] = beginning.rows.slice(-1)
    return texts.map(({ length }, i) =>
      length > from ? read[placeOf[i]].rows.slice(0, length - from + 1) : [row]
    )
  }

  /** Brings what has most in common with a beginning to its end, and forgets all else. */
  async #readBeginning(ids: readonly number[]): Promise<ReadText> {
    const shared = this.#known.map((known) => commonLength(known.ids, ids))
    const most = Math.max(0, ...shared)
    const [nearest] = most === 0 ? [] : this.#known.splice(shared.indexOf(most), 1)
    const beginning = nearest === undefined
      ? await this.#prefill(ids)
      : await this.#goOn(nearest, ids, most)
    // Not before: the engine would give back the room that the texts of this call need again.
    this.#forget()
    this.#keep([beginning])
    return beginning
  }

  async #prefill(ids: readonly number[]): Promise<ReadText> {
    const { prefixes, source } = this.#parts
    const { signal } = this.#closing
    const { cache, logProbs } = await prefixes.prefill(
      this.#engine,
      source.model.adapter,
      ids,
      signal,
    )
    return { cache, ids, rows: [logProbs] }
  }

  async #goOn(known: ReadText, ids: readonly number[], shared: number): Promise<ReadText> {
    const { cache, rows } = known
    const row = shared === ids.length ? rows.at(shared - known.ids.length - 1) : undefined
    try {
      if (row !== undefined) {
        cache.truncate(shared)
        return { cache, ids, rows: [row] }
      }
      // Without its row the last id has to be read again.
      const held = Math.min(shared, ids.length - 1)
      cache.truncate(held)
      const tokens = ids.slice(held)
      const [last] = await this.#forward([{ cache, tokens, want: "last" }])
      return { cache, ids, rows: [last] }
    } catch (error) {
      cache.close()
      throw error
    }
  }

  /** Reads texts in forks of their beginning. */
  async #readOn(
    { cache, ids, rows }: ReadText,
    texts: readonly (readonly number[])[],
  ): Promise<readonly ReadText[]> {
    if (texts.length === 0) return []
    const forks: EngineCache[] = []
    try {
      for (const _ of texts) forks.push(cache.fork())
      const results = await this.#forward(texts.map((text, i) => ({
        cache: forks[i],
        tokens: text.slice(ids.length),
        want: "all",
      })))
      const [row] = rows.slice(-1)
      const read = texts.map((text, i): ReadText => ({
        cache: forks[i],
        ids: text,
        rows: [row, ...rowsOf(results[i], this.width)],
      }))
      this.#keep(read)
      return read
    } catch (error) {
      for (const fork of forks) fork.close()
      throw error
    }
  }

  async #forward(rows: readonly Row[]): Promise<readonly Float32Array[]> {
    this.#running = rows.map(({ cache }) => cache)
    try {
      return await this.#engine.forward(rows)
    } finally {
      this.#running = []
    }
  }

  /** Keeps what has been read; a reader that was closed meanwhile keeps nothing. */
  #keep(read: readonly ReadText[]): void {
    this.#known.push(...read)
    if (!this.#closing.signal.aborted) return
    this.#forget()
    throw closed("this text")
  }

  #forget(): void {
    closeQuietly(...this.#known.map(({ cache }) => () => cache.close()))
    this.#known = []
  }

  #check(texts: readonly (readonly number[])[], from: number): void {
    if (this.#closing.signal.aborted) throw closed("this text")
    const { reward, plugin } = this.#parts
    const misused = (what: string) =>
      new GenArmError(
        { _tag: "PluginFailed", plugin },
        `the reward "${reward}" (${plugin}) ${what}`,
      )
    if (!(Number.isInteger(from) && from > 0)) {
      throw misused(`reads texts from ${from}: expected a number of ids, 1 at least`)
    }
    texts.forEach((ids, i) => {
      if (ids.length < from) {
        throw misused(
          `reads texts from ${from}, and text ${i} has ${ids.length} ids: expected no fewer`,
        )
      }
      if (commonLength(ids, texts[0]) < from) {
        throw misused(
          `reads texts from ${from}, and text ${i} does not begin with the same ${from} ids as ` +
            "text 0: expected a beginning that all share",
        )
      }
      if (ids.length > this.contextLength) {
        throw misused(
          `reads a text of ${ids.length} tokens, and the model's context holds ` +
            `${this.contextLength}: take fewer tokens, or a model with a longer context`,
        )
      }
      try {
        checkIds(ids, this.#engine.vocabularySize, this.#engine.name)
      } catch (error) {
        throw misused(`reads text ${i} with a wrong id: ${messageOf(error)}`)
      }
    })
  }
}

/**
 * Texts that none of the others goes on from: what is read of these is all there is to read. `placeOf`
 * tells for each text which of them begins with it.
 */
function longestOf(
  texts: readonly (readonly number[])[],
  from: number,
): { readonly whole: readonly (readonly number[])[]; readonly placeOf: readonly number[] } {
  const whole: (readonly number[])[] = []
  const placeOf = new Array<number>(texts.length)
  const order = texts.map((_, i) => i).sort((a, b) => texts[b].length - texts[a].length)
  for (const i of order) {
    const text = texts[i]
    if (text.length === from) break
    const place = whole.findIndex((longer) => isBeginning(text, longer, from))
    placeOf[i] = place < 0 ? whole.push(text) - 1 : place
  }
  return { whole, placeOf }
}

/** Whether a text is the beginning of another; the first `from` ids of both are the same. */
function isBeginning(text: readonly number[], other: readonly number[], from: number): boolean {
  for (let i = from; i < text.length; i++) if (text[i] !== other[i]) return false
  return true
}

/** Rows that lie one after the other. */
function rowsOf(all: Float32Array, width: number): Float32Array[] {
  return Array.from(
    { length: all.length / width },
    (_, i) => all.subarray(i * width, (i + 1) * width),
  )
}
