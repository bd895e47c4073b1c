/**
 * The forward pass of a Llama, written once over differentiable operations. What inference and
 * training do differently comes in as `ForwardContext`: where matrices come from (float32, quantised,
 * with adapters, or variables to train), what tokens attend to (a cache, or their own row), and
 * whether sizes are known before the graph runs.
 */
import { add } from "../onnx/operations/arithmetic.ts"
import { swiglu } from "../onnx/operations/activations.ts"
import { rmsNorm } from "../onnx/operations/normalise.ts"
import { rotate, type Rotation } from "../onnx/operations/positions.ts"
import { reshape, split, transpose } from "../onnx/operations/shapes.ts"
import type { DynamicSize, Size, Tensor } from "../onnx/tape.ts"
import type { LlamaConfig } from "./config.ts"

/** The matrix products of a layer; queries, keys and values are stacked, and gate and up. */
export type Projection = "queryKeyValue" | "output" | "gateUp" | "down"

/** The norms of a layer; those of queries and keys only where a model has them (Qwen3). */
export type Norm = "attentionNorm" | "queryNorm" | "keyNorm" | "feedForwardNorm"

/** What a head attends with: `group` query heads share each key-value head. */
export interface Heads {
  /** `[batch, keyValueHeads, group * steps, headSize]`; rows of a group lie head by head. */
  readonly queries: Tensor
  /** `[batch, keyValueHeads, steps, headSize]` */
  readonly keys: Tensor
  /** `[batch, keyValueHeads, steps, headSize]` */
  readonly values: Tensor
}

/** What the pass is run on. */
export interface ForwardContext {
  /** Rows. */
  readonly batch: Size
  /** New tokens of each row. */
  readonly steps: Size
  /** Rotations by position. */
  readonly rotation: Rotation
  /** A matrix product, bias included: `[batch * steps, columns]` to `[batch * steps, rows]`. */
  readonly project: (x: Tensor, layer: number, part: Projection) => Tensor
  /** The weight of a norm. */
  readonly norm: (layer: number, part: Norm) => Tensor
  /** Mixes values by attention: `[batch, keyValueHeads, group * steps, headSize]`. */
  readonly attend: (layer: number, heads: Heads) => Tensor
}

/** All layers: `x [batch * steps, hidden]` to the same shape, before the final norm. */
export function forwardLayers(config: LlamaConfig, x: Tensor, c: ForwardContext): Tensor {
  const { normEpsilon } = config
  for (let layer = 0; layer < config.layers; layer++) {
    const attended = attention(config, rmsNorm(x, c.norm(layer, "attentionNorm"), normEpsilon), {
      ...c,
      layer,
    })
    x = add(x, c.project(attended, layer, "output"))
    const normed = rmsNorm(x, c.norm(layer, "feedForwardNorm"), normEpsilon)
    const joined = c.project(normed, layer, "gateUp")
    const [gate, up] = split(joined, [config.intermediateSize, config.intermediateSize])
    x = add(x, c.project(swiglu(gate, up), layer, "down"))
  }
  return x
}

/** Grouped-query attention (arXiv 2305.13245): `x [batch * steps, hidden]`, normed. */
function attention(
  config: LlamaConfig,
  x: Tensor,
  c: ForwardContext & { readonly layer: number },
): Tensor {
  const { heads, keyValueHeads, headSize } = config
  const { batch, steps, layer } = c
  const sizes = [heads, keyValueHeads, keyValueHeads].map((n) => n * headSize)
  const [q, k, v] = split(c.project(x, layer, "queryKeyValue"), sizes)
  /** `[batch * steps, count * headSize]` to `[batch, count, steps, headSize]`. */
  const separate = (x: Tensor, count: number, norm?: Norm): Tensor => {
    const perHead = reshape(x, [batch, steps, count, headSize])
    const normed = norm === undefined
      ? perHead
      : rmsNorm(perHead, c.norm(layer, norm), config.normEpsilon)
    return transpose(normed, [0, 2, 1, 3])
  }
  const hasNorms = config.queryKeyNorm
  const queries = rotate(separate(q, heads, hasNorms ? "queryNorm" : undefined), c.rotation)
  const keys = rotate(separate(k, keyValueHeads, hasNorms ? "keyNorm" : undefined), c.rotation)
  const values = separate(v, keyValueHeads)
  const grouped = reshape(queries, [
    batch,
    keyValueHeads,
    product(steps, heads / keyValueHeads),
    headSize,
  ])
  const mixed = c.attend(layer, { queries: grouped, keys, values })
  const perHead = transpose(reshape(mixed, [batch, heads, steps, headSize]), [0, 2, 1, 3])
  return reshape(perHead, [product(batch, steps), heads * headSize])
}

/** The product of two sizes; one that is dynamic can be inferred, not read. */
export function product(a: Size, b: Size): Size {
  if (typeof a === "number" && typeof b === "number") return a * b
  if (a === 1) return b
  if (b === 1) return a
  const name = (size: Size): string => typeof size === "number" ? String(size) : size.name
  const inferred: DynamicSize = { name: `${name(a)}*${name(b)}` }
  return inferred
}
