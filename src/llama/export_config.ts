/**
 * `config.json` for a model that is written: the inverse of `readLlamaConfig`. A model that began as
 * another keeps that one's file; a new one is always a `llama`, in keys that transformers 4 and 5
 * both read.
 */
import { GenArmError } from "../errors.ts"
import type { Json } from "../files/model_folder.ts"
import { type LlamaConfig, readLlamaConfig } from "./config.ts"

/** The name that PyTorch gives a type of numbers. */
export type TorchType = "float32" | "float16" | "bfloat16"

/** Of a new model, what its dimensions do not say. */
export interface NewModelFacts {
  /** The base of the rotation's wavelengths; 10000 where absent. */
  readonly ropeTheta?: number
  /** The id that begins a text. */
  readonly bosTokenId?: number
  /** The id that ends one. */
  readonly eosTokenId?: number
  /** The id that fills up a batch. */
  readonly padTokenId?: number
}

/** The configuration of a new model; `UnsupportedModel` where a `llama` cannot be what it asks for. */
export function llamaConfigJson(
  config: LlamaConfig,
  facts: NewModelFacts & { readonly type: TorchType },
): Json {
  const { ropeTheta = 10_000 } = facts
  const json: Json = {
    architectures: ["LlamaForCausalLM"],
    attention_bias: config.queryKeyValueBias,
    attention_dropout: 0,
    ...tokenIds(facts),
    head_dim: config.headSize,
    hidden_act: "silu",
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.contextLength,
    mlp_bias: config.feedForwardBias,
    model_type: "llama",
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.keyValueHeads,
    pretraining_tp: 1,
    rms_norm_eps: config.normEpsilon,
    rope_scaling: null,
    rope_theta: ropeTheta,
    tie_word_embeddings: config.tiedHead,
    torch_dtype: facts.type,
    use_cache: true,
    vocab_size: config.vocabularySize,
  }
  const read = readLlamaConfig(json, "a new model")
  const differing = differences(config, read)
  if (differing.length === 0) return json
  throw new GenArmError(
    { _tag: "UnsupportedModel", model: "a new model" },
    `a new model is written as a plain Llama with rope_theta ${ropeTheta}, and this one is not one ` +
      `in ${differing.join(", ")}: expected ${show(config, differing)}, a Llama has ` +
      `${show(read, differing)}; give the ropeTheta that it was made with, and no features of ` +
      "other families",
  )
}

/**
 * `config.json` of a model that began as another: the text of that one's, but for the type of its
 * numbers. `UnsupportedModel` where the model has become another than the text describes.
 */
export function retypedConfigText(
  base: string,
  config: LlamaConfig,
  { type, model }: { readonly type: TorchType; readonly model: string },
): string {
  const json = JSON.parse(base) as Json
  const read = readLlamaConfig(json, model)
  const differing = differences(config, read)
  if (differing.length > 0) {
    throw new GenArmError(
      { _tag: "UnsupportedModel", model },
      `the model to write differs from its base ${model} in ${differing.join(", ")}: expected ` +
        `${show(read, differing)}, found ${show(config, differing)}; write it as a new model`,
    )
  }
  const keys = ["dtype", "torch_dtype"].filter((key) => json[key] !== undefined)
  if (keys.length === 0) keys.push("torch_dtype")
  const retyped = { ...json, ...Object.fromEntries(keys.map((key) => [key, type])) }
  // In the text, as 8.0 would come back from JSON as 8, and transformers 4 warns of that.
  const edited = base.replace(/("(?:torch_)?dtype"\s*:\s*)"[^"]*"/g, `$1"${type}"`)
  return text(JSON.parse(edited)) === text(retyped)
    ? edited
    : JSON.stringify(retyped, undefined, 2) + "\n"
}

/** `generation_config.json` of a new model. */
export function generationConfigJson(facts: NewModelFacts): Json {
  return tokenIds(facts)
}

function tokenIds({ bosTokenId, eosTokenId, padTokenId }: NewModelFacts): Json {
  return {
    ...(bosTokenId !== undefined && { bos_token_id: bosTokenId }),
    ...(eosTokenId !== undefined && { eos_token_id: eosTokenId }),
    ...(padTokenId !== undefined && { pad_token_id: padTokenId }),
  }
}

/** The keys in which two configurations differ. */
function differences(a: LlamaConfig, b: LlamaConfig): (keyof LlamaConfig)[] {
  const keys = Object.keys(b) as (keyof LlamaConfig)[]
  return keys.filter((key) => text(a[key]) !== text(b[key]))
}

function show(config: LlamaConfig, keys: readonly (keyof LlamaConfig)[]): string {
  return keys.map((key) => text(config[key])).join(", ")
}

/** JSON, in which two values are equal when they are; typed arrays as lists. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, inner) => inner instanceof Float32Array ? [...inner] : inner)
}
