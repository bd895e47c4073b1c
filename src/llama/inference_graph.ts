/**
 * The forward pass of a Llama as an ONNX graph for decoding.
 *
 * Keys and values of earlier tokens come in as buffers that the caller owns, with room to spare; the
 * graph returns only those of the new tokens ("delta"). A growing cache, where the graph returns
 * all of them, would be copied whole at every step.
 *
 * | input | shape | |
 * |---|---|---|
 * | `input_ids` | `[B, S]` | new tokens, padded at the end to the longest row |
 * | `past_lengths` | `[B]` | tokens that each row's cache holds |
 * | `wanted` | `[N]` | positions in the flattened `[B * S]` whose distribution is returned |
 * | `rope_cos`, `rope_sin` | `[P, headSize / 2]` | rotation of positions `0 .. P - 1` |
 * | `past_key.L`, `past_value.L` | `[B, keyValueHeads, C, headSize]` | cache with room for C tokens |
 *
 * | output | shape | |
 * |---|---|---|
 * | `log_probs` | `[N, vocabulary]` | natural log |
 * | `delta` | `[2 * layers, B, keyValueHeads, S, headSize]` | keys and values, layer by layer |
 */
import { type EncodedModel, GraphBuilder, type Value } from "../onnx/graph_builder.ts"
import type { LlamaConfig } from "./config.ts"
import { blockSize } from "./quantize.ts"
import type { LayerWeights, LlamaWeights, Matrix } from "./weights.ts"

/** Added to the scores of positions that must not be seen; finite, as WebGPU promises no infinity. */
const hidden = -1e30

/** Writes the graph. */
export function inferenceGraph(config: LlamaConfig, weights: LlamaWeights): EncodedModel {
  const { keyValueHeads, headSize, hiddenSize, vocabularySize } = config
  const g = new GraphBuilder()
  const ids = g.input("input_ids", "int64", ["B", "S"])
  const pastLengths = g.input("past_lengths", "int64", ["B"])
  const wanted = g.input("wanted", "int64", ["N"])
  const cos = g.input("rope_cos", "float32", ["P", headSize / 2])
  const sin = g.input("rope_sin", "float32", ["P", headSize / 2])
  const past = config.slidingWindows.map((_, layer) => ({
    key: g.input(`past_key.${layer}`, "float32", ["B", keyValueHeads, "C", headSize]),
    value: g.input(`past_value.${layer}`, "float32", ["B", keyValueHeads, "C", headSize]),
  }))

  const batch = dimension(g, ids, 0)
  const steps = dimension(g, ids, 1)
  const capacity = dimension(g, past[0].key, 2)
  const positions = newPositions(g, pastLengths, steps, dimension(g, cos, 0))
  const biases = new Map<number | null, Value>()
  for (const window of new Set(config.slidingWindows)) {
    biases.set(window, attentionBias(g, config, { pastLengths, batch, steps, capacity, window }))
  }

  const embedding = g.weight(
    "embedding",
    "float32",
    [vocabularySize, hiddenSize],
    weights.embedding,
  )
  const embedded = g.node("Gather", [embedding, ids])
  let x = g.node("Reshape", [embedded, g.integers([-1, hiddenSize])]) // [B * S, hidden]
  const delta: Value[] = []
  weights.layers.forEach((layer, index) => {
    const name = `layer${index}`
    const bias = biases.get(config.slidingWindows[index])!
    const attended = attention(g, config, layer, {
      name,
      x: norm(g, x, `${name}.attention_norm`, layer.attentionNorm, config.normEpsilon),
      past: past[index],
      rope: { positions, cos, sin },
      bias,
      batch,
      steps,
      capacity,
    })
    delta.push(attended.key, attended.value)
    x = g.node("Add", [x, attended.output])
    const normed = norm(
      g,
      x,
      `${name}.feed_forward_norm`,
      layer.feedForwardNorm,
      config.normEpsilon,
    )
    x = g.node("Add", [x, feedForward(g, name, normed, layer)])
  })

  const last = norm(
    g,
    g.node("Gather", [x, wanted]),
    "final_norm",
    weights.finalNorm,
    config.normEpsilon,
  )
  const logits = weights.head.values === weights.embedding
    ? g.node("Gemm", [last, embedding], { transB: 1 })
    : linear(g, last, "head", weights.head)
  g.node("LogSoftmax", [logits], { axis: -1 }, "log_probs")
  g.output("log_probs", "float32", ["N", vocabularySize])
  const stacked = delta.map((value) => g.node("Unsqueeze", [value, g.integers([0])]))
  g.node("Concat", stacked, { axis: 0 }, "delta")
  g.output("delta", "float32", [delta.length, "B", keyValueHeads, "S", headSize])
  return g.encode()
}

