/**
 * Attention of new tokens to a cache that the caller owns and to each other: where the tokens are, what
 * each may see, and the mixing itself, which joins neither keys nor values.
 */
import type { GraphBuilder, Value } from "../onnx/graph_builder.ts"
import { add } from "../onnx/operations/arithmetic.ts"
import { matmul } from "../onnx/operations/products.ts"
import type { DynamicSize, Tensor } from "../onnx/tape.ts"
import type { LlamaConfig } from "./config.ts"
import type { Heads } from "./forward.ts"

/** Added to the scores of positions that must not be seen; finite, as WebGPU promises no infinity. */
const hidden = -1e30

/** A dynamic size that the graph can read. */
export type KnownSize = DynamicSize & { readonly value: Value }

/** Attention over the cache and the new tokens, without joining their keys and values. */
export function attendWithCache(
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

/** The size of one dimension of a value, known when the graph runs. */
export function sizeOf(
  g: GraphBuilder,
  name: string,
  x: Value,
  index: number,
): KnownSize {
  return { name, value: g.node("Shape", [x], { start: index, end: index + 1 }) }
}

/** Positions of the new tokens `[B, S]`; those of padding may pass the table's end, and are held back. */
export function newPositions(
  g: GraphBuilder,
  pastLengths: Value,
  steps: Value,
  limit: Value,
): Value {
  const begin = g.node("Unsqueeze", [pastLengths, g.integers([1])])
  const positions = g.node("Add", [begin, range(g, steps)])
  return g.node("Min", [positions, g.node("Sub", [limit, g.integers([1])])])
}

/**
 * What is added to the scores: 0 where a token may look, `hidden` elsewhere, `[B, 1, group * S, C + S]`.
 * A token sees its row's cache, and new tokens up to itself; with a sliding window only the latest
 * `window` positions of these, its own among them.
 */
export function attentionBias(
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

/** `0 .. count - 1`, where `count` is a list of one number. */
function range(g: GraphBuilder, count: Value): Value {
  const limit = g.node("Squeeze", [count])
  return g.node("Range", [g.integers([0], true), limit, g.integers([1], true)])
}
