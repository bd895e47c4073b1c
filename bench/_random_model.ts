/**
 * Model folders of random weights, laid out as on the Hugging Face Hub: what a step costs does not
 * depend on what the weights have learnt.
 */
import { mkdtemp, open, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { randomStream } from "genarm/math"

/** Sizes by their number of weights; the embedding is tied in all. */
export type ModelSize = keyof typeof sizes

const sizes = {
  "3M": { vocabulary: 4096, hidden: 192, layers: 5, heads: 6, keyValueHeads: 6, inner: 512 },
  "15M": { vocabulary: 32000, hidden: 288, layers: 6, heads: 6, keyValueHeads: 6, inner: 768 },
  "135M": { vocabulary: 49152, hidden: 576, layers: 30, heads: 9, keyValueHeads: 3, inner: 1536 },
}

/** The standard deviation of a distribution's scores over the vocabulary, about that of real models. */
const scoreDeviation = 2.5

/** A folder that is removed when it is disposed of. */
export interface RandomModel extends AsyncDisposable {
  readonly folder: string
}

/**
 * Writes a model. One character of a prompt is one token; there is no token that begins or ends a
 * text, so that texts have the length one asks for.
 */
export async function writeRandomModel(
  size: ModelSize,
  { context = 4096, seed = 1 } = {},
): Promise<RandomModel> {
  const folder = await mkdtemp(join(tmpdir(), "genarm-bench-"))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const { vocabulary } = sizes[size]
    const json = (name: string, value: unknown) =>
      writeFile(join(folder, name), JSON.stringify(value))
    await json("config.json", llamaConfig(size, context))
    await json("tokenizer.json", byteTokenizer(vocabulary))
    await json("tokenizer_config.json", { tokenizer_class: "PreTrainedTokenizerFast" })
    await writeWeights(join(folder, "model.safetensors"), size, seed)
  } catch (error) {
    await remove()
    throw error
  }
  return { folder, [Symbol.asyncDispose]: remove }
}

function llamaConfig(size: ModelSize, context: number): object {
  const { vocabulary, hidden, layers, heads, keyValueHeads, inner } = sizes[size]
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    vocab_size: vocabulary,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    intermediate_size: inner,
    max_position_embeddings: context,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
  }
}

/** Byte-level BPE without merges: the 256 bytes, then made-up words. */
function byteTokenizer(vocabulary: number): object {
  const names = byteNames()
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true }
  const onsets = "b c d f g h j k l m n p r s t v".split(" ")
  for (let i = 0; names.length < vocabulary; i++) {
    let word = "Ġ"
    for (let rest = i + 80; rest > 0; rest = Math.floor(rest / 80)) {
      word += onsets[rest % 16] + "aeiou"[Math.floor(rest / 16) % 5]
    }
    names.push(word)
  }
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: false },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      merges: [],
    },
  }
}

/** The printable character that byte-level tokenizers write for each byte, as GPT-2 chose them. */
function byteNames(): string[] {
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let spare = 256
  return Array.from(
    { length: 256 },
    (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : spare++),
  )
}

async function writeWeights(path: string, size: ModelSize, seed: number): Promise<void> {
  const tensors = shapesOf(size)
  const header: Record<string, unknown> = {}
  let end = 0
  for (const [name, shape] of tensors) {
    const begin = end
    end += 4 * shape.reduce((product, n) => product * n)
    header[name] = { dtype: "F32", shape, data_offsets: [begin, end] }
  }
  const text = JSON.stringify(header)
  const headerBytes = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8))
  const prefix = new Uint8Array(8)
  new DataView(prefix.buffer).setBigUint64(0, BigInt(headerBytes.length), true)
  const file = await open(path, "w")
  try {
    await file.writeFile(prefix)
    await file.writeFile(headerBytes)
    const random = randomStream(seed)
    for (const [name, shape] of tensors) {
      const values = new Float32Array(shape.reduce((product, n) => product * n))
      // Uniform with variance 1 / columns, so that activations and scores keep a usual scale.
      const limit = Math.sqrt(3 / shape[shape.length - 1])
      if (shape.length === 1) values.fill(name === "model.norm.weight" ? scoreDeviation : 1)
      else for (let i = 0; i < values.length; i++) values[i] = uniform(random, limit)
      await file.writeFile(new Uint8Array(values.buffer))
    }
  } finally {
    await file.close()
  }
}

function uniform(random: { nextUint32(): number }, limit: number): number {
  return (random.nextUint32() / 2 ** 31 - 1) * limit
}

function shapesOf(size: ModelSize): [name: string, shape: number[]][] {
  const { vocabulary, hidden, layers, heads, keyValueHeads, inner } = sizes[size]
  const keys = hidden / heads * keyValueHeads
  const tensors: [string, number[]][] = [["model.embed_tokens.weight", [vocabulary, hidden]]]
  for (let layer = 0; layer < layers; layer++) {
    const of = (name: string, ...shape: number[]) =>
      tensors.push([`model.layers.${layer}.${name}.weight`, shape])
    of("input_layernorm", hidden)
    of("self_attn.q_proj", hidden, hidden)
    of("self_attn.k_proj", keys, hidden)
    of("self_attn.v_proj", keys, hidden)
    of("self_attn.o_proj", hidden, hidden)
    of("post_attention_layernorm", hidden)
    of("mlp.gate_proj", inner, hidden)
    of("mlp.up_proj", inner, hidden)
    of("mlp.down_proj", hidden, inner)
  }
  tensors.push(["model.norm.weight", [hidden]])
  return tensors
}