/** Grouped-query attention over the cache and the new tokens; `x` is `[B * S, hidden]`. */
function attention(
  g: GraphBuilder,
  config: LlamaConfig,
  layer: LayerWeights,
  o: {
    readonly name: string
    readonly x: Value
    readonly past: { readonly key: Value; readonly value: Value }
    readonly rope: { readonly positions: Value; readonly cos: Value; readonly sin: Value }
    readonly bias: Value
    readonly batch: Value
    readonly steps: Value
    readonly capacity: Value
  },
): { readonly output: Value; readonly key: Value; readonly value: Value } {
  const { heads, keyValueHeads, headSize } = config
  const joined = linear(g, o.x, `${o.name}.qkv`, layer.queryKeyValue, layer.queryKeyValueBias)
  const sizes = g.integers([heads, keyValueHeads, keyValueHeads].map((n) => n * headSize))
  const [q, k, v] = g.nodes("Split", [joined, sizes], 3, { axis: -1 })
  /** `[B * S, count * headSize]` to `[B, count, S, headSize]`. */
  const split = (x: Value, count: number, headNorm?: (x: Value) => Value): Value => {
    const shape = g.node("Concat", [o.batch, o.steps, g.integers([count, headSize])], { axis: 0 })
    const separate = g.node("Reshape", [x, shape])
    return g.node("Transpose", [headNorm?.(separate) ?? separate], { perm: [0, 2, 1, 3] })
  }
  const normed = (part: string, values: Float32Array | undefined) =>
    values && ((x: Value) => norm(g, x, `${o.name}.${part}`, values, config.normEpsilon))
  const rotate = (x: Value) =>
    g.node("com.microsoft:RotaryEmbedding", [x, o.rope.positions, o.rope.cos, o.rope.sin])
  const queries = rotate(split(q, heads, normed("query_norm", layer.queryNorm)))
  const key = rotate(split(k, keyValueHeads, normed("key_norm", layer.keyNorm)))
  const value = split(v, keyValueHeads)

  // The query heads that share a key-value head become rows of one product: [B, KV, group * S, D].
  const grouped = g.node("Reshape", [queries, g.integers([0, keyValueHeads, -1, headSize])])
  const scaled = { alpha: { float: 1 / Math.sqrt(headSize) }, transB: 1 }
  const onPast = g.node("com.microsoft:FusedMatMul", [grouped, o.past.key], scaled)
  const onNew = g.node("com.microsoft:FusedMatMul", [grouped, key], scaled)
  const scores = g.node("Add", [g.node("Concat", [onPast, onNew], { axis: -1 }), o.bias])
  const shares = g.node("Softmax", [scores], { axis: -1 })
  const sides = g.node("Concat", [o.capacity, o.steps], { axis: 0 })
  const [pastShares, newShares] = g.nodes("Split", [shares, sides], 2, { axis: -1 })
  const mixed = g.node("Add", [
    g.node("MatMul", [pastShares, o.past.value]),
    g.node("MatMul", [newShares, value]),
  ])
  const ungroup = g.node(
    "Concat",
    [o.batch, g.integers([heads]), o.steps, g.integers([headSize])],
    {
      axis: 0,
    },
  )
  const perHead = g.node("Transpose", [g.node("Reshape", [mixed, ungroup])], { perm: [0, 2, 1, 3] })
  const flat = g.node("Reshape", [perHead, g.integers([-1, heads * headSize])])
  return { output: linear(g, flat, `${o.name}.output`, layer.output, layer.outputBias), key, value }
}

/** SwiGLU (arXiv 2002.05202). */
function feedForward(g: GraphBuilder, name: string, x: Value, layer: LayerWeights): Value {
  const joined = linear(g, x, `${name}.gate_up`, layer.gateUp, layer.gateUpBias)
  const [gate, up] = g.nodes("Split", [joined], 2, { axis: -1, num_outputs: 2 })
  const activated = g.node("Mul", [g.node("Mul", [gate, g.node("Sigmoid", [gate])]), up])
  return linear(g, activated, `${name}.down`, layer.down, layer.downBias)
}

