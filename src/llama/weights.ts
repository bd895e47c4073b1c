/**
 * The weights of a Llama, checked against the configuration and arranged for the graph: query, key
 * and value projections stacked into one matrix, and gate and up likewise, so that each layer runs
 * four matrix products instead of seven.
 */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { TensorStore } from "../files/safetensors.ts"
import type { LlamaConfig } from "./config.ts"
import { type BlockQuantized, quantizeBlocks } from "./quantize.ts"

/** How matrices are held: float32, or quantised to 8 or 4 bits at load. */
export type Precision = "f32" | "q8" | "q4"

/** A matrix `[rows, columns]` that maps `columns` inputs to `rows` outputs. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** Row-major. */
  readonly values: Float32Array | BlockQuantized
}

/** The weights of one transformer layer; a bias or norm is absent where the model has none. */
export interface LayerWeights {
  /** `[hidden]` */
  readonly attentionNorm: Float32Array
  /** `[(heads + 2 * keyValueHeads) * headSize, hidden]`: queries, keys, values. */
  readonly queryKeyValue: Matrix
  readonly queryKeyValueBias?: Float32Array
  /** `[headSize]` */
  readonly queryNorm?: Float32Array
  /** `[headSize]` */
  readonly keyNorm?: Float32Array
  /** `[hidden, heads * headSize]` */
  readonly output: Matrix
  readonly outputBias?: Float32Array
  /** `[hidden]` */
  readonly feedForwardNorm: Float32Array
  /** `[2 * intermediate, hidden]`: gate, up. */
  readonly gateUp: Matrix
  readonly gateUpBias?: Float32Array
  /** `[hidden, intermediate]` */
  readonly down: Matrix
  readonly downBias?: Float32Array
}

/** All weights of a model. */
export interface LlamaWeights {
  /** `[vocabulary, hidden]` */
  readonly embedding: Float32Array
  readonly layers: readonly LayerWeights[]
  /** `[hidden]` */
  readonly finalNorm: Float32Array
  /** `[vocabulary, hidden]`; with float32 weights a tied head is the embedding itself. */
  readonly head: Matrix
}

/** Reads the weights; `onRead` hears how many bytes of the files have been read so far. */
export async function readLlamaWeights(
  config: LlamaConfig,
  store: TensorStore,
  options: {
    readonly model: string
    readonly precision: Precision
    readonly signal?: AbortSignal
    readonly onRead?: (bytes: number) => void
  },
): Promise<LlamaWeights> {
  const { hiddenSize: hidden, intermediateSize: inner, headSize } = config
  const queries = config.heads * headSize
  const keys = config.keyValueHeads * headSize
  let bytesRead = 0

  /** Stacks tensors of `[rows, ...rest]` on top of each other. */
  const read = async (
    parts: readonly (readonly [name: string, rows: number])[],
    rest: readonly number[],
  ): Promise<Float32Array> => {
    throwIfAborted(options.signal)
    // Before anything is allocated: the sizes are only what config.json claims.
    for (const [name, rows] of parts) checkShape(store, name, [rows, ...rest], options.model)
    const width = rest.reduce((product, n) => product * n, 1)
    const values = new Float32Array(parts.reduce((sum, [, rows]) => sum + rows, 0) * width)
    let offset = 0
    for (const [name, rows] of parts) {
      bytesRead += await store.readInto(name, values, offset)
      offset += rows * width
    }
    options.onRead?.(bytesRead)
    return values
  }
  const vector = (name: string, size: number) => read([[name, size]], [])
  const matrix = async (
    parts: readonly (readonly [name: string, rows: number])[],
    columns: number,
  ): Promise<Matrix> => {
    const names = parts.map(([name]) => name)
    return toMatrix(await read(parts, [columns]), columns, names, options)
  }

  const embedding = await read([["model.embed_tokens.weight", config.vocabularySize]], [hidden])
  const layers: LayerWeights[] = []
  for (let layer = 0; layer < config.layers; layer++) {
    const attention = `model.layers.${layer}.self_attn`
    const feedForward = `model.layers.${layer}.mlp`
    const projections = [
      [`${attention}.q_proj`, queries],
      [`${attention}.k_proj`, keys],
      [`${attention}.v_proj`, keys],
    ] as const
    const gates = [[`${feedForward}.gate_proj`, inner], [`${feedForward}.up_proj`, inner]] as const
    const weights = (parts: readonly (readonly [string, number])[]) =>
      parts.map(([name, rows]) => [`${name}.weight`, rows] as const)
    const biases = (parts: readonly (readonly [string, number])[]) =>
      read(parts.map(([name, rows]) => [`${name}.bias`, rows] as const), [])
    layers.push({
      attentionNorm: await vector(`model.layers.${layer}.input_layernorm.weight`, hidden),
      queryKeyValue: await matrix(weights(projections), hidden),
      ...config.queryKeyValueBias && { queryKeyValueBias: await biases(projections) },
      ...config.queryKeyNorm && {
        queryNorm: await vector(`${attention}.q_norm.weight`, headSize),
        keyNorm: await vector(`${attention}.k_norm.weight`, headSize),
      },
      output: await matrix([[`${attention}.o_proj.weight`, hidden]], queries),
      ...config.outputBias && { outputBias: await vector(`${attention}.o_proj.bias`, hidden) },
      feedForwardNorm: await vector(
        `model.layers.${layer}.post_attention_layernorm.weight`,
        hidden,
      ),
      gateUp: await matrix(weights(gates), hidden),
      ...config.feedForwardBias && { gateUpBias: await biases(gates) },
      down: await matrix([[`${feedForward}.down_proj.weight`, hidden]], inner),
      ...config.feedForwardBias && {
        downBias: await vector(`${feedForward}.down_proj.bias`, hidden),
      },
    })
  }
  return {
    embedding,
    layers,
    finalNorm: await vector("model.norm.weight", hidden),
    head: config.tiedHead
      ? toMatrix(embedding, hidden, ["model.embed_tokens.weight"], options)
      : await matrix([["lm_head.weight", config.vocabularySize]], hidden),
  }
}

function toMatrix(
  values: Float32Array,
  columns: number,
  names: readonly string[],
  { model, precision }: { readonly model: string; readonly precision: Precision },
): Matrix {
  const rows = values.length / columns
  if (precision === "f32") return { rows, columns, values }
  const quantized = quantizeBlocks(values, rows, columns, precision === "q4" ? 4 : 8)
  // Quantised products round their input to 8 bits, and so would lose a NaN instead of passing it on.
  if (!quantized.scales.every(Number.isFinite)) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file: model },
      `${model}: expected numbers to quantise to ${precision} in ${names.join(", ")}, found NaN ` +
        "or infinity: the weights are damaged",
    )
  }
  return { rows, columns, values: quantized }
}

function checkShape(
  store: TensorStore,
  name: string,
  expected: readonly number[],
  model: string,
): void {
  const found = store.shape(name)
  if (found.length === expected.length && found.every((n, i) => n === expected[i])) return
  throw new GenArmError(
    { _tag: "InvalidModelFile", file: model },
    `${model}: config.json asks for "${name}" of shape [${expected}], found [${found}]: ` +
      "the configuration and the weights belong to different models",
  )
}
