/** The weights of a Llama, checked against the configuration and arranged as `parameters.ts` says. */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { TensorStore } from "../files/safetensors.ts"
import type { LlamaConfig } from "./config.ts"
import { type ParameterGroup, parameterGroups, shapeOf, sizeOf } from "./parameters.ts"
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
  options: ReadOptions & { readonly precision: Precision },
): Promise<LlamaWeights> {
  const outer: Record<string, Float32Array> = {}
  const layers = config.slidingWindows.map((): Record<string, Float32Array | Matrix> => ({}))
  let head: Matrix | undefined
  let bytesRead = 0
  for (const group of parameterGroups(config)) {
    const values = new Float32Array(checkedSize(group, store, options.model))
    bytesRead += await readGroup(group, store, values, options)
    options.onRead?.(bytesRead)
    const isMatrix = group.columns !== undefined
    if (group.layer !== undefined) {
      layers[group.layer][group.key] = isMatrix ? toMatrix(values, group, options) : values
    } else if (group.key === "head") head = toMatrix(values, group, options)
    else outer[group.key] = values
  }
  const tied = parameterGroups(config)[0]
  return {
    embedding: outer.embedding,
    layers: layers as unknown as LayerWeights[],
    finalNorm: outer.finalNorm,
    head: head ?? toMatrix(outer.embedding, tied, options),
  }
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
  for (const { name, rows } of group.parts) {
    checkShape(store, name, shapeOf({ rows, columns: group.columns }), model)
  }
  return sizeOf(group)
}

function toMatrix(
  values: Float32Array,
  { parts, rows, columns = 1 }: ParameterGroup,
  { model, precision }: { readonly model: string; readonly precision: Precision },
): Matrix {
  if (precision === "f32") return { rows, columns, values }
  const quantized = quantizeBlocks(values, rows, columns, precision === "q4" ? 4 : 8)
  // Quantised products round their input to 8 bits, and so would lose a NaN instead of passing it on.
  if (!quantized.scales.every(Number.isFinite)) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file: model },
      `${model}: expected numbers to quantise to ${precision} in ${
        parts.map(({ name }) => name).join(", ")
      }, found NaN ` +
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
