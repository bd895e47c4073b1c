/**
 * The weights of a model for its engine. Quantising takes seconds for every hundred million weights,
 * so it is done once: the result is kept with the model, and later openings read that.
 */
import { throwIfAborted } from "../errors.ts"
import { keepPrepared, openPrepared } from "../files/prepared_file.ts"
import type { TensorStore } from "../files/safetensors.ts"
import { sourceFiles } from "../files/source_files.ts"
import type { LlamaConfig } from "../llama/config.ts"
import { parameterGroups, sizeOf } from "../llama/parameters.ts"
import { preparedTensors, quantizedMatrices, recipeOf } from "../llama/prepared_weights.ts"
import {
  type LlamaWeights,
  type Matrix,
  type Precision,
  readLlamaWeights,
  type ReadOptions,
} from "../llama/weights.ts"

/**
 * Opens the weights of a folder, whose tensors are `store`. Models of fewer than `leastWeights` are
 * not worth a file: they are quantised in a tenth of a second.
 */
export async function openWeights(
  config: LlamaConfig,
  folder: string,
  store: TensorStore,
  options: ReadOptions & { readonly precision: Precision; readonly leastWeights?: number },
): Promise<LlamaWeights> {
  const { precision, signal, leastWeights = 1 << 22 } = options
  const count = parameterGroups(config).reduce((sum, group) => sum + sizeOf(group), 0)
  if (precision === "f32" || count < leastWeights) {
    return await readLlamaWeights(config, store, options)
  }
  const matrices = quantizedMatrices(config, precision)
  const preparation = {
    folder,
    name: `weights-${precision}.safetensors`,
    recipe: recipeOf(matrices),
  }
  const prepared = await openPrepared(preparation)
  if (prepared !== undefined) {
    try {
      return await readLlamaWeights(config, store, { ...options, prepared })
    } catch {
      throwIfAborted(signal)
      // The prepared file is damaged, or the model's own: then reading these says so.
    } finally {
      await prepared.close()
    }
  }
  const source = await sourceFiles(folder)
  const weights = await readLlamaWeights(config, store, options)
  throwIfAborted(signal)
  await keepPrepared(
    preparation,
    source,
    matrices.flatMap(({ name, group: { key, layer } }) => {
      const matrix = layer === undefined ? weights.head : weights.layers[layer][key as never]
      return preparedTensors(name, matrix as Matrix)
    }),
  )
  return weights
}
