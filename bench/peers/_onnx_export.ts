/**
 * A Llama as a ready-made ONNX export: the graph that the model builder of onnxruntime-genai writes
 * for the CPU, which is what the exports of onnx-community are made of today. Attention is one
 * GroupQueryAttention that rotates, keeps the cache and reads the packed queries, keys and values;
 * residual sums are fused into the norms; matrices of 4 bits are MatMulNBits in blocks of 32.
 * https://github.com/microsoft/onnxruntime-genai/blob/main/src/python/py/models/builders/base.py
 */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { ropeTable } from "../../src/llama/rope.ts"
import { quantizeBlocks } from "../../src/llama/quantize.ts"
import { GraphBuilder, type Value } from "../../src/onnx/graph_builder.ts"
import { type NamedWeights, openNamedWeights } from "./_named_weights.ts"

/** How an export holds its matrices. */
export interface ExportFormat {
  readonly bits: 32 | 4
  /** Of MatMulNBits: 4 quantises activations to 8 bits; 0 leaves the choice to the kernel. */
  readonly accuracyLevel?: 0 | 4
}

/** The rows of one matrix, from one tensor or several on top of each other. */
interface Stacked {
  readonly rows: number
  readonly columns: number
  readonly values: Float32Array
}

/** Writes `model.onnx`, with its weights beside it, into a subfolder of the model's folder. */
export async function writeOnnxExport(
  folder: string,
  subfolder: string,
  format: ExportFormat,
): Promise<void> {
  await using weights = await openNamedWeights(folder)
  const { model, externalData } = await exportGraph(weights, format)
  const target = join(folder, subfolder)
  await mkdir(target, { recursive: true })
  for (const { path, data } of externalData) await writeFile(join(target, path), data)
  await writeFile(join(target, "model.onnx"), model)
}

async function exportGraph(weights: NamedWeights, format: ExportFormat) {
  const { config } = weights
  const { hiddenSize: hidden, headSize, keyValueHeads, contextLength } = config
  const g = new GraphBuilder()
  const ids = g.input("input_ids", "int64", ["batch_size", "sequence_length"])
  const mask = g.input("attention_mask", "int64", ["batch_size", "total_sequence_length"])

  const total = g.node("Gather", [g.node("Shape", [mask]), g.integers([1], true)], { axis: 0 })
  const last = g.node("Sub", [
    g.node("ReduceSum", [mask, g.integers([1])], { keepdims: 0 }),
    g.integers([1]),
  ])
  const lengths = {
    past: g.node("Cast", [last], { to: 6 }),
    total: g.node("Cast", [total], { to: 6 }),
  }
  const table = ropeTable(config.rope, contextLength)
  const rotation = (name: "cos" | "sin") =>
    g.weight(`${name}_cache`, "float32", [contextLength, headSize / 2], table[name])
  const [cos, sin] = [rotation("cos"), rotation("sin")]

  const stacked = async (...names: string[]): Promise<Stacked> => {
    const parts: Float32Array[] = []
    for (const name of names) parts.push(await weights.read(name))
    const columns = weights.shape(names[0])[1]
    const values = parts.length === 1 ? parts[0] : joined(parts)
    return { rows: values.length / columns, columns, values }
  }
  const multiply = (x: Value, name: string, matrix: Stacked, output?: string) =>
    multiplied(g, x, name, matrix, format, output)
  const scale = async (name: string) =>
    g.weight(name, "float32", [hidden], await weights.read(name))

  const embedding = await weights.read("model.embed_tokens.weight")
  const embedded = g.weight("embedding", "float32", [config.vocabularySize, hidden], embedding)
  let x = g.node("Gather", [embedded, ids])
  let normed: Value | undefined
  /** Adds to the stream, and normalises it. */
  const skipNorm = async (added: Value | undefined, name: string): Promise<Value> => {
    const epsilon = { float: config.normEpsilon }
    if (added === undefined) {
      return g.node("SimplifiedLayerNormalization", [x, await scale(name)], { axis: -1, epsilon })
    }
    const outputs = [`${name}.normed`, "", "", `${name}.sum`]
    const inputs = [x, added, await scale(name)]
    g.nodes("com.microsoft:SkipSimplifiedLayerNormalization", inputs, outputs, { epsilon })
    x = outputs[3]
    return outputs[0]
  }

  for (let layer = 0; layer < config.layers; layer++) {
    const of = (name: string) => `model.layers.${layer}.${name}.weight`
    normed = await skipNorm(normed, of("input_layernorm"))
    const projections = ["q_proj", "k_proj", "v_proj"].map((name) => of(`self_attn.${name}`))
    const packed = multiply(normed, `qkv.${layer}`, await stacked(...projections))
    const shape = (length: string) => ["batch_size", keyValueHeads, length, headSize]
    const past = ["key", "value"].map((part) =>
      g.input(`past_key_values.${layer}.${part}`, "float32", shape("past_sequence_length"))
    )
    const present = ["key", "value"].map((part) => `present.${layer}.${part}`)
    const [attended] = g.nodes(
      "com.microsoft:GroupQueryAttention",
      [packed, "", "", ...past, lengths.past, lengths.total, cos, sin],
      [`attended.${layer}`, ...present],
      { num_heads: config.heads, kv_num_heads: keyValueHeads, do_rotary: 1 },
    )
    for (const name of present) g.output(name, "float32", shape("total_sequence_length"))
    const mixed = multiply(attended, `out.${layer}`, await stacked(of("self_attn.o_proj")))
    normed = await skipNorm(mixed, of("post_attention_layernorm"))
    const gate = multiply(normed, `gate.${layer}`, await stacked(of("mlp.gate_proj")))
    const up = multiply(normed, `up.${layer}`, await stacked(of("mlp.up_proj")))
    const active = g.node("Mul", [gate, g.node("Sigmoid", [gate])])
    const inner = g.node("Mul", [active, up])
    normed = multiply(inner, `down.${layer}`, await stacked(of("mlp.down_proj")))
  }
  const final = await skipNorm(normed, "model.norm.weight")
  const head = { rows: config.vocabularySize, columns: hidden, values: embedding }
  multiply(final, "head", head, "logits")
  g.output("logits", "float32", ["batch_size", "sequence_length", config.vocabularySize])
  return g.encode()
}

/** `x` times the transposed matrix. */
function multiplied(
  g: GraphBuilder,
  x: Value,
  name: string,
  { rows, columns, values }: Stacked,
  { bits, accuracyLevel = 0 }: ExportFormat,
  output?: string,
): Value {
  if (bits === 32) {
    const weight = g.weight(name, "float32", [columns, rows], transposed(values, rows, columns))
    return g.node("MatMul", [x, weight], {}, output)
  }
  const blocks = Math.ceil(columns / 32)
  const { codes, scales } = quantizeBlocks(values, rows, columns, 4)
  const inputs = [
    x,
    g.weight(name, "uint8", [rows, blocks, 16], codes),
    g.weight(`${name}.scales`, "float32", [rows, blocks], scales),
  ]
  const attributes = { K: columns, N: rows, bits, block_size: 32, accuracy_level: accuracyLevel }
  return g.node("com.microsoft:MatMulNBits", inputs, attributes, output)
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column]
    }
  }
  return out
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
