/** Non-linear functions by elements. */
import type { Tensor } from "../tape.ts"
import { operation, untracked } from "./_operation.ts"
import { add, multiply, subtract } from "./arithmetic.ts"

/** `1 / (1 + e^-x)` */
export function sigmoid(x: Tensor): Tensor {
  const y: Tensor = operation("Sigmoid", [x], x.shape, (dy) => [
    multiply(dy, multiply(y, subtract(x.tape.scalar(1), y))),
  ])
  return y
}

/** `log(1 + e^x)`; `softplus(-x)` is `-log sigmoid(x)`, exact where x is far below 0. */
export function softplus(x: Tensor): Tensor {
  return operation("Softplus", [x], x.shape, (dy) => [multiply(dy, sigmoid(x))])
}

/** `max(x, 0)`; its gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return operation("Relu", [x], x.shape, (dy) => [multiply(dy, greater(x, x.tape.scalar(0)))])
}

/** 1 where `a > b`, 0 elsewhere; no gradient passes. */
export function greater(a: Tensor, b: Tensor): Tensor {
  const isGreater = untracked("Greater", [a, b], a.shape)
  return untracked("Cast", [isGreater], a.shape, { to: 1 })
}

/** The gated unit of Llama's feed-forward layers (arXiv 2002.05202): `gate * sigmoid(gate) * up`. */
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
