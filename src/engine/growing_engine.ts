/**
 * The engine of ready exports (`past_key_values.*` in, `present.*` out): the graph returns all keys
 * and values at every step, and they are fed back as they are. Such graphs take rows of one length
 * only, so rows run one after the other; a fork shares its tensors, as nothing writes to them.
 */
import { type InferenceSession, Tensor } from "onnxruntime-node"
import { GenArmError, messageOf } from "../errors.ts"
import type { Json } from "../files/model_folder.ts"
import { logSoftmaxInto } from "../math/log_softmax.ts"
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
import { OwnedCache } from "./owned_cache.ts"

type GrowingRow = OwnedRow<GrowingCache>

/** Tensors by the names under which they are fed. */
type Past = Readonly<Record<string, Tensor>>

class GrowingCache extends OwnedCache {
  readonly engine: GrowingEngine
  past: Past
  length: number

  constructor(engine: GrowingEngine, past: Past, length: number) {
    super()
    this.engine = engine
    this.past = past
    this.length = length
    engine.openCaches++
  }

  protected copy(): EngineCache {
    return this.engine.openWith(this.past, this.length)
  }

  protected cut(length: number): void {
    this.past = Object.fromEntries(
      Object.entries(this.past).map(([name, tensor]) => [name, firstPositions(tensor, length)]),
    )
    this.length = length
  }

  protected free(): void {
    this.past = {}
    this.engine.openCaches--
  }
}

/** A copy of the first `length` positions of `[1, heads, positions, headSize]`. */
function firstPositions(tensor: Tensor, length: number): Tensor {
  const [, heads, held, headSize] = tensor.dims
  const from = tensor.data as Float32Array
  const to = new Float32Array(heads * length * headSize)
  for (let head = 0; head < heads; head++) {
    const begin = head * held * headSize
    to.set(from.subarray(begin, begin + length * headSize), head * length * headSize)
  }
  return new Tensor("float32", to, [1, heads, length, headSize])
}

/** An engine over a session of a ready export. */
export class GrowingEngine implements Engine {
  readonly name: string
  readonly vocabularySize: number
  readonly width: number
  readonly contextLength: number
  /** Caches that have been opened and not closed. */
  openCaches = 0
  readonly #session: InferenceSession
  readonly #empty: Past
  readonly #inputs: ReadonlySet<string>
  readonly #batcher: Batcher<GrowingRow>
  #closing: Promise<void> | undefined

  /** Checks that the session is an export this engine can drive. */
  constructor(name: string, session: InferenceSession, config: Json) {
    this.name = name
    this.#session = session
    this.#inputs = new Set(session.inputNames)
    const refuse = (what: string): never => {
      throw new GenArmError({ _tag: "UnsupportedModel", model: name }, `${name}: ${what}`)
    }
    const past: Record<string, Tensor> = {}
    for (const input of session.inputMetadata) {
      if (!input.isTensor || knownInputs.has(input.name)) continue
      if (!input.name.startsWith("past_key_values.")) {
        refuse(`its export asks for "${input.name}", which a decoder without other inputs has not`)
      }
      if (input.type !== "float32") {
        refuse(`its export keeps a cache of ${input.type}: use one with a float32 cache`)
      }
      if (!session.outputNames.includes(presentOf(input.name))) {
        refuse(`its export asks for "${input.name}" and does not give "${presentOf(input.name)}"`)
      }
      const [, heads, , headSize] = input.shape
      if (typeof heads !== "number" || typeof headSize !== "number") {
        refuse(`its export does not say how many heads and dimensions "${input.name}" has`)
      }
      past[input.name] = new Tensor("float32", new Float32Array(0), [
        1,
        heads as number,
        0,
        headSize as number,
      ])
    }
    if (Object.keys(past).length === 0) {
      refuse(
        "its export has no past_key_values inputs: export it with a cache (text-generation-with-past)",
      )
    }
    this.#empty = past
    const logits = session.outputMetadata.find((output) => output.name === "logits")
    if (logits === undefined || !logits.isTensor || logits.type !== "float32") {
      refuse(`its export has no float32 output "logits"`)
    }
    const size = (logits as { shape: readonly (number | string)[] }).shape.at(-1)
    const vocabularySize = typeof size === "number" ? size : config.vocab_size
    if (typeof vocabularySize !== "number") refuse("config.json must give vocab_size as a number")
    this.vocabularySize = vocabularySize as number
    this.width = this.vocabularySize
    const context = config.max_position_embeddings ?? config.n_positions
    if (typeof context !== "number") refuse("config.json must give max_position_embeddings")
    this.contextLength = context as number
    this.#batcher = new Batcher((rows) => this.#runInTurn(rows), false)
  }

  openCache(adapter?: string): EngineCache {
    checkAdapter(this, adapter)
    return this.openWith(this.#empty, 0)
  }

  /** Opens a cache that holds what another does. */
  openWith(past: Past, length: number): EngineCache {
    if (this.#closing) throw closed(this.name)
    return new GrowingCache(this, past, length)
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

  async #runInTurn(rows: readonly GrowingRow[]): Promise<RowResult[]> {
    const results: RowResult[] = []
    for (const row of rows) {
      results.push(await this.#runRow(row).catch((error: Error) => error))
    }
    return results
  }

  async #runRow({ cache, tokens, want }: GrowingRow): Promise<Float32Array> {
    if (cache.isClosed) throw closed("this cache")
    const steps = tokens.length
    const total = cache.length + steps
    const integers = (values: ArrayLike<number>) => BigInt64Array.from(values, BigInt)
    const feeds: Record<string, Tensor> = {
      ...cache.past,
      input_ids: new Tensor("int64", integers(tokens), [1, steps]),
    }
    if (this.#inputs.has("attention_mask")) {
      feeds.attention_mask = new Tensor("int64", new BigInt64Array(total).fill(1n), [1, total])
    }
    if (this.#inputs.has("position_ids")) {
      const positions = Array.from({ length: steps }, (_, i) => cache.length + i)
      feeds.position_ids = new Tensor("int64", integers(positions), [1, steps])
    }
    if (this.#inputs.has("num_logits_to_keep")) {
      const kept = want === "all" ? steps : 1
      feeds.num_logits_to_keep = new Tensor("int64", integers([kept]), [])
    }
    let outputs: InferenceSession.OnnxValueMapType
    try {
      outputs = await this.#session.run(feeds)
    } catch (error) {
      throw new GenArmError(
        { _tag: "EngineFailed", engine: this.name },
        `${this.name} could not run ${steps} tokens: ${messageOf(error)}`,
        { cause: error },
      )
    }
    const logits = outputs.logits.data as Float32Array
    const size = this.width
    const wanted = want === "all" ? steps : 1
    const result = new Float32Array(wanted * size)
    const first = logits.length - wanted * size
    for (let at = 0; at < result.length; at += size) {
      const row = result.subarray(at, at + size)
      try {
        logSoftmaxInto(logits.subarray(first + at, first + at + size), row)
      } catch {
        throw nonFinite(this.name)
      }
    }
    if (!cache.isClosed) {
      cache.past = Object.fromEntries(
        Object.keys(cache.past).map((name) => [
          name,
          outputs[presentOf(name)] as Tensor,
        ]),
      )
      cache.length = total
    }
    return result
  }
}

/** The output that is fed back as an input. */
function presentOf(past: string): string {
  return past.replace("past_key_values", "present")
}

const knownInputs: ReadonlySet<string> = new Set([
  "input_ids",
  "attention_mask",
  "position_ids",
  "num_logits_to_keep",
])
