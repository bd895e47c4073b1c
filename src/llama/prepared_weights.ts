/**
 * Quantised matrices as the tensors of a file, and back: what `readLlamaWeights` would quantise
 * again at every opening. Vectors and the embedding are not among them; they are read from the
 * model's own files, as fast as from any other.
 */
import type { TensorStore } from "../files/safetensors.ts"
import type { TensorToWrite } from "../files/write_safetensors.ts"
import type { LlamaConfig } from "./config.ts"
import { type ParameterGroup, parameterGroups } from "./parameters.ts"
import { blockSize, blockSizes, quantizerVersion } from "./quantize.ts"
import type { Matrix } from "./weights.ts"

/** How matrices may be quantised. */
export type QuantizedPrecision = "q8" | "q4"

/** A matrix that is quantised, and to how many bits. */
export interface MatrixToQuantize {
  /** Its name among the tensors of the file. */
  readonly name: string
  readonly group: ParameterGroup
  readonly bits: 4 | 8
}

/**
 * How a group of parameters is quantised; `undefined` for what stays as it is. The head has 8 bits
 * in both precisions: at 4 it costs a quarter of the whole divergence from float32 and saves less
 * than a tenth of a step's time. A value head is a few rows, and stays as it is. A tied head is asked
 * for with the embedding's group and its own key.
 */
export function quantizationOf(
  group: ParameterGroup,
  precision: QuantizedPrecision,
  key: ParameterGroup["key"] = group.key,
): MatrixToQuantize | undefined {
  if (group.columns === undefined || key === "embedding" || key === "valueHead") return undefined
  const name = group.layer === undefined ? key : `layers.${group.layer}.${key}`
  return { name, group, bits: precision === "q8" || key === "head" ? 8 : 4 }
}

/** All matrices of a model that are quantised. */
export function quantizedMatrices(
  config: LlamaConfig,
  precision: QuantizedPrecision,
): MatrixToQuantize[] {
  const groups = parameterGroups(config)
  const own = groups.map((group) => quantizationOf(group, precision))
  const tied = config.tiedHead ? [quantizationOf(groups[0], precision, "head")] : []
  return [...own, ...tied].filter((matrix) => matrix !== undefined)
}

/** All that the tensors depend on, besides the numbers in the model's files. */
export function recipeOf(matrices: readonly MatrixToQuantize[]): string {
  return JSON.stringify([
    quantizerVersion,
    blockSize,
    matrices.map(({ name, bits, group: { parts, columns } }) => [
      ...[name, bits, columns],
      ...parts.map((part) => `${part.name} ${part.rows}`),
    ]),
  ])
}

/** The tensors of a quantised matrix. */
export function preparedTensors(name: string, { rows, columns, values }: Matrix): TensorToWrite[] {
  if (values instanceof Float32Array) throw new TypeError(`internal: ${name} is not quantised`)
  const { bits, codes, scales } = values
  const { blocks } = blockSizes(rows, columns, bits)
  return [
    { name: `${name}.codes`, shape: [rows, blocks, (blockSize * bits) / 8], data: codes },
    { name: `${name}.scales`, shape: [rows, blocks], data: scales },
  ]
}

/** Reads a matrix that was written so. */
export async function readPrepared(
  file: TensorStore,
  { name, bits, group: { rows, columns = 1 } }: MatrixToQuantize,
): Promise<Matrix> {
  const { blocks, bytes } = blockSizes(rows, columns, bits)
  const codes = new Uint8Array(bytes)
  const scales = new Float32Array(rows * blocks)
  await file.readBytes(`${name}.codes`, codes)
  await file.readBytes(`${name}.scales`, new Uint8Array(scales.buffer))
  return { rows, columns, values: { bits, codes, scales } }
}
