/** Non-linear functions by elements. */
import type { Tensor } from "../tape.ts"
import { broadcast, operation, untracked } from "./_operation.ts"
import { add, multiply, subtract } from "./arithmetic.ts"

/**
 * `1 / (1 + e^-x)` for each element of `x`, in its shape.
 *
 * @example
 * ```ts
 * import { sigmoid, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [2, 3])
 * assertEquals(sigmoid(x).shape, [2, 3])
 * ```
 */
export function sigmoid(x: Tensor): Tensor {
  const y: Tensor = operation("Sigmoid", [x], x.shape, (dy) => [
    multiply(dy, multiply(y, subtract(x.tape.scalar(1), y))),
  ])
  return y
}

/**
 * `log(1 + e^x)` for each element of `x`, in its shape. `softplus(-x)` is `-log sigmoid(x)`, and right
 * where `x` is so far below 0 that the sigmoid is 0.
 *
 * @example
 * ```ts
 * import { negate, softplus, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const margin = tape.variable("margin", [4, 1])
 * const loss = softplus(negate(margin)) // -log sigmoid(margin)
 * assertEquals(loss.shape, [4, 1])
 * ```
 */
export function softplus(x: Tensor): Tensor {
  return operation("Softplus", [x], x.shape, (dy) => [multiply(dy, sigmoid(x))])
}

/**
 * `max(x, 0)` for each element of `x`, in its shape; the gradient at 0 is 0.
 *
 * @example
 * ```ts
 * import { relu, subtract, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const margin = tape.variable("margin", [4, 1])
 * const hinge = relu(subtract(tape.scalar(1), margin))
 * assertEquals(hinge.shape, [4, 1])
 * ```
 */
export function relu(x: Tensor): Tensor {
  return operation("Relu", [x], x.shape, (dy) => [multiply(dy, greater(x, x.tape.scalar(0)))])
}

/**
 * 1 where `a > b` and 0 elsewhere, as float32, in the shape of both broadcast against each other. No
 * gradient passes.
 *
 * @example
 * ```ts
 * import { greater, mean, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const [chosen, rejected] = [tape.variable("chosen", [4, 1]), tape.variable("rejected", [4, 1])]
 * const accuracy = mean(greater(chosen, rejected))
 * assertEquals(accuracy.shape, [1, 1])
 * ```
 */
export function greater(a: Tensor, b: Tensor): Tensor {
  const shape = broadcast(a.shape, b.shape)
  return untracked("Cast", [untracked("Greater", [a, b], shape)], shape, { to: 1 })
}

/**
 * The gated unit of Llama's feed-forward layers (arXiv 2002.05202): `gate * sigmoid(gate) * up` for each
 * element of `gate` and of `up`, which have one shape.
 *
 * @example
 * ```ts
 * import { split, swiglu, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const joined = tape.variable("joined", [8, 2 * 24])
 * const [gate, up] = split(joined, [24, 24])
 * assertEquals(swiglu(gate, up).shape, [8, 24])
 * ```
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  const { tape, shape } = gate
  const s = untracked("Sigmoid", [gate], shape)
  const silu = untracked("Mul", [gate, s], shape)
  const value = tape.graph.node("Mul", [silu.value, up.value])
  return tape.record([gate, up], [{ value, shape }], ([dy]) => {
    // d silu = s + silu * (1 - s)
    const slope = add(s, subtract(silu, multiply(silu, s)))
    return [multiply(multiply(dy!, up), slope), multiply(dy!, silu)]
  })[0]
}
