/**
 * Models small enough to be written down: a vocabulary and a rule for the next token. For examples,
 * tests and plugins under development; no file is read and nothing is computed natively.
 */
import { Effect, Layer } from "effect"
import { Batcher, type RowResult } from "../engine/batcher.ts"
import { checkRows, type OwnedRow } from "../engine/check_rows.ts"
import {
  checkAdapter,
  closed,
  type Engine,
  type EngineCache,
  nonFinite,
  type Row,
} from "../engine/engine.ts"
import { OwnedCache } from "../engine/owned_cache.ts"
import { GenArmError, messageOf } from "../errors.ts"
import type { ChatMessage, Tokenizer } from "../files/tokenizer.ts"
import { type OpenModel, Runtime } from "./runtime.ts"

/** A model written down. */
export interface TableModel {
  /**
   * The text of each id. `<0x41>` stands for one byte, `<name>` for a special token without text.
   */
  readonly vocabulary: readonly string[]
  /** The probabilities of the next token, `[vocabulary]`, after `ids`; they are normalised. */
  readonly next: (ids: readonly number[]) => ArrayLike<number>
  /** The id with which every text prompt begins; none where absent. */
  readonly bos?: number
  /** Ids that end a text; none where absent. */
  readonly eos?: readonly number[]
  /** Tokens of context, 1024 where absent. */
  readonly contextLength?: number
  /** Rows of a distribution beyond the vocabulary, which no tokenizer names; 0 where absent. */
  readonly padding?: number
}

/**
 * A runtime whose models are written down, by name.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const models = { abab: { vocabulary: ["a", "b"], next: (ids: readonly number[]) => ids.at(-1) === 0 ? [0, 1] : [1, 0] } }
 * await using pipeline = await openPipeline(defineGraph({ base: "abab" }), {
 *   runtime: tableRuntime(models),
 * })
 * const { text } = await pipeline.generate("a", { maxTokens: 4 })
 * assertEquals(text, "baba")
 * ```
 */
export function tableRuntime(models: Readonly<Record<string, TableModel>>): Layer.Layer<Runtime> {
  return Layer.sync(Runtime, () => {
    const opened = new Map<string, OpenModel>()
    return Runtime.of({
      name: "table",
      open: ({ ref, adapters = [] }) => {
        const adapter = ref.adapter ?? adapters[0]
        if (adapter !== undefined) {
          return Effect.fail(
            new GenArmError(
              { _tag: "UnsupportedModel", model: ref.model },
              `"${ref.model}" is written down, and takes no adapter such as "${adapter}": write a ` +
                "model with its probabilities instead",
            ),
          )
        }
        const known = opened.get(ref.model)
        if (known !== undefined) return Effect.succeed(known)
        if (!Object.hasOwn(models, ref.model)) {
          return Effect.fail(
            new GenArmError(
              { _tag: "ModelNotFound", model: ref.model },
              `the table runtime has no model "${ref.model}"; it has ${
                Object.keys(models).join(", ")
              }`,
            ),
          )
        }
        const table = models[ref.model]
        const model: OpenModel = {
          engine: new TableEngine(ref.model, table),
          tokenizer: new TableTokenizer(ref.model, table),
          eos: table.eos ?? [],
        }
        opened.set(ref.model, model)
        return Effect.succeed(model)
      },
    })
  })
}

class TableCache extends OwnedCache {
  readonly engine: TableEngine
  readonly ids: number[]

  constructor(engine: TableEngine, ids: number[]) {
    super()
    this.engine = engine
    this.ids = ids
    engine.openCaches++
  }

  get length(): number {
    return this.ids.length
  }

  protected copy(): EngineCache {
    return this.engine.openWith([...this.ids])
  }

  protected cut(length: number): void {
    this.ids.length = length
  }

  protected free(): void {
    this.engine.openCaches--
  }
}

type TableRow = OwnedRow<TableCache>

/** The engine of a written-down model. */
export class TableEngine implements Engine {
  readonly name: string
  readonly vocabularySize: number
  readonly contextLength: number
  /** Caches opened and not closed. */
  openCaches = 0
  readonly #table: TableModel
  readonly #batcher: Batcher<TableRow>
  #closing: Promise<void> | undefined

  constructor(name: string, table: TableModel) {
    this.name = name
    this.vocabularySize = table.vocabulary.length + (table.padding ?? 0)
    this.contextLength = table.contextLength ?? 1024
    this.#table = table
    this.#batcher = new Batcher((rows) => Promise.resolve(this.#run(rows)), false)
  }

