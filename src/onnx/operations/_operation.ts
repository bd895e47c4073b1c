/** What operations share: one node that computes one tensor, and gradients of broadcast inputs. */
import type { Attribute } from "../graph_builder.ts"
import { sameSize, type Size, staticShape, type Tensor } from "../tape.ts"

/** One node with one output and its gradient. */
export function operation(
  operator: string,
  inputs: readonly Tensor[],
  shape: readonly Size[],
  backward: (gradient: Tensor) => readonly (Tensor | undefined)[],
  attributes: Readonly<Record<string, Attribute>> = {},
): Tensor {
  const { tape } = inputs[0]
  const value = tape.graph.node(operator, inputs.map((input) => input.value), attributes)
  return tape.record(inputs, [{ value, shape }], ([gradient]) => backward(gradient!))[0]
}

/** A node whose result passes no gradient on: part of a gradient itself, or integers. */
export function untracked(
  operator: string,
  inputs: readonly (Tensor | string)[],
  shape: readonly Size[],
  attributes: Readonly<Record<string, Attribute>> = {},
): Tensor {
  const { tape } = inputs.find((input) => typeof input !== "string") as Tensor
  const names = inputs.map((input) => typeof input === "string" ? input : input.value)
  return tape.tensor(tape.graph.node(operator, names, attributes), shape)
}

/** The shape of two tensors broadcast against each other, as NumPy does. */
export function broadcast(a: readonly Size[], b: readonly Size[]): Size[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const x = a[a.length - rank + i] ?? 1
    const y = b[b.length - rank + i] ?? 1
    if (x === 1) return y
    if (y === 1 || sameSize(x, y)) return x
    throw new TypeError(`shapes [${a.map(print)}] and [${b.map(print)}] do not broadcast`)
  })
}

/** Sums a gradient over the dimensions along which an input of this shape was broadcast. */
export function sumTo(gradient: Tensor, target: Pick<Tensor, "value" | "shape">): Tensor {
  const from = staticShape(gradient)
  const to = staticShape(target)
  const added = from.length - to.length
  const axes = from.flatMap((size, i) =>
    i < added || (to[i - added] === 1 && size !== 1) ? [i] : []
  )
  if (axes.length === 0) return gradient
  const { tape } = gradient
  const kept = from.map((size, i) => axes.includes(i) ? 1 : size)
  const sum = untracked("ReduceSum", [gradient, tape.graph.integers(axes)], kept, { keepdims: 1 })
  return added === 0 ? sum : untracked("Reshape", [sum, tape.graph.integers(to)], to)
}

/** Refuses dimensions that a tensor has not: they are counted from 0. */
export function checkAxes(x: Tensor, axes: readonly number[]): void {
  const { length } = x.shape
  const wrong = axes.find((axis) => !Number.isInteger(axis) || axis < 0 || axis >= length)
  if (wrong === undefined) return
  throw new RangeError(
    `expected dimensions of [${x.shape.map(print)}], from 0 to ${length - 1}, found ${wrong}`,
  )
}

function print(size: Size): string {
  return typeof size === "number" ? String(size) : size.name
}
