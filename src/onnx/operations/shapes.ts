/** Operations that move elements and compute nothing. */
import { sameSize, type Size, staticShape, type Tensor } from "../tape.ts"
import { broadcast, checkAxes, operation, sumTo, untracked } from "./_operation.ts"

/**
 * The same elements in the same order (row-major) under another `shape` of as many elements.
 *
 * @example
 * ```ts
 * import { reshape, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [40, 16])
 * assertEquals(reshape(x, [4, 10, 2, 8]).shape, [4, 10, 2, 8])
 * ```
 */
export function reshape(x: Tensor, shape: readonly Size[]): Tensor {
  return operation(
    "Reshape",
    [x, x.tape.tensor(targetShape(x, shape), [shape.length])],
    shape,
    (dy) => [reshape(dy, staticShape(x))],
  )
}

/** The target of a reshape; of dynamic sizes those that stay are copied, and one other is inferred. */
function targetShape({ tape, shape: from }: Tensor, to: readonly Size[]): string {
  const isStaying = (size: Size, i: number) => i < from.length && sameSize(size, from[i])
  const inferred = to.filter((size, i) => typeof size !== "number" && !isStaying(size, i))
  if (inferred.length > 1) return tape.shapeValue(to)
  return tape.graph.integers(
    to.map((size, i) => typeof size === "number" ? size : isStaying(size, i) ? 0 : -1),
  )
}

/**
 * The dimensions of `x` in another order: dimension `i` of the result is `order[i]` of `x`.
 *
 * @example
 * ```ts
 * import { Tape, transpose } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [4, 10, 2, 8])
 * assertEquals(transpose(x, [0, 2, 1, 3]).shape, [4, 2, 10, 8])
 * ```
 */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  checkAxes(x, order)
  const inverse = order.map((_, i) => order.indexOf(i))
  const shape = order.map((i) => x.shape[i])
  return operation("Transpose", [x], shape, (dy) => [transpose(dy, inverse)], { perm: order })
}

/**
 * Cuts `x` into pieces of these sizes along the last dimension; their sum is its size.
 *
 * @example
 * ```ts
 * import { split, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 5])
 * assertEquals(split(x, [2, 3]).map(({ shape }) => shape), [[8, 2], [8, 3]])
 * ```
 */
export function split(x: Tensor, sizes: readonly number[]): Tensor[] {
  return splitAt(x, x.shape.length - 1, sizes)
}

/**
 * Cuts `x` into pieces of these sizes along dimension `axis`, counted from 0; their sum is its size.
 *
 * @example
 * ```ts
 * import { splitAt, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const rows = tape.variable("rows", [8, 5])
 * const [chosen, rejected] = splitAt(rows, 0, [4, 4])
 * assertEquals([chosen.shape, rejected.shape], [[4, 5], [4, 5]])
 * ```
 */
export function splitAt(x: Tensor, axis: number, sizes: readonly number[]): Tensor[] {
  checkAxes(x, [axis])
  const { tape } = x
  const values = tape.graph.nodes(
    "Split",
    [x.value, tape.graph.integers(sizes)],
    sizes.length,
    { axis },
  )
  const outputs = values.map((value, part) => ({
    value,
    shape: x.shape.map((size, i) => i === axis ? sizes[part] : size),
  }))
  return tape.record([x], outputs, (gradients) => {
    const pieces = gradients.map((dy, i) => dy ?? zeros(x, staticShape(outputs[i])))
    return [concat(pieces, axis)]
  })
}

/**
 * Joins tensors along dimension `axis`, counted from 0; their other dimensions are the same.
 *
 * @example
 * ```ts
 * import { concat, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const [a, b] = [tape.variable("a", [8, 2]), tape.variable("b", [8, 3])]
 * assertEquals(concat([a, b], 1).shape, [8, 5])
 * ```
 */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  checkAxes(parts[0], [axis])
  if (parts.length === 1) return parts[0]
  const sizes = () => parts.map((part) => staticShape(part)[axis])
  const shape = parts[0].shape.map((size, i) =>
    i === axis && parts.every((part) => typeof part.shape[axis] === "number")
      ? parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0)
      : size
  )
  return operation("Concat", parts, shape, (dy) => splitAt(dy, axis, sizes()), { axis })
}

/**
 * Repeats dimensions of size 1, and adds dimensions in front, up to a shape.
 *
 * @example
 * ```ts
 * import { expand, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [4, 1])
 * assertEquals(expand(x, [2, 4, 3]).shape, [2, 4, 3])
 * ```
 */
export function expand(x: Tensor, shape: readonly number[]): Tensor {
  const { tape } = x
  const target = tape.tensor(tape.graph.integers(shape), [shape.length])
  return operation("Expand", [x, target], broadcast(x.shape, shape), (dy) => [sumTo(dy, x)])
}

/**
 * Zeros of a shape, on the tape of another tensor.
 *
 * @example
 * ```ts
 * import { concat, Tape, zeros } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 2])
 * assertEquals(concat([x, zeros(x, [8, 3])], 1).shape, [8, 5])
 * ```
 */
export function zeros({ tape }: Tensor, shape: readonly Size[]): Tensor {
  return untracked("Expand", [tape.scalar(0), tape.shapeValue(shape)], shape)
}
