/**
 * The forward pass of a Llama, written once over differentiable operations. What inference and
 * training do differently comes in as `ForwardContext`: where matrices come from (float32, quantised,
 * with adapters, or variables to train), how tokens attend (to a cache, or to their own row), and
 * which steps one fused operator stands for.
 */
import { add } from "../onnx/operations/arithmetic.ts"
import { swiglu } from "../onnx/operations/activations.ts"
import { rmsNorm } from "../onnx/operations/normalise.ts"
import { rotate, type Rotation } from "../onnx/operations/positions.ts"
import { concat, reshape, split, splitAt, transpose } from "../onnx/operations/shapes.ts"
import type { DynamicSize, Size, Tensor } from "../onnx/tape.ts"
import type { LlamaConfig } from "./config.ts"

/** The matrix products of a layer; queries, keys and values are stacked, and gate and up. */
export type Projection = "queryKeyValue" | "output" | "gateUp" | "down"

/** The norms of a layer; those of queries and keys only where a model has them (Qwen3). */
export type Norm = "attentionNorm" | "queryNorm" | "keyNorm" | "feedForwardNorm"

/** What the pass is run on. */
export interface ForwardContext {
  /** A matrix product, bias included: `[tokens, columns]` to `[tokens, rows]`. */
  readonly project: (x: Tensor, layer: number, part: Projection) => Tensor
  /** The weight of a norm of a layer. */
  readonly norm: (layer: number, part: Norm) => Tensor
  /** The weight of the norm after the last layer. */
  readonly finalNorm: Tensor
  /**
   * Mixes values by attention: queries, keys and values of all heads, stacked, `[tokens, (heads + 2 *
   * keyValueHeads) * headSize]`, to `[tokens, heads * headSize]`.
   */
  readonly attend: (stacked: Tensor, layer: number) => Tensor
  /** `x + change`, and its norm; two operations where absent. */
  readonly addAndNorm?: (x: Tensor, change: Tensor, weight: Tensor) => readonly [Tensor, Tensor]
  /** The rows that are asked for, of those of the last layer; all where absent. */
  readonly select?: (x: Tensor) => Tensor
}

/** All layers and the norm after them: `x [tokens, hidden]` to `[selected tokens, hidden]`. */
export function forwardLayers(config: LlamaConfig, x: Tensor, c: ForwardContext): Tensor {
  const { normEpsilon, intermediateSize, layers } = config
  const addAndNorm = c.addAndNorm ?? ((x: Tensor, change: Tensor, weight: Tensor) => {
    const sum = add(x, change)
    return [sum, rmsNorm(sum, weight, normEpsilon)] as const
  })
  let normed = rmsNorm(x, c.norm(0, "attentionNorm"), normEpsilon)
  for (let layer = 0; layer < layers; layer++) {
    const isLast = layer === layers - 1
    let attended = c.attend(c.project(normed, layer, "queryKeyValue"), layer)
    // Nothing looks back at what follows the last attention: only what is asked for is computed.
    if (isLast && c.select !== undefined) [x, attended] = [c.select(x), c.select(attended)]
    const mixed = c.project(attended, layer, "output")
    ;[x, normed] = addAndNorm(x, mixed, c.norm(layer, "feedForwardNorm"))
    const joined = c.project(normed, layer, "gateUp")
    const [gate, up] = split(joined, [intermediateSize, intermediateSize])
    const change = c.project(swiglu(gate, up), layer, "down")
    const next = isLast ? c.finalNorm : c.norm(layer + 1, "attentionNorm")
    ;[x, normed] = addAndNorm(x, change, next)
  }
  return normed
}

/** What attends: `group` query heads share each key-value head. */
export interface Heads {
  /** `[batch, keyValueHeads, group * steps, headSize]`; rows of a group lie head by head. */
  readonly queries: Tensor
  /** `[batch, keyValueHeads, steps, headSize]` */
  readonly keys: Tensor
  /** `[batch, keyValueHeads, steps, headSize]` */
  readonly values: Tensor
}

/** Where the tokens of a pass are. */
export interface Layout {
  /** Rows. */
  readonly batch: Size
  /** New tokens of each row. */
  readonly steps: Size
  /** Rotations by position. */
  readonly rotation: Rotation
}

/**
 * The heads of grouped-query attention (arXiv 2305.13245), rotated, of what `ForwardContext.attend` is
 * given. All heads are laid out by one transposition, and queries and keys rotated by one operation.
 */
export function separateHeads(
  config: LlamaConfig,
  stacked: Tensor,
  { batch, steps, rotation }: Layout,
  norm: (part: Norm) => Tensor,
): Heads {
  const { heads, keyValueHeads, headSize, normEpsilon } = config
  const perHead = transpose(
    reshape(stacked, [batch, steps, heads + 2 * keyValueHeads, headSize]),
    [0, 2, 1, 3],
  )
  const [rotated, values] = config.queryKeyNorm
    ? normedHeads()
    : splitAt(perHead, 1, [heads + keyValueHeads, keyValueHeads])
  const [queries, keys] = splitAt(rotate(rotated, rotation), 1, [heads, keyValueHeads])
  const group = product(steps, heads / keyValueHeads)
  return { queries: reshape(queries, [batch, keyValueHeads, group, headSize]), keys, values }

  function normedHeads(): [queriesAndKeys: Tensor, values: Tensor] {
    const [queries, keys, values] = splitAt(perHead, 1, [heads, keyValueHeads, keyValueHeads])
    return [
      concat([
        rmsNorm(queries, norm("queryNorm"), normEpsilon),
        rmsNorm(keys, norm("keyNorm"), normEpsilon),
      ], 1),
      values,
    ]
  }
}

/** The inverse for mixed values: `[batch, keyValueHeads, group * steps, headSize]` to one row a token. */
export function joinHeads(
  { heads, headSize }: LlamaConfig,
  mixed: Tensor,
  { batch, steps }: Layout,
): Tensor {
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
