/** Rotary position embedding (RoPE, arXiv 2104.09864). */
import type { Tensor } from "../tape.ts"
import { operation } from "./_operation.ts"
import { negate } from "./arithmetic.ts"

/** Rotations by position, for `rotate`; no gradient passes to them. */
export interface Rotation {
  /** `[batch, steps]` int64, or `[1]` holding the position of every row's first step. */
  readonly positions: Tensor
  /** Cosines, `[positions, headSize / 2]`. */
  readonly cos: Tensor
  /** Sines, `[positions, headSize / 2]`. */
  readonly sin: Tensor
}

/**
 * Rotates each head of `x [batch, heads, steps, headSize]` by its position, in the shape of `x`: element
 * `i` of the first half with element `i` of the second, by the angle whose cosine and sine the tables
 * give. The gradient is rotated back, by the negative sine.
 *
 * @example
 * ```ts
 * import { rotate, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const angles = Array.from({ length: 10 }, (_, position) => [position, position / 100]).flat()
 * const x = tape.variable("x", [2, 4, 10, 4])
 * const rotated = rotate(x, {
 *   positions: tape.tensor(tape.graph.integers([0]), [1]), // that of the first step
 *   cos: tape.weight("cos", [10, 2], Float32Array.from(angles, Math.cos)),
 *   sin: tape.weight("sin", [10, 2], Float32Array.from(angles, Math.sin)),
 * })
 * assertEquals(rotated.shape, [2, 4, 10, 4])
 * ```
 */
export function rotate(x: Tensor, { positions, cos, sin }: Rotation): Tensor {
  return operation(
    "com.microsoft:RotaryEmbedding",
    [x, positions, cos, sin],
    x.shape,
    (dy) => [rotate(dy, { positions, cos, sin: negate(sin) })],
  )
}
