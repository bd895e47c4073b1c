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
 * | `wanted` | `[N]` | positions in the flattened `[B * S]` whose row is returned |
 * | `rope_cos`, `rope_sin` | `[P, headSize / 2]` | rotation of positions `0 .. P - 1` |
 * | `past_key.L`, `past_value.L` | `[B, keyValueHeads, C, headSize]` | cache with room for C tokens |
 * | `adapters` | `[B]` | each row's adapter, counted from 1, 0 for none; only where there are some |
 *
 * | output | shape | |
 * |---|---|---|
 * | `rows` | `[N, vocabulary]` | natural-log probabilities |
 * | | `[N, labels]` | with a value head: what it gives |
 * | `delta` | `[2 * layers * B, keyValueHeads, S, headSize]` | keys and values, layer by layer |
 */
import { type EncodedModel, GraphBuilder, type Value } from "../onnx/graph_builder.ts"
import { lookup } from "../onnx/operations/lookup.ts"
import { linear } from "../onnx/operations/products.ts"
import { reshape } from "../onnx/operations/shapes.ts"
import { type Size, Tape, type Tensor } from "../onnx/tape.ts"
import type { LlamaAdapter } from "./adapter.ts"
import { type AdapterTables, adapterTables } from "./adapter_tables.ts"
import { attendWithCache, attentionBias, newPositions, sizeOf } from "./cached_attention.ts"
import type { LlamaConfig } from "./config.ts"
import {
  forwardLayers,
  joinHeads,
  type Norm,
  product,
  type Projection,
  separateHeads,
} from "./forward.ts"
import { addAndNorm, blockProduct } from "./fused_operations.ts"
import { rowMasks } from "./row_masks.ts"
import type { LayerWeights, LlamaWeights, Matrix } from "./weights.ts"

/** Writes the graph; adapters become rows beside the model's own. */
export function inferenceGraph(
  config: LlamaConfig,
  weights: LlamaWeights,
  adapters: readonly LlamaAdapter[] = [],
): EncodedModel {
  const { keyValueHeads, headSize, hiddenSize, vocabularySize, labels } = config
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
  const norm = (layer: number, part: Norm) =>
    vector(`layer${layer}.${part}`, normOf(weights.layers[layer], part))
  const layout = {
    batch,
    steps,
    rotation: { positions: tape.tensor(positions, [batch, steps]), cos, sin },
  }
  const masks = chosen && rowMasks(chosen, { batch, steps, selected: wanted })
  const normed = forwardLayers(
    config,
    reshape(lookup(embedding, ids), [product(batch, steps), hiddenSize]),
    {
      norm,
      finalNorm: vector("final_norm", weights.finalNorm),
      addAndNorm: (x, change, weight) => addAndNorm(x, change, weight, config.normEpsilon),
      select: (x) => lookup(x, wanted),
      project: (x, layer, part) => {
        const [matrix, bias] = projection(weights.layers[layer], part)
        const name = `layer${layer}.${part}`
        const result = multiplyBy(x, name, matrix, bias)
        const tables = adapterTables(config, adapters, layer, part)
        if (masks === undefined || tables === undefined) return result
        const isSelected = layer === config.layers - 1 && part !== "queryKeyValue"
        return addAdapted(result, x, name, tables, masks(tables.owners, isSelected))
      },
      attend: (stacked, layer) => {
        const heads = separateHeads(config, stacked, layout, (part) => norm(layer, part))
        delta.push(heads.keys.value, heads.values.value)
        const bias = tape.tensor(biases.get(config.slidingWindows[layer])!, [])
        const mixed = attendWithCache(heads, { ...past[layer], bias, capacity, steps })
        return joinHeads(config, mixed, layout)
      },
    },
  )

  const { head } = weights
  const given = head.values === weights.embedding
    ? linear(normed, embedding)
    : multiplyBy(normed, "head", head)
  if (labels === undefined) g.node("LogSoftmax", [given.value], { axis: -1 }, "rows")
  else g.node("Identity", [given.value], {}, "rows")
  g.output("rows", "float32", ["N", labels?.length ?? vocabularySize])
  g.node("Concat", delta, { axis: 0 }, "delta")
  g.output("delta", "float32", [`${delta.length}*B`, keyValueHeads, "S", headSize])
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

/** `x [T, columns]` times the transposed matrix, plus the bias. */
function multiplyBy(
  x: Tensor,
  name: string,
  { rows, columns, values }: Matrix,
  bias?: Float32Array,
): Tensor {
  const { tape } = x
  const biases = bias && tape.weight(`${name}.bias`, [rows], bias)
  return values instanceof Float32Array
    ? linear(x, tape.weight(name, [rows, columns], values), biases)
    : blockProduct(x, { name, rows, columns, values }, biases)
}

/** Adds to `result [T, rows]` what each row's adapter makes of `x [T, columns]`. */
function addAdapted(
  result: Tensor,
  x: Tensor,
  name: string,
  { rows, columns, owners, a, b }: AdapterTables,
  mask: Tensor,
): Tensor {
  const { tape } = x
  const g = tape.graph
  const ranks = linear(x, tape.weight(`${name}.adapters_a`, [owners.length, columns], a))
  // Chosen, not multiplied by 0 or 1: what another adapter makes of a row may be infinite.
  const own = g.node("Where", [mask.value, ranks.value, g.scalar(0)])
  const up = tape.weight(`${name}.adapters_b`, [owners.length, rows], b)
  return tape.tensor(g.node("Gemm", [own, up.value, result.value]), result.shape)
}
