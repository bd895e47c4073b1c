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
 * | `adapters` | `[B]` | each row's adapter, counted from 1, 0 for none; only where there are some |
 *
 * | output | shape | |
 * |---|---|---|
 * | `log_probs` | `[N, vocabulary]` | natural log |
 * | `delta` | `[2 * layers, B, keyValueHeads, S, headSize]` | keys and values, layer by layer |
 */
import { type EncodedModel, GraphBuilder, type Value } from "../onnx/graph_builder.ts"
import { add } from "../onnx/operations/arithmetic.ts"
import { lookup } from "../onnx/operations/lookup.ts"
import { rmsNorm } from "../onnx/operations/normalise.ts"
import { linear, matmul } from "../onnx/operations/products.ts"
import { reshape } from "../onnx/operations/shapes.ts"
import { type DynamicSize, type Size, Tape, type Tensor } from "../onnx/tape.ts"
import type { LlamaAdapter } from "./adapter.ts"
import { type AdapterTables, adapterTables } from "./adapter_tables.ts"
import type { LlamaConfig } from "./config.ts"
import { forwardLayers, type Heads, type Norm, product, type Projection } from "./forward.ts"
import { blockSize } from "./quantize.ts"
import type { LayerWeights, LlamaWeights, Matrix } from "./weights.ts"

/** Added to the scores of positions that must not be seen; finite, as WebGPU promises no infinity. */
const hidden = -1e30

/** A dynamic size that the graph can read. */
type KnownSize = DynamicSize & { readonly value: Value }

/** Writes the graph; adapters become rows beside the model's own. */
export function inferenceGraph(
  config: LlamaConfig,
  weights: LlamaWeights,
  adapters: readonly LlamaAdapter[] = [],
): EncodedModel {
  const { keyValueHeads, headSize, hiddenSize, vocabularySize } = config
  const g = new GraphBuilder()
  const tape = new Tape(g)
  const ids = tape.input("input_ids", "int64", [{ name: "B" }, { name: "S" }])
  const pastLengths = g.input("past_lengths", "int64", ["B"])
  const wanted = tape.input("wanted", "int64", [{ name: "N" }])
  const cos = tape.input("rope_cos", "float32", [{ name: "P" }, headSize / 2])
  const sin = tape.input("rope_sin", "float32", [{ name: "P" }, headSize / 2])
  const cacheShape: Size[] = [{ name: "B" }, keyValueHeads, { name: "C" }, headSize]
  const chosen = adapters.length === 0
    ? undefined
    : tape.input("adapters", "int64", [{ name: "B" }])
  const past = config.slidingWindows.map((_, layer) => ({
    keys: tape.input(`past_key.${layer}`, "float32", cacheShape),
    values: tape.input(`past_value.${layer}`, "float32", cacheShape),
  }))

  const batch = sizeOf(g, "B", ids.value, 0)
  const steps = sizeOf(g, "S", ids.value, 1)
  const capacity = sizeOf(g, "C", past[0].keys.value, 2)
  const positions = newPositions(g, pastLengths, steps.value, sizeOf(g, "P", cos.value, 0).value)
  const biases = new Map<number | null, Value>()
  for (const window of new Set(config.slidingWindows)) {
    biases.set(window, attentionBias(g, config, { pastLengths, batch, steps, capacity, window }))
  }

  const embedding = tape.weight("embedding", [vocabularySize, hiddenSize], weights.embedding)
  const delta: Value[] = []
  const vector = (name: string, values: Float32Array) => tape.weight(name, [values.length], values)
  const last = forwardLayers(
    config,
    reshape(lookup(embedding, ids), [product(batch, steps), hiddenSize]),
    {
      batch,
      steps,
      rotation: { positions: tape.tensor(positions, [batch, steps]), cos, sin },
      project: (x, layer, part) => {
        const [matrix, bias] = projection(weights.layers[layer], part)
        const name = `layer${layer}.${part}`
        const result = multiplyBy(x, name, matrix, bias)
        const tables = adapterTables(config, adapters, layer, part)
        if (chosen === undefined || tables === undefined) return result
        return add(result, adapted(x, name, tables, { chosen, batch, steps }))
      },
      norm: (layer, part) => vector(`layer${layer}.${part}`, normOf(weights.layers[layer], part)),
      attend: (layer, heads) => {
        delta.push(heads.keys.value, heads.values.value)
        const bias = tape.tensor(biases.get(config.slidingWindows[layer])!, [])
        return attendWithCache(heads, { ...past[layer], bias, capacity, steps })
      },
    },
  )

  const normed = rmsNorm(
    lookup(last, wanted),
    vector("final_norm", weights.finalNorm),
    config.normEpsilon,
  )
  const logits = weights.head.values === weights.embedding
    ? linear(normed, embedding)
    : multiplyBy(normed, "head", weights.head)
  g.node("LogSoftmax", [logits.value], { axis: -1 }, "log_probs")
  g.output("log_probs", "float32", ["N", vocabularySize])
  const stacked = delta.map((value) => g.node("Unsqueeze", [value, g.integers([0])]))
  g.node("Concat", stacked, { axis: 0 }, "delta")
  g.output("delta", "float32", [delta.length, "B", keyValueHeads, "S", headSize])
  return g.encode()
}

