/** Operations that move elements and compute nothing. */
import { sameSize, type Size, staticShape, type Tensor } from "../tape.ts"
import { broadcast, operation, sumTo, untracked } from "./_operation.ts"

/** The same elements in the same order under another shape. */
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

/** Dimensions in another order: dimension `i` of the result is `order[i]` of `x`. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  const inverse = order.map((_, i) => order.indexOf(i))
  const shape = order.map((i) => x.shape[i])
  return operation("Transpose", [x], shape, (dy) => [transpose(dy, inverse)], { perm: order })
}

/** Cuts a tensor into pieces of these sizes along the last dimension. */
export function split(x: Tensor, sizes: readonly number[]): Tensor[] {
  return splitAt(x, x.shape.length - 1, sizes)
}

/** Cuts a tensor into pieces of these sizes along a dimension. */
export function splitAt(x: Tensor, axis: number, sizes: readonly number[]): Tensor[] {
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

/** Joins tensors along a dimension. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 1) return parts[0]
  const sizes = () => parts.map((part) => staticShape(part)[axis])
  const shape = parts[0].shape.map((size, i) =>
    i === axis && parts.every((part) => typeof part.shape[axis] === "number")
      ? parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0)
      : size
  )
  return operation("Concat", parts, shape, (dy) => splitAt(dy, axis, sizes()), { axis })
}

/** Repeats dimensions of size 1 up to a shape. */
export function expand(x: Tensor, shape: readonly number[]): Tensor {
  const { tape } = x
  const target = tape.tensor(tape.graph.integers(shape), [shape.length])
  return operation("Expand", [x, target], broadcast(x.shape, shape), (dy) => [sumTo(dy, x)])
}

/** A tensor of zeros on the tape of another. */
export function zeros({ tape }: Tensor, shape: readonly Size[]): Tensor {
  return untracked("Expand", [tape.scalar(0), tape.shapeValue(shape)], shape)
}