/** Root-mean-square norm over the last dimension (arXiv 1910.07467). */
function norm(
  g: GraphBuilder,
  x: Value,
  name: string,
  weights: Float32Array,
  epsilon: number,
): Value {
  const scale = g.weight(name, "float32", [weights.length], weights)
  return g.node("SimplifiedLayerNormalization", [x, scale], {
    axis: -1,
    epsilon: { float: epsilon },
  })
}

/** `x [T, columns]` times the transposed matrix, plus the bias. */
function linear(
  g: GraphBuilder,
  x: Value,
  name: string,
  { rows, columns, values }: Matrix,
  bias?: Float32Array,
): Value {
  const biasName = bias && g.weight(`${name}.bias`, "float32", [rows], bias)
  if (values instanceof Float32Array) {
    const weight = g.weight(name, "float32", [rows, columns], values)
    return g.node("Gemm", biasName ? [x, weight, biasName] : [x, weight], { transB: 1 })
  }
  const blocks = Math.ceil(columns / blockSize)
  const shape = [rows, blocks, (blockSize * values.bits) / 8]
  const product = g.node("com.microsoft:MatMulNBits", [
    x,
    g.weight(name, "uint8", shape, values.codes),
    g.weight(`${name}.scales`, "float32", [rows, blocks], values.scales),
  ], {
    K: columns,
    N: rows,
    bits: values.bits,
    block_size: blockSize,
    // 4: activations are quantised to 8 bits too, per block; without it 8-bit weights are 10 times slower
    accuracy_level: 4,
  })
  return biasName ? g.node("Add", [product, biasName]) : product
}

/** The size of one dimension, as a list of one number. */
function dimension(g: GraphBuilder, x: Value, index: number): Value {
  return g.node("Shape", [x], { start: index, end: index + 1 })
}

/** `0 .. count - 1`, where `count` is a list of one number. */
function range(g: GraphBuilder, count: Value): Value {
  const limit = g.node("Squeeze", [count])
  return g.node("Range", [g.integers([0], true), limit, g.integers([1], true)])
}

/** Positions of the new tokens `[B, S]`; those of padding may pass the table's end, and are held back. */
function newPositions(g: GraphBuilder, pastLengths: Value, steps: Value, limit: Value): Value {
  const begin = g.node("Unsqueeze", [pastLengths, g.integers([1])])
  const positions = g.node("Add", [begin, range(g, steps)])
  return g.node("Min", [positions, g.node("Sub", [limit, g.integers([1])])])
}

/**
 * What is added to the scores: 0 where a token may look, `hidden` elsewhere, `[B, 1, group * S, C + S]`.
 * A token sees its row's cache, and new tokens up to itself; with a sliding window only the latest
 * `window` positions of these, its own among them.
 */
function attentionBias(
  g: GraphBuilder,
  config: LlamaConfig,
  o: {
    readonly pastLengths: Value
    readonly batch: Value
    readonly steps: Value
    readonly capacity: Value
    readonly window: number | null
  },
): Value {
  const unsqueeze = (x: Value, ...axes: number[]) => g.node("Unsqueeze", [x, g.integers(axes)])
  const lengths = unsqueeze(o.pastLengths, 1, 2, 3) // [B, 1, 1, 1]
  const rows = unsqueeze(range(g, o.steps), 1) // [S, 1]
  const slots = range(g, o.capacity) // [C]
  const columns = range(g, o.steps) // [S]
  let seesPast = g.node("Less", [slots, lengths]) // [B, 1, 1, C]
  let seesNew = g.node("LessOrEqual", [columns, rows]) // [S, S]
  if (o.window !== null) {
    const first = g.node("Sub", [rows, g.integers([o.window - 1])]) // [S, 1]
    const inWindow = g.node("GreaterOrEqual", [slots, g.node("Add", [lengths, first])]) // [B, 1, S, C]
    seesPast = g.node("And", [seesPast, inWindow])
    seesNew = g.node("And", [seesNew, g.node("GreaterOrEqual", [columns, first])])
  }
  const one = g.integers([1])
  const expand = (mask: Value, width: Value) =>
    g.node("Expand", [mask, g.node("Concat", [o.batch, one, o.steps, width], { axis: 0 })])
  const sees = g.node("Concat", [expand(seesPast, o.capacity), expand(seesNew, o.steps)], {
    axis: -1,
  })
  const bias = g.node("Where", [sees, g.scalar(0), g.scalar(hidden)]) // [B, 1, S, C + S]
  const group = config.heads / config.keyValueHeads
  // Rows of a group lie head by head, so the same S rows repeat `group` times.
  return group === 1 ? bias : g.node("Tile", [bias, g.integers([1, 1, group, 1])])
}
