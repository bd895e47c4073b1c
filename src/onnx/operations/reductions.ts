/** Sums and means over dimensions, which stay with size 1. */
import { staticShape, type Tensor } from "../tape.ts"
import { checkAxes, operation, untracked } from "./_operation.ts"
import { scale } from "./arithmetic.ts"

/**
 * The sum over some dimensions of `x`, counted from 0, which stay with size 1; over all of them where
 * `axes` is absent.
 *
 * @example
 * ```ts
 * import { sum, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 16])
 * assertEquals(sum(x, [1]).shape, [8, 1])
 * assertEquals(sum(x).shape, [1, 1])
 * ```
 */
export function sum(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => i)): Tensor {
  checkAxes(x, axes)
  if (axes.length === 0) return x // ONNX would sum over all
  const { tape } = x
  const shape = x.shape.map((size, i) => axes.includes(i) ? 1 : size)
  const over = tape.tensor(tape.graph.integers(axes), [axes.length])
  return operation("ReduceSum", [x, over], shape, (dy) => {
    const full = staticShape(x)
    return [untracked("Expand", [dy, tape.graph.integers(full)], full)]
  }, { keepdims: 1 })
}

/**
 * The mean over some dimensions of `x`, counted from 0, which stay with size 1; over all of them where
 * `axes` is absent. In a loss of a batch, use the batch's own `mean`: it knows what only fills up.
 *
 * @example
 * ```ts
 * import { mean, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 16])
 * assertEquals(mean(x, [0]).shape, [1, 16])
 * assertEquals(mean(x).shape, [1, 1])
 * ```
 */
export function mean(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => i)): Tensor {
  checkAxes(x, axes)
  const shape = staticShape(x)
  return scale(sum(x, axes), 1 / axes.reduce((count, axis) => count * shape[axis], 1))
}