  openCache(adapter?: string): EngineCache {
    checkAdapter(this, adapter)
    return this.openWith([])
  }

  /** Opens a cache that holds these ids. */
  openWith(ids: number[]): EngineCache {
    if (this.#closing) throw closed(this.name)
    return new TableCache(this, ids)
  }

  // deno-lint-ignore require-await -- async, so that refusals reject instead of throwing
  async forward(rows: readonly Row[]): Promise<Float32Array[]> {
    if (this.#closing) throw closed(this.name)
    return this.#batcher.submit(checkRows(this, rows))
  }

  close(): Promise<void> {
    this.#closing ??= this.#batcher.idle()
    return this.#closing
  }

  #run(rows: readonly TableRow[]): RowResult[] {
    return rows.map((row) => {
      const { ids } = row.cache
      const before = ids.length
      const result = this.#runRow(row)
      if (result instanceof Error) ids.length = before
      return result
    })
  }

  #runRow({ cache: { ids }, tokens, want }: TableRow): RowResult {
    const size = this.vocabularySize
    const count = want === "all" ? tokens.length : 1
    const out = new Float32Array(count * size)
    for (let i = 0; i < tokens.length; i++) {
      ids.push(tokens[i])
      const position = i - (tokens.length - count)
      if (position < 0) continue
      const row = out.subarray(position * size, (position + 1) * size)
      try {
        writeLogProbs(this.#table.next(ids), row)
      } catch (error) {
        return new GenArmError(
          { _tag: "EngineFailed", engine: this.name },
          `the rule of the table model "${this.name}" failed: ${messageOf(error)}`,
          { cause: error },
        )
      }
      if (row.some(Number.isNaN)) return nonFinite(this.name)
    }
    return out
  }
}

/** Normalises probabilities and writes their logarithms; rows beyond them are impossible. */
function writeLogProbs(probabilities: ArrayLike<number>, out: Float32Array): void {
  let sum = 0
  for (let id = 0; id < probabilities.length; id++) sum += probabilities[id]
  for (let id = 0; id < out.length; id++) {
    out[id] = id < probabilities.length ? Math.log(probabilities[id] / sum) : -Infinity
  }
}

/** Longest match first; decoding joins bytes before it reads UTF-8. */
class TableTokenizer implements Tokenizer {
  readonly size: number
  readonly eos: number | undefined
  readonly #name: string
  readonly #table: TableModel

  constructor(name: string, table: TableModel) {
    this.#name = name
    this.#table = table
    this.size = table.vocabulary.length
    this.eos = table.eos?.[0]
  }

  token(id: number): string | undefined {
    return this.#table.vocabulary[id]
  }

  encode(text: string): number[] {
    const { bos } = this.#table
    const ids = this.encodeContinuation(text)
    return bos === undefined ? ids : [bos, ...ids]
  }

  encodeContinuation(text: string): number[] {
    const ids: number[] = []
    for (let at = 0; at < text.length;) {
      let best = -1
      this.#table.vocabulary.forEach((token, id) => {
        const longer = best < 0 || token.length > this.#table.vocabulary[best].length
        if (token.length > 0 && !isSpecial(token) && text.startsWith(token, at) && longer) best = id
      })
      if (best < 0) {
        throw new GenArmError(
          { _tag: "InvalidPrompt" },
          `the table model "${this.#name}" has no token for ${JSON.stringify(text.slice(at))}`,
        )
      }
      ids.push(best)
      at += this.#table.vocabulary[best].length
    }
    return ids
  }

  encodeChat(messages: readonly ChatMessage[]): number[] {
    return this.encode(messages.map(({ content }) => content).join(""))
  }

  decode(ids: readonly number[]): string {
    const utf8 = new TextEncoder()
    const bytes = ids.flatMap((id) => {
      const token = this.#table.vocabulary[id] ?? ""
      if (isByte(token)) return [parseInt(token.slice(3, 5), 16)]
      return isSpecial(token) ? [] : [...utf8.encode(token)]
    })
    return new TextDecoder().decode(Uint8Array.from(bytes))
  }
}

function isByte(token: string): boolean {
  return /^<0x[0-9A-F]{2}>$/.test(token)
}

function isSpecial(token: string): boolean {
  return /^<[^<>]+>$/.test(token)
}