/** The matrix of a part of a layer, and its bias. */
function projection(layer: LayerWeights, part: Projection): [Matrix, Float32Array | undefined] {
  switch (part) {
    case "queryKeyValue":
      return [layer.queryKeyValue, layer.queryKeyValueBias]
    case "output":
      return [layer.output, layer.outputBias]
    case "gateUp":
      return [layer.gateUp, layer.gateUpBias]
    case "down":
      return [layer.down, layer.downBias]
  }
}

function normOf(layer: LayerWeights, part: Norm): Float32Array {
  const weight = layer[part]
  if (weight === undefined) throw new TypeError(`internal: the model has no ${part}`)
  return weight
}

/** Attention over the cache and the new tokens, without joining their keys and values. */
function attendWithCache(
  { queries, keys, values }: Heads,
  past: {
    readonly keys: Tensor
    readonly values: Tensor
    readonly bias: Tensor
    readonly capacity: KnownSize
    readonly steps: KnownSize
  },
): Tensor {
  const { tape } = queries
  const g = tape.graph
  const scaled = { transposed: true, scale: 1 / Math.sqrt(keys.shape[3] as number) }
  const scores = g.node("Concat", [
    matmul(queries, past.keys, scaled).value,
    matmul(queries, keys, scaled).value,
  ], { axis: -1 })
  const shares = g.node("Softmax", [g.node("Add", [scores, past.bias.value])], { axis: -1 })
  const sides = g.node("Concat", [past.capacity.value, past.steps.value], { axis: 0 })
  const [onPast, onNew] = g.nodes("Split", [shares, sides], 2, { axis: -1 })
  const rows = queries.shape.slice(0, 3)
  return add(
    matmul(tape.tensor(onPast, [...rows, past.capacity]), past.values),
    matmul(tape.tensor(onNew, [...rows, past.steps]), values),
  )
}

/** `x [T, columns]` times the transposed matrix, plus the bias. */
function multiplyBy(
  x: Tensor,
  name: string,
  { rows, columns, values }: Matrix,
  bias?: Float32Array,
): Tensor {
  const { tape } = x
  const g = tape.graph
  const biases = bias && tape.weight(`${name}.bias`, [rows], bias)
  if (values instanceof Float32Array) {
    return linear(x, tape.weight(name, [rows, columns], values), biases)
  }
  const blocks = Math.ceil(columns / blockSize)
  const shape = [rows, blocks, (blockSize * values.bits) / 8]
  const multiplied = g.node("com.microsoft:MatMulNBits", [
    x.value,
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
  const result = tape.tensor(multiplied, [x.shape[0], rows])
  return biases ? add(result, biases) : result
}

/** What each row's adapter adds to a product: `x [B * S, columns]` to `[B * S, rows]`. */
function adapted(
  x: Tensor,
  name: string,
  tables: AdapterTables,
  o: { readonly chosen: Tensor; readonly batch: KnownSize; readonly steps: KnownSize },
): Tensor {
  const { rank, rows, columns } = tables
  const entries = tables.a.length / (columns * rank)
  const ofRows = (matrix: "a" | "b", ...shape: number[]) => {
    const table = x.tape.weight(`${name}.adapters_${matrix}`, [entries, ...shape], tables[matrix])
    return lookup(table, o.chosen)
  }
  const perRow = reshape(x, [o.batch, o.steps, columns])
  const change = matmul(matmul(perRow, ofRows("a", columns, rank)), ofRows("b", rank, rows))
  return reshape(change, [product(o.batch, o.steps), rows])
}

/** The size of one dimension of a value, known when the graph runs. */
function sizeOf(
  g: GraphBuilder,
  name: string,
  x: Value,
  index: number,
): KnownSize {
  return { name, value: g.node("Shape", [x], { start: index, end: index + 1 }) }
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
    readonly batch: KnownSize
    readonly steps: KnownSize
    readonly capacity: KnownSize
    readonly window: number | null
  },
): Value {
  const unsqueeze = (x: Value, ...axes: number[]) => g.node("Unsqueeze", [x, g.integers(axes)])
  const lengths = unsqueeze(o.pastLengths, 1, 2, 3) // [B, 1, 1, 1]
  const rows = unsqueeze(range(g, o.steps.value), 1) // [S, 1]
  const slots = range(g, o.capacity.value) // [C]
  const columns = range(g, o.steps.value) // [S]
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
    g.node("Expand", [
      mask,
      g.node("Concat", [o.batch.value, one, o.steps.value, width], { axis: 0 }),
    ])
  const sees = g.node("Concat", [
    expand(seesPast, o.capacity.value),
    expand(seesNew, o.steps.value),
  ], {
    axis: -1,
  })
  const bias = g.node("Where", [sees, g.scalar(0), g.scalar(hidden)]) // [B, 1, S, C + S]
  const group = config.heads / config.keyValueHeads
  // Rows of a group lie head by head, so the same S rows repeat `group` times.
  return group === 1 ? bias : g.node("Tile", [bias, g.integers([1, 1, group, 1])])
}
