/** The weights of a Llama, checked against the configuration and arranged as `parameters.ts` says. */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { TensorStore } from "../files/safetensors.ts"
import { checkHead } from "./check_head.ts"
import type { LlamaConfig } from "./config.ts"
import { type ParameterGroup, parameterGroups, shapeOf, sizeOf } from "./parameters.ts"
import {
  type MatrixToQuantize,
  quantizationOf,
  type QuantizedPrecision,
  readPrepared,
} from "./prepared_weights.ts"
import { type BlockQuantized, quantizeBlocks } from "./quantize.ts"

/** How matrices are held: float32, or quantised to 8 bits, or to 4 bits and the head to 8. */
export type Precision = "f32" | QuantizedPrecision

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
  /**
   * `[vocabulary, hidden]`, or `[labels, hidden]` of a value head; with float32 weights a tied head is
   * the embedding itself.
   */
  readonly head: Matrix
}

/**
 * Reads the weights and quantises them, matrix after matrix; those of a `prepared` file are read from
 * there, quantised already. `onRead` hears how many bytes of the files have been dealt with so far.
 */
export async function readLlamaWeights(
  config: LlamaConfig,
  store: TensorStore,
  options: ReadOptions & { readonly precision: Precision; readonly prepared?: TensorStore },
): Promise<LlamaWeights> {
  const { precision, prepared, model } = options
  const groups = parameterGroups(config)
  const sizes = groups.map((group) => checkedSize(group, store, model))
  const all = sizes.reduce((sum, size) => sum + size, 0)
  const planOf = (group: ParameterGroup, key = group.key) =>
    precision === "f32" ? undefined : quantizationOf(group, precision, key)
  // Matrices to be quantised pass through one buffer: garbage as large as the model may pile up else.
  const passing = sizes.filter((_, i) => prepared === undefined && planOf(groups[i]) !== undefined)
  const buffer = new Float32Array(passing.reduce((most, size) => Math.max(most, size), 0))

  const outer: Record<string, Float32Array> = {}
  const layers = config.slidingWindows.map((): Record<string, Float32Array | Matrix> => ({}))
  let head: Matrix | undefined
  let done = 0
  for (const [i, group] of groups.entries()) {
    throwIfAborted(options.signal)
    const { key, layer, rows, columns } = group
    const plan = planOf(group)
    let read: Float32Array | Matrix
    if (plan === undefined) {
      const values = new Float32Array(sizes[i])
      await readGroup(group, store, values, options)
      read = columns === undefined || key === "embedding" ? values : { rows, columns, values }
    } else if (prepared === undefined) {
      const values = buffer.subarray(0, sizes[i])
      await readGroup(group, store, values, options)
      read = quantize(values, plan, options)
    } else read = await readPrepared(prepared, plan)
    options.onRead?.(Math.round(store.bytes * ((done += sizes[i]) / all)))
    if (layer !== undefined) layers[layer][key] = read
    else if (key === "head" || key === "valueHead") head = read as Matrix
    else outer[key] = read as Float32Array
  }
  return {
    embedding: outer.embedding,
    layers: layers as unknown as LayerWeights[],
    finalNorm: outer.finalNorm,
    head: head ?? await tiedHead(outer.embedding, groups[0], planOf(groups[0], "head"), options),
  }
}

async function tiedHead(
  embedding: Float32Array,
  { rows, columns = 1 }: ParameterGroup,
  plan: MatrixToQuantize | undefined,
  options: ReadOptions & { readonly prepared?: TensorStore },
): Promise<Matrix> {
  if (plan === undefined) return { rows, columns, values: embedding }
  return options.prepared === undefined
    ? quantize(embedding, plan, options)
    : await readPrepared(options.prepared, plan)
}

/** What reading needs besides the place of the weights. */
export interface ReadOptions {
  /** Names the model in errors. */
  readonly model: string
  readonly signal?: AbortSignal
  readonly onRead?: (bytes: number) => void
}

/** Reads all weights as float32 into one array, group after group, as training holds them. */
export async function readParameters(
  config: LlamaConfig,
  store: TensorStore,
  options: ReadOptions,
): Promise<Float32Array<ArrayBuffer>> {
  const groups = parameterGroups(config)
  const sizes = groups.map((group) => checkedSize(group, store, options.model))
  const all = new Float32Array(sizes.reduce((sum, size) => sum + size, 0))
  let offset = 0
  let bytesRead = 0
  for (const [i, group] of groups.entries()) {
    const values = all.subarray(offset, offset += sizes[i])
    bytesRead += await readGroup(group, store, values, options)
    options.onRead?.(bytesRead)
  }
  return all
}

/** Reads the tensors of a group one after the other; gives the bytes read. */
async function readGroup(
  { parts, columns = 1 }: ParameterGroup,
  store: TensorStore,
  values: Float32Array,
  { signal }: ReadOptions,
): Promise<number> {
  let bytes = 0
  let offset = 0
  for (const { name, rows } of parts) {
    throwIfAborted(signal)
    bytes += await store.readInto(name, values, offset)
    offset += rows * columns
  }
  return bytes
}

/** The numbers of a group, known to be in the files: the sizes are only what config.json claims. */
function checkedSize(group: ParameterGroup, store: TensorStore, model: string): number {
  checkHead(group, store, model)
  for (const { name, rows } of group.parts) {
    checkShape(store, name, shapeOf({ rows, columns: group.columns }), model)
  }
  return sizeOf(group)
}

function quantize(
  weights: Float32Array,
  { group: { parts, rows, columns = 1 }, bits }: MatrixToQuantize,
  { model }: ReadOptions,
): Matrix {
  const values = quantizeBlocks(weights, rows, columns, bits)
  // Quantised products round their input to 8 bits, and so would lose a NaN instead of passing it on.
  if (!values.scales.every(Number.isFinite)) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file: model },
      `${model}: expected numbers to quantise to ${bits} bits in ${
        parts.map(({ name }) => name).join(", ")
      }, found NaN or infinity: the weights are damaged`,
    )
  }
  return { rows, columns, values }
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
