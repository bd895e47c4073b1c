/**
 * The Llama family as one set of numbers. `config.json` comes in the dialects of transformers 4
 * (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`, `layer_types`); both are read, and
 * anything that would change the mathematics without being supported is refused.
 */
import { GenArmError } from "../errors.ts"
import type { Json } from "../files/model_folder.ts"
import { type Rope, ropeOf } from "./rope.ts"
import { valueLabels } from "./value_head.ts"

/** The dimensions and switches of a model of the Llama family. */
export interface LlamaConfig {
  readonly vocabularySize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  /** Query heads. */
  readonly heads: number
  /** Key and value heads, each shared by `heads / keyValueHeads` query heads. */
  readonly keyValueHeads: number
  readonly headSize: number
  readonly normEpsilon: number
  /** Positions the model was made for, in tokens. */
  readonly contextLength: number
  readonly rope: Rope
  /** The head shares the embedding's weights; never a value head. */
  readonly tiedHead: boolean
  /** What a value head gives values of, in the order of its rows; absent for language models. */
  readonly labels?: readonly string[]
  /** Biases on the query, key and value projections (Qwen2). */
  readonly queryKeyValueBias: boolean
  readonly outputBias: boolean
  readonly feedForwardBias: boolean
  /** RMS norms on each head of queries and keys (Qwen3). */
  readonly queryKeyNorm: boolean
  /** For each layer the number of latest positions it sees; `null` where it sees all. */
  readonly slidingWindows: readonly (number | null)[]
}

const families = ["llama", "mistral", "qwen2", "qwen3"] as const

/** Above every real model; what a damaged file claims must not be allocated. */
const sizeLimit = 1 << 20

/** Whether `config.json` describes a model that this file can read. */
export function isLlamaFamily(config: Json): boolean {
  return (families as readonly unknown[]).includes(config.model_type)
}

/** Reads `config.json`; `model` names the model in errors. */
export function readLlamaConfig(config: Json, model: string): LlamaConfig {
  const refuse = (what: string): never => {
    throw new GenArmError({ _tag: "UnsupportedModel", model }, `${model}: ${what}`)
  }
  const size = (key: string, fallback?: number, most = sizeLimit): number => {
    const value = config[key] ?? fallback
    if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= most) {
      return value as number
    }
    return refuse(
      `config.json must give ${key} as an integer from 1 to ${most}, found ${
        JSON.stringify(value)
      }`,
    )
  }
  if (!isLlamaFamily(config)) {
    refuse(
      `the architecture ${JSON.stringify(config.model_type)} is not one of ${
        families.join(", ")
      }; a folder with a ready export (onnx/model.onnx) runs whatever its architecture`,
    )
  }
  if ((config.quantization_config ?? undefined) !== undefined) {
    refuse("its weights are quantised already; name the unquantised model, and quantise at load")
  }
  const activation = config.hidden_act ?? "silu"
  if (activation !== "silu") refuse(`expected hidden_act "silu", found "${activation}"`)
  if ((config.partial_rotary_factor ?? 1) !== 1) refuse("partial rotary embeddings are unsupported")

  const family = config.model_type as (typeof families)[number]
  const hiddenSize = size("hidden_size")
  const heads = size("num_attention_heads")
  const keyValueHeads = size("num_key_value_heads", heads)
  const headSize = size("head_dim", hiddenSize / heads)
  if (heads % keyValueHeads !== 0) {
    refuse(`${heads} query heads cannot share ${keyValueHeads} key-value heads evenly`)
  }
  if (headSize % 2 !== 0) refuse(`expected an even head size, found ${headSize}`)
  const layers = size("num_hidden_layers")
  const contextLength = size("max_position_embeddings", undefined, Number.MAX_SAFE_INTEGER)
  const epsilon = config.rms_norm_eps ?? 1e-6
  if (typeof epsilon !== "number") refuse(`expected rms_norm_eps as a number, found ${epsilon}`)
  const labels = valueLabels(config, refuse)
  const bias = family === "llama" || family === "qwen3" ? config.attention_bias === true : false
  return {
    vocabularySize: size("vocab_size"),
    hiddenSize,
    intermediateSize: size("intermediate_size"),
    layers,
    heads,
    keyValueHeads,
    headSize,
    normEpsilon: epsilon as number,
    contextLength,
    rope: ropeOf(config, { headSize, contextLength }, refuse),
    // transformers ties what it calls the output embedding, which a value head is not.
    tiedHead: config.tie_word_embeddings === true && labels === undefined,
    ...labels !== undefined && { labels },
    queryKeyValueBias: family === "qwen2" || bias,
    outputBias: bias,
    feedForwardBias: family === "llama" && config.mlp_bias === true,
    queryKeyNorm: family === "qwen3",
    slidingWindows: slidingWindows(config, family, layers, refuse),
  }
}

function slidingWindows(
  config: Json,
  family: string,
  layers: number,
  refuse: (what: string) => never,
): (number | null)[] {
  const window = config.sliding_window ?? null
  if (!(window === null || (typeof window === "number" && window > 0))) {
    refuse(`expected sliding_window as a positive number, found ${JSON.stringify(window)}`)
  }
  const kinds = Array.isArray(config.layer_types) ? config.layer_types : undefined
  const unknown = kinds?.find((kind) => kind !== "full_attention" && kind !== "sliding_attention")
  if (unknown !== undefined) {
    refuse(`expected layer_types "full_attention" or "sliding_attention", found "${unknown}"`)
  }
  if (kinds !== undefined && kinds.length !== layers) {
    refuse(`expected layer_types for ${layers} layers, found ${kinds.length}`)
  }
  const all = Array.from({ length: layers }, (_, layer) => layer)
  if (window === null) return all.map(() => null)
  if (kinds !== undefined) {
    return all.map((layer) => kinds[layer] === "sliding_attention" ? window : null)
  }
  if (family === "mistral") return all.map(() => window)
  if (config.use_sliding_window !== true) return all.map(() => null)
  const first = typeof config.max_window_layers === "number" ? config.max_window_layers : layers
  return all.map((layer) => layer >= first ? window : null)
}
