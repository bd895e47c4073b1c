/**
 * Models small enough to be written down: a vocabulary and a rule for the next token. For examples,
 * tests and plugins under development; no file is read and nothing is computed natively.
 */
import { Effect, Layer } from "effect"
import { Batcher, type RowResult } from "../engine/batcher.ts"
import { checkRows, type OwnedRow } from "../engine/check_rows.ts"
import { checkAdapter, closed, type Engine, type EngineCache, type Row } from "../engine/engine.ts"
import { OwnedCache } from "../engine/owned_cache.ts"
import { GenArmError } from "../errors.ts"
import type { ChatMessage, Tokenizer } from "../files/tokenizer.ts"
import { type OpenModel, Runtime } from "./runtime.ts"
import { labelsOf, type TableModel, type TableValueModel, writeRow } from "./table_model.ts"

export type { TableModel, TableValueModel } from "./table_model.ts"

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
export function tableRuntime(
  models: Readonly<Record<string, TableModel | TableValueModel>>,
): Layer.Layer<Runtime> {
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
        const labels = labelsOf(table)
        const model: OpenModel = {
          engine: new TableEngine(ref.model, table),
          tokenizer: tableTokenizer(ref.model, table),
          eos: table.eos ?? [],
          ...labels && { labels },
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

  constructor(engine: TableEngine, ids: number[], adapter?: string) {
    super(adapter)
    this.engine = engine
    this.ids = ids
    engine.openCaches++
  }

  get length(): number {
    return this.ids.length
  }

  protected copy(adapter: string | undefined): EngineCache {
    return this.engine.openWith([...this.ids], adapter)
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
  readonly width: number
  readonly contextLength: number
  /** Caches opened and not closed. */
  openCaches = 0
  readonly #table: TableModel | TableValueModel
  readonly #batcher: Batcher<TableRow>
  #closing: Promise<void> | undefined

  constructor(name: string, table: TableModel | TableValueModel) {
    this.name = name
    this.vocabularySize = table.vocabulary.length + (table.padding ?? 0)
    this.width = labelsOf(table)?.length ?? this.vocabularySize
    this.contextLength = table.contextLength ?? 1024
    this.#table = table
    this.#batcher = new Batcher((rows) => Promise.resolve(this.#run(rows)), false)
  }

  openCache(adapter?: string): EngineCache {
    checkAdapter(this, adapter)
    return this.openWith([], adapter)
  }

  /** Opens a cache that holds these ids. */
  openWith(ids: number[], adapter?: string): EngineCache {
    if (this.#closing) throw closed(this.name)
    return new TableCache(this, ids, adapter)
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
    const { name, width } = this
    const count = want === "all" ? tokens.length : 1
    const out = new Float32Array(count * width)
    for (let i = 0; i < tokens.length; i++) {
      ids.push(tokens[i])
      const position = i - (tokens.length - count)
      if (position < 0) continue
      const row = out.subarray(position * width, (position + 1) * width)
      const error = writeRow(name, this.#table, ids, row)
      if (error !== undefined) return error
    }
    return out
  }
}

/** The tokenizer of a written-down model; `name` is the model's, for errors. */
export function tableTokenizer(name: string, table: TableModel | TableValueModel): Tokenizer {
  return new TableTokenizer(name, table)
}

/** Longest match first, and bytes where there is none; decoding joins bytes before it reads UTF-8. */
class TableTokenizer implements Tokenizer {
  readonly size: number
  readonly eos: number | undefined
  readonly #name: string
  readonly #table: TableModel | TableValueModel
  /** Ids of `<0x00>` ... by the byte. */
  readonly #byteIds: ReadonlyMap<number, number>

  constructor(name: string, table: TableModel | TableValueModel) {
    this.#name = name
    this.#table = table
    this.#byteIds = new Map(
      table.vocabulary.flatMap((token, id) => isByte(token) ? [[byteOf(token), id]] : []),
    )
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
        const character = String.fromCodePoint(text.codePointAt(at)!)
        ids.push(...this.#bytesOf(character, text.slice(at)))
        at += character.length
        continue
      }
      ids.push(best)
      at += this.#table.vocabulary[best].length
    }
    return ids
  }

  #bytesOf(character: string, rest: string): number[] {
    const ids = [...new TextEncoder().encode(character)].map((byte) => this.#byteIds.get(byte))
    if (ids.every((id) => id !== undefined)) return ids
    throw new GenArmError(
      { _tag: "InvalidPrompt" },
      `the table model "${this.#name}" has no token for ${JSON.stringify(rest)}`,
    )
  }

  encodeChat(messages: readonly ChatMessage[]): number[] {
    return this.encode(messages.map(({ content }) => content).join(""))
  }

  decode(ids: readonly number[]): string {
    const utf8 = new TextEncoder()
    const bytes = ids.flatMap((id) => {
      const token = this.#table.vocabulary[id] ?? ""
      if (isByte(token)) return [byteOf(token)]
      return isSpecial(token) ? [] : [...utf8.encode(token)]
    })
    return new TextDecoder().decode(Uint8Array.from(bytes))
  }
}

function isByte(token: string): boolean {
  return /^<0x[0-9A-F]{2}>$/.test(token)
}

function byteOf(token: string): number {
  return parseInt(token.slice(3, 5), 16)
}

function isSpecial(token: string): boolean {
  return /^<[^<>]+>$/.test(token)
}
