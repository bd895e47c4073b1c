/**
 * A Llama's folder as a GGUF file for llama.cpp, as its `convert_hf_to_gguf.py` writes it: rows of
 * queries and keys are reordered, for llama.cpp rotates neighbouring numbers and not halves. As
 * `llama-quantize` writes Q4_0, the tied head is Q8_0 where its columns are no multiple of 256; with
 * `--pure` it is Q4_0 as all the rest.
 */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { type GgufTensor, type GgufType, type GgufValue, writeGguf } from "./_gguf.ts"
import { openNamedWeights } from "./_named_weights.ts"

/** Names of a layer's tensors: those of llama.cpp by those of Hugging Face. */
const layerNames: Record<string, string> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
}

/** How the matrices are held. */
export type GgufFormat = "F32" | "Q4_0" | "Q4_0 pure"

/** Writes `file` from the model in `folder`, whose head is tied. */
export async function writeLlamaGguf(
  folder: string,
  file: string,
  format: GgufFormat,
): Promise<void> {
  await using weights = await openNamedWeights(folder)
  const { config } = weights
  const tensors = weights.names.map((name): GgufTensor => {
    const shape = weights.shape(name)
    const heads = /q_proj/.test(name)
      ? config.heads
      : /k_proj/.test(name)
      ? config.keyValueHeads
      : 0
    return {
      name: ggufName(name),
      shape,
      type: shape.length === 1 ? "F32" : typeOf(name, format),
      async read() {
        const values = await weights.read(name)
        return heads === 0 ? values : interleaved(values, heads, config.headSize)
      },
    }
  })
  const llama: Record<string, GgufValue> = {
    vocab_size: { uint32: config.vocabularySize },
    context_length: { uint32: config.contextLength },
    embedding_length: { uint32: config.hiddenSize },
    block_count: { uint32: config.layers },
    feed_forward_length: { uint32: config.intermediateSize },
    "rope.dimension_count": { uint32: config.headSize },
    "rope.freq_base": { float32: 10_000 },
    "attention.head_count": { uint32: config.heads },
    "attention.head_count_kv": { uint32: config.keyValueHeads },
    "attention.layer_norm_rms_epsilon": { float32: config.normEpsilon },
  }
  const values = {
    "general.architecture": "llama",
    "general.name": "random weights",
    "general.file_type": { uint32: format === "F32" ? 0 : 2 },
    ...Object.fromEntries(Object.entries(llama).map(([key, value]) => [`llama.${key}`, value])),
    ...await tokenizerOf(folder),
  }
  await writeGguf(file, values, tensors)
}

function typeOf(name: string, format: GgufFormat): GgufType {
  if (format === "F32") return "F32"
  return name === "model.embed_tokens.weight" && format === "Q4_0" ? "Q8_0" : "Q4_0"
}

/** Byte-level BPE with one merge that never applies: there must be some. */
async function tokenizerOf(folder: string): Promise<Record<string, GgufValue>> {
  const { model } = JSON.parse(await readFile(join(folder, "tokenizer.json"), "utf8"))
  const tokens = Object.keys(model.vocab)
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": { strings: tokens },
    "tokenizer.ggml.token_type": { int32s: tokens.map(() => 1) },
    "tokenizer.ggml.merges": { strings: ["Ġ Ġ"] },
    "tokenizer.ggml.add_bos_token": false,
  }
}

function ggufName(name: string): string {
  if (name === "model.embed_tokens.weight") return "token_embd.weight"
  if (name === "model.norm.weight") return "output_norm.weight"
  const [, layer, module] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? []
  if (layerNames[module] === undefined) throw new Error(`internal: no name in GGUF for ${name}`)
  return `blk.${layer}.${layerNames[module]}.weight`
}

/** Puts the rows of each head's halves by turns: 0, half, 1, half + 1, ... */
function interleaved(values: Float32Array, heads: number, headSize: number): Float32Array {
  const columns = values.length / (heads * headSize)
  const half = headSize / 2
  const out = new Float32Array(values.length)
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headSize; row++) {
      const from = (head * headSize + row % 2 * half + (row >> 1)) * columns
      out.set(values.subarray(from, from + columns), (head * headSize + row) * columns)
    }
  }
  return out
}
