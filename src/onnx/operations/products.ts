/** Matrix products. */
import { sameSize, type Size, type Tensor } from "../tape.ts"
import { operation, sumTo, untracked } from "./_operation.ts"

/**
 * `x [n, in]` times the transposed `weight [out, in]`, plus `bias [out]` where there is one: `[n, out]`.
 *
 * @example
 * ```ts
 * import { linear, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [40, 16])
 * const weight = tape.variable("weight", [24, 16])
 * const bias = tape.variable("bias", [24])
 * assertEquals(linear(x, weight, bias).shape, [40, 24])
 * ```
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const inputs = bias === undefined ? [x, weight] : [x, weight, bias]
  return operation("Gemm", inputs, [x.shape[0], weight.shape[0]], (dy) => [
    x.isTracked ? untracked("Gemm", [dy, weight], x.shape) : undefined,
    weight.isTracked ? untracked("Gemm", [dy, x], weight.shape, { transA: 1 }) : undefined,
    bias?.isTracked ? sumTo(dy, bias) : undefined,
  ], { transB: 1 })
}

/** How the matrices of a product are taken, for `matmul`. */
export interface MatmulOptions {
  /** Whether the last two dimensions of `b` are exchanged. */
  readonly transposed?: boolean
  /** Multiplies the result; 1 where absent. */
  readonly scale?: number
}

/**
 * The products of the matrices in the last two dimensions, one for each index of the others: `a [..., n,
 * k]` times `b [..., k, m]`, or `b [..., m, k]` where transposed, is `[..., n, m]`. The other dimensions
 * are the same in both: they are not broadcast.
 *
 * @example
 * ```ts
 * import { matmul, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const queries = tape.variable("queries", [2, 4, 10, 8])
 * const keys = tape.variable("keys", [2, 4, 10, 8])
 * const scores = matmul(queries, keys, { transposed: true, scale: 1 / Math.sqrt(8) })
 * assertEquals(scores.shape, [2, 4, 10, 10])
 * ```
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposed = false, scale = 1 } = options
  const rank = a.shape.length
  const leading = a.shape.slice(0, -2)
  if (b.shape.length !== rank || !leading.every((size, i) => sameSize(size, b.shape[i]))) {
    throw new TypeError(
      "matmul takes two stacks of matrices whose other dimensions are the same: expand one of them",
    )
  }
  const columns: Size = b.shape[transposed ? rank - 2 : rank - 1]
  const product = (x: Tensor, y: Tensor, transA: boolean, transB: boolean, like: Tensor) =>
    untracked("com.microsoft:FusedMatMul", [x, y], like.shape, {
      alpha: { float: scale },
      transA: transA ? 1 : 0,
      transB: transB ? 1 : 0,
    })
  const shape = [...a.shape.slice(0, -1), columns]
  const backward = (dy: Tensor) => [
    a.isTracked ? product(dy, b, false, !transposed, a) : undefined,
    b.isTracked
      ? (transposed ? product(dy, a, true, false, b) : product(a, dy, true, false, b))
      : undefined,
  ]
  if (!transposed && scale === 1) return operation("MatMul", [a, b], shape, backward)
  return operation("com.microsoft:FusedMatMul", [a, b], shape, backward, {
    alpha: { float: scale },
    transB: transposed ? 1 : 0,
  })
}
