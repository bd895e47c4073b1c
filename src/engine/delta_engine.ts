/**
 * The engine of graphs that return only new keys and values (`llama/inference_graph.ts`): caches
 * that step live in one slab, rows of a batch are neighbouring slots of it, and a step copies no
 * context.
 */
import { type InferenceSession, Tensor } from "onnxruntime-node"
import { GenArmError, messageOf } from "../errors.ts"
import type { LlamaConfig } from "../llama/config.ts"
import { ropeTable } from "../llama/rope.ts"
import { Batcher, type RowResult } from "./batcher.ts"
import { checkRows, type OwnedRow } from "./check_rows.ts"
import {
  checkAdapter,
  closed,
  type Engine,
  type EngineCache,
  nonFinite,
  type Row,
} from "./engine.ts"
import { KeyValueSlab } from "./key_value_slab.ts"
import { KeyValueText } from "./key_value_text.ts"
import { OwnedCache } from "./owned_cache.ts"

type DeltaRow = OwnedRow<DeltaCache>

class DeltaCache extends OwnedCache {
  readonly engine: DeltaEngine
  readonly text: KeyValueText

  constructor(engine: DeltaEngine, text: KeyValueText, adapter: string | undefined) {
    super(adapter)
    this.engine = engine
    this.text = text
  }

  get length(): number {
    return this.text.length
  }

  protected copy(adapter: string | undefined): EngineCache {
    return this.engine.openWith(this.text.fork(), adapter)
  }

  protected cut(length: number): void {
    this.text.truncate(length)
  }

  protected free(): void {
    this.text.close()
    this.engine.forgetBuffers()
  }
}

/** An engine over a session of the inference graph. */
export class DeltaEngine implements Engine {
  readonly name: string
  readonly vocabularySize: number
  readonly width: number
  readonly contextLength: number
  readonly adapters: readonly string[]
  readonly bytesPerToken: number
  readonly slab: KeyValueSlab
  readonly snapshots = { bytes: 0 }
  readonly #session: InferenceSession
  readonly #config: LlamaConfig
  readonly #batcher: Batcher<DeltaRow>
  readonly #sharing: ReadonlySet<string>
  readonly #feeds: Record<string, Tensor> = {}
  #fed = { generation: -1, first: -1, rows: -1, ropeLength: 0 }
  #isRunning = false
  #closing: Promise<void> | undefined

  /**
   * @param adapters Names of the adapters in the graph, in its order.
   * @param sharing Names of those that leave all keys and values as they are (`keepsCaches`).
   */
  constructor(
    name: string,
    session: InferenceSession,
    config: LlamaConfig,
    adapters: readonly string[] = [],
    sharing: readonly string[] = [],
  ) {
    this.name = name
    this.adapters = adapters
    this.#sharing = new Set(sharing)
    this.vocabularySize = config.vocabularySize
    this.width = config.labels?.length ?? config.vocabularySize
    this.contextLength = config.contextLength
    this.#session = session
    this.#config = config
    this.slab = new KeyValueSlab({
      layers: config.layers,
      heads: config.keyValueHeads,
      headSize: config.headSize,
    })
    this.bytesPerToken = 2 * config.layers * config.keyValueHeads * config.headSize *
      Float32Array.BYTES_PER_ELEMENT
    this.#batcher = new Batcher((rows) => this.#run(rows))
  }

  /** Bytes that all caches take: those that step, with room for more tokens, and those that wait. */
  get cacheBytes(): number {
    return this.slab.bytes + this.snapshots.bytes
  }

  sharesCaches(adapter: string): boolean {
    return this.#sharing.has(adapter)
  }

  openCache(adapter?: string): EngineCache {
    checkAdapter(this, adapter)
    return this.openWith(new KeyValueText(this), adapter)
  }

  /** Opens a cache that holds a text. */
  openWith(text: KeyValueText, adapter: string | undefined): EngineCache {
    if (this.#closing) {
      text.close()
      throw closed(this.name)
    }
    return new DeltaCache(this, text, adapter)
  }

