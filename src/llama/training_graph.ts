/**
 * The forward pass of a Llama for training: rows of one known length without a cache, weights as
 * variables, optionally low-rank adapters (LoRA, arXiv 2106.09685) on some of its modules.
 */
import { add, scale } from "../onnx/operations/arithmetic.ts"
import { lookup } from "../onnx/operations/lookup.ts"
import { logLikelihood, softmax } from "../onnx/operations/normalise.ts"
import { linear, matmul } from "../onnx/operations/products.ts"
import { concat, reshape, zeros } from "../onnx/operations/shapes.ts"
import type { Tape, Tensor } from "../onnx/tape.ts"
import type { LlamaConfig } from "./config.ts"
import { forwardLayers, type Heads, joinHeads, separateHeads } from "./forward.ts"
import { type LinearModule, moduleShape, stackedModules } from "./linear_modules.ts"
import type { ParameterGroup } from "./parameters.ts"
import { ropeTable } from "./rope.ts"

/** Added to the scores of positions that must not be seen. */
const hidden = -1e30

/** The two factors that an adapter adds to a module: `scale * B A`. */
export interface LowRank {
  /** `[rank, columns]` */
  readonly a: Tensor
  /** `[rows, rank]` */
  readonly b: Tensor
  /** `alpha / rank` */
  readonly scale: number
}

/** What the pass is run on. */
export interface TrainingInputs {
  /** `[rows, tokens]` int64 */
  readonly ids: Tensor
  /** `[rows * tokens, 1]` int64: the token after each. */
  readonly targets: Tensor
  /** The tensor of a group, `layer` absent for those outside the layers; `undefined` for one the model lacks. */
  readonly parameter: (key: ParameterGroup["key"], layer?: number) => Tensor | undefined
  /** The adapter of a module; `undefined` where it has none. */
  readonly adapter?: (module: LinearModule, layer: number) => LowRank | undefined
}

/** The natural log-probability of each target: `[rows, tokens]`. */
export function trainingLogProbs(tape: Tape, config: LlamaConfig, inputs: TrainingInputs): Tensor {
  const { ids, targets, parameter, adapter } = inputs
  const [rows, tokens] = ids.shape as readonly number[]
  const needed = (key: ParameterGroup["key"], layer?: number): Tensor => {
    const tensor = parameter(key, layer)
    if (tensor === undefined) throw new TypeError(`internal: the model has no ${key}`)
    return tensor
  }
  const { cos, sin } = ropeTable(config.rope, tokens)
  const half = [tokens, config.headSize / 2]
  const biases = new Map(
    [...new Set(config.slidingWindows)].map((
      window,
    ) => [window, causalBias(tape, config, tokens, window)]),
  )
  const embedding = needed("embedding")
  const layout = {
    batch: rows,
    steps: tokens,
    rotation: {
      positions: tape.tensor(tape.graph.integers([0]), [1]),
      cos: tape.weight("rope_cos", half, cos),
      sin: tape.weight("rope_sin", half, sin),
    },
  }
  const normed = forwardLayers(
    config,
    reshape(lookup(embedding, ids), [rows * tokens, config.hiddenSize]),
    {
      norm: (layer, part) => needed(part, layer),
      finalNorm: needed("finalNorm"),
      project: (x, layer, part) => {
        const y = linear(x, needed(part, layer), parameter(`${part}Bias`, layer))
        const correction = adapter &&
          lowRankProduct(x, config, stackedModules[part], (module) => adapter(module, layer))
        return correction === undefined ? y : add(y, correction)
      },
      attend: (stacked, layer) => {
        const heads = separateHeads(config, stacked, layout, (part) => needed(part, layer))
        const mixed = attend(heads, biases.get(config.slidingWindows[layer])!)
        return joinHeads(config, mixed, layout)
      },
    },
  )
  const logits = linear(normed, config.tiedHead ? embedding : needed("head"))
  return reshape(logLikelihood(logits, targets), [rows, tokens])
}

/** What the adapters of stacked modules add: `[n, rows]`, or nothing where none has one. */
function lowRankProduct(
  x: Tensor,
  config: LlamaConfig,
  modules: readonly LinearModule[],
  adapterOf: (module: LinearModule) => LowRank | undefined,
): Tensor | undefined {
  const adapters = modules.map(adapterOf)
  if (adapters.every((adapter) => adapter === undefined)) return undefined
  const parts = adapters.map((adapter, i) =>
    adapter === undefined
      ? zeros(x, [x.shape[0], moduleShape(config, modules[i])[0]])
      : scale(linear(linear(x, adapter.a), adapter.b), adapter.scale)
  )
  return concat(parts, 1)
}

function attend({ queries, keys, values }: Heads, bias: Tensor): Tensor {
  const scaled = { transposed: true, scale: 1 / Math.sqrt(keys.shape[3] as number) }
  return matmul(softmax(add(matmul(queries, keys, scaled), bias)), values)
}

/** 0 where a token may look, `hidden` elsewhere: `[group * tokens, tokens]`. */
function causalBias(
  tape: Tape,
  config: LlamaConfig,
  tokens: number,
  window: number | null,
): Tensor {
  const group = config.heads / config.keyValueHeads
  const bias = new Float32Array(group * tokens * tokens)
  for (let row = 0, at = 0; row < group * tokens; row++) {
    const position = row % tokens
    for (let column = 0; column < tokens; column++, at++) {
      const sees = column <= position && (window === null || column > position - window)
      if (!sees) bias[at] = hidden
    }
  }
  return tape.weight(`causal_bias.${window ?? "all"}`, [group * tokens, tokens], bias)
}
