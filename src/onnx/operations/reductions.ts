/** Sums and means over dimensions, which stay with size 1. */
import { staticShape, type Tensor } from "../tape.ts"
import { operation, untracked } from "./_operation.ts"
import { scale } from "./arithmetic.ts"

/** The sum over some dimensions; over all where none is named. */
export function sum(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => i)): Tensor {
  const { tape } = x
  const shape = x.shape.map((size, i) => axes.includes(i) ? 1 : size)
  const over = tape.tensor(tape.graph.integers(axes), [axes.length])
  return operation("ReduceSum", [x, over], shape, (dy) => {
    const full = staticShape(x)
    return [untracked("Expand", [dy, tape.graph.integers(full)], full)]
  }, { keepdims: 1 })
}

/** The mean over some dimensions; over all where none is named. */
export function mean(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => i)): Tensor {
  const shape = staticShape(x)
  return scale(sum(x, axes), 1 / axes.reduce((count, axis) => count * shape[axis], 1))
}