  /** Lets go of the slab's buffers once it has none; not while a run may still read the feeds. */
  forgetBuffers(): void {
    if (this.#isRunning || this.slab.open > 0) return
    for (const name of Object.keys(this.#feeds)) {
      if (name.startsWith("past_")) delete this.#feeds[name]
    }
    this.#fed = { ...this.#fed, generation: -1 }
  }

  // deno-lint-ignore require-await -- async, so that refusals reject instead of throwing
  async forward(rows: readonly Row[]): Promise<Float32Array[]> {
    if (this.#closing) throw closed(this.name)
    return this.#batcher.submit(checkRows(this, rows))
  }

  close(): Promise<void> {
    this.#closing ??= this.#batcher.idle().then(() => this.#session.release())
    return this.#closing
  }

  async #run(rows: readonly DeltaRow[]): Promise<RowResult[]> {
    const { slab } = this
    const empty = rows.every(({ cache }) => cache.length === 0)
    const steps = rows.reduce((most, { tokens }) => Math.max(most, tokens.length), 0)
    let first: number
    let outputs: InferenceSession.OnnxValueMapType
    this.#isRunning = true
    try {
      first = KeyValueText.enter(
        this,
        rows.map(({ cache }) => cache.text),
        rows.reduce((most, { cache, tokens }) => Math.max(most, cache.length + tokens.length), 0),
      )
      this.#feedRows(rows, first, steps)
      this.#feedCaches(first, rows.length, empty)
      outputs = await this.#session.run(this.#feeds)
    } catch (error) {
      throw new GenArmError(
        { _tag: "EngineFailed", engine: this.name },
        `${this.name} could not run ${rows.length} rows of ${steps} tokens: ${messageOf(error)}`,
        { cause: error },
      )
    } finally {
      this.#isRunning = false
      this.forgetBuffers()
    }
    const given = outputs.rows.data as Float32Array
    const counts = new Int32Array(rows.length)
    let offset = 0
    const results = rows.map((row): RowResult => {
      const positions = row.want === "all" ? row.tokens.length : 1
      const result = given.subarray(offset, offset += positions * this.width)
      const error = this.#damage(result, row.cache.adapter)
      if (error !== undefined) return error
      if (!row.cache.isClosed) counts[row.cache.text.slot - first] = row.tokens.length
      return result
    })
    slab.append(outputs.delta.data as Float32Array, first, steps, counts)
    return results
  }

  #damage(result: Float32Array, adapter: string | undefined): Error | undefined {
    if (this.#config.labels !== undefined) {
      const value = result.find((value) => !Number.isFinite(value))
      return value === undefined
        ? undefined
        : nonFinite(this.name, adapter, `${value} as the value of a label`)
    }
    // A log-softmax over anything that holds NaN is NaN throughout: one entry tells.
    for (let at = 0; at < result.length; at += this.width) {
      if (Number.isNaN(result[at])) return nonFinite(this.name, adapter)
    }
    return undefined
  }

  #feedRows(rows: readonly DeltaRow[], first: number, steps: number): void {
    const ids = new BigInt64Array(rows.length * steps)
    const lengths = new BigInt64Array(rows.length)
    const adapters = new BigInt64Array(rows.length)
    const wanted: number[] = []
    for (const { cache, tokens, want } of rows) {
      const row = cache.text.slot - first
      lengths[row] = BigInt(cache.length)
      if (cache.adapter !== undefined) {
        adapters[row] = BigInt(1 + this.adapters.indexOf(cache.adapter))
      }
      for (let i = 0; i < tokens.length; i++) ids[row * steps + i] = BigInt(tokens[i])
      const end = row * steps + tokens.length
      for (let at = want === "all" ? row * steps : end - 1; at < end; at++) wanted.push(at)
    }
    this.#feeds.input_ids = new Tensor("int64", ids, [rows.length, steps])
    this.#feeds.past_lengths = new Tensor("int64", lengths, [rows.length])
    if (this.adapters.length > 0) {
      this.#feeds.adapters = new Tensor("int64", adapters, [rows.length])
    }
    this.#feeds.wanted = new Tensor("int64", BigInt64Array.from(wanted, BigInt), [wanted.length])
  }

  #feedCaches(first: number, rows: number, empty: boolean): void {
    const { slab } = this
    const { heads, headSize } = slab.shape
    if (this.#fed.ropeLength < slab.capacity) {
      const { cos, sin } = ropeTable(this.#config.rope, slab.capacity)
      const shape = [slab.capacity, headSize / 2]
      this.#feeds.rope_cos = new Tensor("float32", cos, shape)
      this.#feeds.rope_sin = new Tensor("float32", sin, shape)
      this.#fed.ropeLength = slab.capacity
    }
    // Nothing to look back at: one hidden position stands for the caches.
    const start = empty ? -1 : first
    const fed = this.#fed
    if (fed.generation === slab.generation && fed.first === start && fed.rows === rows) return
    const capacity = empty ? 1 : slab.capacity
    const size = heads * capacity * headSize
    const nothing = empty ? new Float32Array(rows * size) : undefined
    slab.buffers.forEach((buffer, index) => {
      const data = nothing ?? buffer.subarray(first * size, (first + rows) * size)
      const name = `${index % 2 === 0 ? "past_key" : "past_value"}.${index >> 1}`
      this.#feeds[name] = new Tensor("float32", data, [rows, heads, capacity, headSize])
    })
    this.#fed = { ...this.#fed, generation: slab.generation, first: start, rows }
  }
}
