/** Rotary position embedding (RoPE, arXiv 2104.09864). */
import type { Tensor } from "../tape.ts"
import { operation } from "./_operation.ts"
import { negate } from "./arithmetic.ts"

/** Rotations by position. */
export interface Rotation {
  /** `[batch, steps]` int64, or `[1]` holding the position of the first step. */
  readonly positions: Tensor
  /** `[positions, headSize / 2]` */
  readonly cos: Tensor
  /** `[positions, headSize / 2]` */
  readonly sin: Tensor
}

/** Rotates the halves of each head of `x [batch, heads, steps, headSize]`; back by the negative sine. */
export function rotate(x: Tensor, { positions, cos, sin }: Rotation): Tensor {
  return operation(
    "com.microsoft:RotaryEmbedding",
    [x, positions, cos, sin],
    x.shape,
    (dy) => [rotate(dy, { positions, cos, sin: negate(sin) })],
  )
}
