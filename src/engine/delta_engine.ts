/**
 * The engine of graphs that return only new keys and values (`llama/inference_graph.ts`): caches
 * live in one slab, rows of a batch are neighbouring slots of it, and a step copies no context.
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
import { KeyValueSlab, type SlabEntry } from "./key_value_slab.ts"
import { OwnedCache } from "./owned_cache.ts"

type DeltaRow = OwnedRow<DeltaCache>

class DeltaCache extends OwnedCache {
  readonly engine: DeltaEngine
  readonly entry: SlabEntry

  constructor(engine: DeltaEngine, entry: SlabEntry, adapter: string | undefined) {
    super(adapter)
    this.engine = engine
    this.entry = entry
  }

  get length(): number {
    return this.entry.length
  }

  protected copy(): EngineCache {
    return this.engine.forkCache(this)
  }

  protected cut(length: number): void {
    this.entry.length = length
  }

  protected free(): void {
    this.engine.removeCache(this.entry)
  }
}

/** An engine over a session of the inference graph. */
export class DeltaEngine implements Engine {
  readonly name: string
  readonly vocabularySize: number
  readonly contextLength: number
  readonly adapters: readonly string[]
  readonly slab: KeyValueSlab
  readonly #session: InferenceSession
  readonly #config: LlamaConfig
  readonly #batcher: Batcher<DeltaRow>
  readonly #feeds: Record<string, Tensor> = {}
  #fed = { generation: -1, first: -1, rows: -1, ropeLength: 0 }
  #isRunning = false
  #closing: Promise<void> | undefined

  /** @param adapters Names of the adapters in the graph, in its order. */
  constructor(
    name: string,
    session: InferenceSession,
    config: LlamaConfig,
    adapters: readonly string[] = [],
  ) {
    this.name = name
    this.adapters = adapters
    this.vocabularySize = config.vocabularySize
    this.contextLength = config.contextLength
    this.#session = session
    this.#config = config
    this.slab = new KeyValueSlab({
      layers: config.layers,
      heads: config.keyValueHeads,
      headSize: config.headSize,
    })
    this.#batcher = new Batcher(
      (rows) => this.#run(rows),
      (rows) => this.slab.open > rows,
    )
  }

  openCache(adapter?: string): EngineCache {
    if (this.#closing) throw closed(this.name)
    checkAdapter(this, adapter)
    return new DeltaCache(this, this.slab.add(), adapter)
  }

  /** A second cache with the tokens of another. */
  forkCache({ entry, adapter }: DeltaCache): EngineCache {
    if (this.#closing) throw closed(this.name)
    const cache = new DeltaCache(this, this.slab.add(), adapter)
    this.slab.copy(entry, cache.entry)
    return cache
  }

  /** Frees the slot of a cache, and with the last one all memory. */
  removeCache(entry: SlabEntry): void {
    this.slab.remove(entry)
    if (!this.#isRunning) this.#forgetBuffers()
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
    const entries = rows.map(({ cache }) => cache.entry)
    const steps = rows.reduce((most, { tokens }) => Math.max(most, tokens.length), 0)
    let first: number
    let outputs: InferenceSession.OnnxValueMapType
    this.#isRunning = true
    try {
      slab.reserve(rows.reduce((most, r) => Math.max(most, r.cache.length + r.tokens.length), 0))
      first = slab.gather(entries)
      this.#feedRows(rows, first, steps)
      this.#feedCaches(first, rows.length, entries.every(({ length }) => length === 0))
      outputs = await this.#session.run(this.#feeds)
    } catch (error) {
      throw new GenArmError(
        { _tag: "EngineFailed", engine: this.name },
        `${this.name} could not run ${rows.length} rows of ${steps} tokens: ${messageOf(error)}`,
        { cause: error },
      )
    } finally {
      this.#isRunning = false
      this.#forgetBuffers()
    }
    const logProbs = outputs.log_probs.data as Float32Array
    const counts = new Int32Array(rows.length)
    let offset = 0
    const results = rows.map((row): RowResult => {
      const positions = row.want === "all" ? row.tokens.length : 1
      const size = positions * this.vocabularySize
      const result = logProbs.subarray(offset, offset += size)
      // A log-softmax over anything that holds NaN is NaN throughout: one entry tells.
      for (let at = 0; at < size; at += this.vocabularySize) {
        if (Number.isNaN(result[at])) return nonFinite(this.name, row.cache.adapter)
      }
      if (!row.cache.isClosed) counts[row.cache.entry.slot - first] = row.tokens.length
      return result
    })
    slab.append(outputs.delta.data as Float32Array, first, steps, counts)
    return results
  }

  #feedRows(rows: readonly DeltaRow[], first: number, steps: number): void {
    const ids = new BigInt64Array(rows.length * steps)
    const lengths = new BigInt64Array(rows.length)
    const adapters = new BigInt64Array(rows.length)
    const wanted: number[] = []
    for (const { cache, tokens, want } of rows) {
      const row = cache.entry.slot - first
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

  /** Lets go of the slab's buffers once it has none; not while a run may still read the feeds. */
  #forgetBuffers(): void {
    if (this.slab.open > 0) return
    for (const name of Object.keys(this.#feeds)) {
      if (name.startsWith("past_")) delete this.#feeds[name]
    }
    this.#fed = { ...this.#fed, generation: -1 }
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
