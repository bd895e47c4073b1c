/**
 * What is trained, as one flat array: every weight of a model, or the factors of low-rank adapters
 * beside a frozen one. Variables are views of that array, so that the optimiser is one loop, and the
 * graph reads weights where they lie.
 */
import type { LlamaConfig } from "../llama/config.ts"
import { type LinearModule, moduleName, moduleShape } from "../llama/linear_modules.ts"
import { parameterGroups, shapeOf, sizeOf } from "../llama/parameters.ts"
import { type RandomStream, randomStream } from "../math/random.ts"
import type { NamedTensor } from "./named_tensor.ts"

/** A tensor of the training graph. */
export interface Variable {
  /** Its name as an input of the graph. */
  readonly name: string
  readonly shape: readonly number[]
  /** A view of the flat array. */
  readonly values: Float32Array<ArrayBuffer>
  /** Whether weight decay applies: to matrices, not to norms and biases. */
  readonly decays: boolean
}

/** A model at training. */
export interface Trainable {
  readonly config: LlamaConfig
  /** What is trained, variable after variable. */
  readonly values: Float32Array<ArrayBuffer>
  readonly variables: readonly Variable[]
  /** The model's own weights, trained or frozen. */
  readonly weights: readonly Variable[]
  /** The adapter, where one is trained. */
  readonly adapter?: AdapterShape
  /** What is to be written, under Hugging Face's or PEFT's names; views. */
  readonly tensors: () => NamedTensor[]
}

/** The shape of a low-rank adapter (LoRA, arXiv 2106.09685). */
export interface AdapterShape {
  /** Inner dimension of each product. */
  readonly rank: number
  /** The product is scaled by `alpha / rank`. */
  readonly alpha: number
  /** The modules of every layer that have one. */
  readonly targets: readonly LinearModule[]
}

/** The name of a weight as an input of the graph. */
export function weightName(key: string, layer?: number): string {
  return layer === undefined ? key : `layers.${layer}.${key}`
}

/** The name of a factor of an adapter as an input of the graph, and with PEFT's ending in its file. */
export function factorName(layer: number, module: LinearModule, factor: "A" | "B"): string {
  return `${moduleName(layer, module)}.lora_${factor}.weight`
}

/** All weights of a model, to be trained; `weights` is theirs from now on. */
export function fullWeights(config: LlamaConfig, weights: Float32Array<ArrayBuffer>): Trainable {
  const variables = weightVariables(config, weights)
  return {
    config,
    values: weights,
    variables,
    weights: variables,
    tensors: () => namedWeights(config, weights),
  }
}

/** An adapter beside frozen weights: A is drawn at random, B is 0, so that it begins as nothing. */
export function lowRankAdapter(
  config: LlamaConfig,
  weights: Float32Array<ArrayBuffer>,
  adapter: AdapterShape,
  seed: number,
): Trainable {
  const { rank, targets } = adapter
  const factors = Array.from({ length: config.layers }, (_, layer) =>
    targets.flatMap((module) => {
      const [rows, columns] = moduleShape(config, module)
      return [
        { name: factorName(layer, module, "A"), shape: [rank, columns] },
        { name: factorName(layer, module, "B"), shape: [rows, rank] },
      ]
    })).flat()
  const values = new Float32Array(factors.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0))
  const random = randomStream(seed)
  let offset = 0
  const variables = factors.map(({ name, shape }): Variable => {
    const view = values.subarray(offset, offset += shape[0] * shape[1])
    // Kaiming's uniform distribution as PEFT draws it, with a = sqrt(5): the bound is 1 / sqrt(columns).
    if (name.includes(".lora_A.")) fillUniform(view, 1 / Math.sqrt(shape[1]), random)
    return { name, shape, values: view, decays: true }
  })
  return {
    config,
    values,
    variables,
    weights: weightVariables(config, weights),
    adapter,
    tensors: () => variables.map(({ name, shape, values: data }) => ({ name, shape, data })),
  }
}

/**
 * Random weights of a new model: normal with standard deviation 0.02, those of the projections back
 * into the residual stream divided by the root of their number (GPT-2's rule), norms 1, biases 0.
 */
export function randomWeights(config: LlamaConfig, seed: number): Float32Array<ArrayBuffer> {
  const groups = parameterGroups(config)
  const values = new Float32Array(groups.reduce((sum, group) => sum + sizeOf(group), 0))
  const random = randomStream(seed)
  let offset = 0
  for (const group of groups) {
    const view = values.subarray(offset, offset += sizeOf(group))
    if (group.columns === undefined) view.fill(group.key.endsWith("Bias") ? 0 : 1)
    else {
      const isResidual = group.key === "output" || group.key === "down"
      fillNormal(view, isResidual ? 0.02 / Math.sqrt(2 * config.layers) : 0.02, random)
    }
  }
  return values
}

function weightVariables(config: LlamaConfig, weights: Float32Array<ArrayBuffer>): Variable[] {
  let offset = 0
  return parameterGroups(config).map((group) => ({
    name: weightName(group.key, group.layer),
    shape: shapeOf(group),
    values: weights.subarray(offset, offset += sizeOf(group)),
    decays: group.columns !== undefined,
  }))
}

function namedWeights(config: LlamaConfig, weights: Float32Array): NamedTensor[] {
  let offset = 0
  return parameterGroups(config).flatMap(({ parts, columns }) =>
    parts.map(({ name, rows }) => ({
      name,
      shape: shapeOf({ rows, columns }),
      data: weights.subarray(offset, offset += rows * (columns ?? 1)),
    }))
  )
}

function fillUniform(values: Float32Array, bound: number, random: RandomStream): void {
  for (let i = 0; i < values.length; i++) values[i] = (2 * random.nextUniform() - 1) * bound
}

/**
 * Normal numbers as sums of twelve uniform ones (Irwin-Hall): additions only, so that the same seed
 * gives the same bits in every engine, which logarithms and cosines do not promise.
 */
function fillNormal(values: Float32Array, deviation: number, random: RandomStream): void {
  for (let i = 0; i < values.length; i++) {
    let sum = -6
    for (let k = 0; k < 12; k++) sum += random.nextUniform()
    values[i] = sum * deviation
  }
}
