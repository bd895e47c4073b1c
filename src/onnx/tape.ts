/**
 * Reverse-mode automatic differentiation that writes ONNX. Operations (`operations/`) add nodes to a
 * graph and record on a tape how a gradient passes back through them; `gradients` walks the tape
 * from its end and adds the nodes that compute the gradients. What runs is one plain ONNX graph.
 *
 * Nothing is recorded for what no gradient can reach, so the same operations also write the graphs
 * of inference, whose dimensions need not be known before the graph runs.
 */
import { type Dimension, type ElementType, GraphBuilder, type Value } from "./graph_builder.ts"

/** A dimension that is known only when the graph runs. */
export interface DynamicSize {
  /** Names it in the shapes of inputs and outputs. */
  readonly name: string
  /** A list of one number; absent for a size that only a reshape can infer. */
  readonly value?: Value
}

/** The size of one dimension. */
export type Size = number | DynamicSize

/** A value of a graph with its shape. */
export interface Tensor {
  /** Where it is computed. */
  readonly tape: Tape
  /** Its name in the graph. */
  readonly value: Value
  /** Its dimensions, outermost first. */
  readonly shape: readonly Size[]
  /** Whether gradients pass through it to a variable. */
  readonly isTracked: boolean
}

/**
 * How gradients pass back through one operation: in come those of its outputs, `undefined` for one that
 * the loss does not depend on; out go those of its inputs, `undefined` for one that has none.
 */
export type Backward = (
  gradients: readonly (Tensor | undefined)[],
) => readonly (Tensor | undefined)[]

interface Step {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
  readonly backward: Backward
}

/** A graph under construction that can be differentiated. */
export class Tape {
  /** Where the nodes go. */
  readonly graph: GraphBuilder
  readonly #steps: Step[] = []
  readonly #shapes = new Map<string, Value>()
  #isRecording = true

  /** A tape that writes into `graph`. */
  constructor(graph: GraphBuilder = new GraphBuilder()) {
    this.graph = graph
  }

  /** An input of the graph that is no variable: no gradient is asked for. */
  input(name: string, type: ElementType, shape: readonly Size[]): Tensor {
    return this.tensor(this.graph.input(name, type, shape.map(dimensionOf)), shape)
  }

  /** An input of the graph whose gradient can be asked for. */
  variable(name: string, shape: readonly number[]): Tensor {
    const value = this.graph.input(name, "float32", shape)
    return { tape: this, value, shape, isTracked: true }
  }

  /** A constant float of no dimensions. */
  scalar(value: number): Tensor {
    return this.tensor(this.graph.scalar(value), [])
  }

  /** A float32 weight or table that is part of the graph. */
  weight(name: string, shape: readonly number[], data: Float32Array): Tensor {
    return this.tensor(this.graph.weight(name, "float32", shape, data), shape)
  }

  /** A value that the graph has already, as a tensor no gradient passes through. */
  tensor(value: Value, shape: readonly Size[]): Tensor {
    return { tape: this, value, shape, isTracked: false }
  }

  /** Declares a tensor as an output of the graph. */
  output(name: string, x: Tensor): void {
    this.graph.node("Identity", [x.value], {}, name)
    this.graph.output(name, "float32", x.shape.map(dimensionOf))
  }

  /**
   * Adds what an operation has computed. `backward` is called once, with the gradients of the
   * outputs that have one, and only when some input is tracked.
   */
  record(
    inputs: readonly Tensor[],
    outputs: readonly { readonly value: Value; readonly shape: readonly Size[] }[],
    backward: Backward,
  ): Tensor[] {
    const isTracked = this.#isRecording && inputs.some((input) => input.isTracked)
    const tensors = outputs.map((output): Tensor => ({ tape: this, ...output, isTracked }))
    if (isTracked) this.#steps.push({ inputs, outputs: tensors, backward })
    return tensors
  }

  /**
   * The gradients of a `loss` of one element, one for each of `variables` and of its shape; zeros for
   * one that the loss does not depend on. The tape ends here: what operations compute from now on is
   * not recorded, so that no gradient has a gradient.
   */
  gradients(loss: Tensor, variables: readonly Tensor[]): Tensor[] {
    if (!loss.shape.every((size) => size === 1)) {
      throw new TypeError(
        `expected a loss of one element, found one of shape [${
          loss.shape.map(dimensionOf)
        }]: take ` +
          "its sum or mean",
      )
    }
    this.#isRecording = false
    const found = new Map<Value, Tensor>([[loss.value, this.#filled(1, loss.shape)]])
    for (const { inputs, outputs, backward } of this.#steps.toReversed()) {
      const given = outputs.map(({ value }) => found.get(value))
      if (given.every((gradient) => gradient === undefined)) continue
      backward(given).forEach((gradient, i) => {
        const input = inputs[i]
        if (gradient === undefined || !input.isTracked) return
        const known = found.get(input.value)
        found.set(input.value, known === undefined ? gradient : this.#sum(known, gradient))
      })
    }
    return variables.map(({ value, shape }) => found.get(value) ?? this.#filled(0, shape))
  }

  /** A shape as a list of integers in the graph. */
  shapeValue(shape: readonly Size[]): Value {
    if (shape.every((size) => typeof size === "number")) return this.graph.integers(shape)
    const key = shape.map((size) => typeof size === "number" ? size : size.name).join(",")
    const known = this.#shapes.get(key)
    if (known !== undefined) return known
    const parts = shape.map((size) => {
      if (typeof size === "number") return this.graph.integers([size])
      if (size.value === undefined) {
        throw new TypeError(`internal: the size ${size.name} is unknown`)
      }
      return size.value
    })
    const value = this.graph.node("Concat", parts, { axis: 0 })
    this.#shapes.set(key, value)
    return value
  }

  #filled(value: number, shape: readonly Size[]): Tensor {
    const filled = this.graph.node("Expand", [this.graph.scalar(value), this.shapeValue(shape)])
    return this.tensor(filled, shape)
  }

  #sum(a: Tensor, b: Tensor): Tensor {
    return this.tensor(this.graph.node("Add", [a.value, b.value]), a.shape)
  }
}

function dimensionOf(size: Size): Dimension {
  return typeof size === "number" ? size : size.name
}

/** The shape of a tensor all of whose sizes are known, as every tensor's with a gradient must be. */
export function staticShape({ value, shape }: Pick<Tensor, "value" | "shape">): number[] {
  return shape.map((size) => {
    if (typeof size === "number") return size
    throw new TypeError(`internal: ${value} has a gradient, and a dynamic size ${size.name}`)
  })
}

/** Whether two sizes are known to be the same. */
export function sameSize(a: Size, b: Size): boolean {
  return typeof a === "number" || typeof b === "number" ? a === b : a.name === b.name
}
