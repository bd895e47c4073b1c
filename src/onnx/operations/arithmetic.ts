/**
 * Arithmetic by elements. Two operands are broadcast against each other as in NumPy: shapes are
 * aligned at the end, and a dimension of size 1 is repeated.
 */
import type { Tensor } from "../tape.ts"
import { broadcast, operation, sumTo } from "./_operation.ts"

/**
 * `a + b`, in the shape of both broadcast against each other.
 *
 * @example
 * ```ts
 * import { add, sum, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 16])
 * const bias = tape.variable("bias", [16])
 * const y = add(x, bias)
 * assertEquals(y.shape, [8, 16])
 * // The gradient of what was repeated is summed.
 * assertEquals(tape.gradients(sum(y), [bias])[0].shape, [16])
 * ```
 */
export function add(a: Tensor, b: Tensor): Tensor {
  return operation("Add", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(dy, a) : undefined,
    b.isTracked ? sumTo(dy, b) : undefined,
  ])
}

/**
 * `a - b`, in the shape of both broadcast against each other.
 *
 * @example
 * ```ts
 * import { mean, subtract, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 16])
 * const centred = subtract(x, mean(x, [1]))
 * assertEquals(centred.shape, [8, 16])
 * ```
 */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return operation("Sub", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(dy, a) : undefined,
    b.isTracked ? sumTo(negate(dy), b) : undefined,
  ])
}

/**
 * `a * b` by elements, in the shape of both broadcast against each other.
 *
 * @example
 * ```ts
 * import { multiply, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const logProbs = tape.variable("logProbs", [8, 16])
 * const mask = tape.input("mask", "float32", [8, 16]) // no gradient is asked for
 * assertEquals(multiply(logProbs, mask).shape, [8, 16])
 * ```
 */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return operation("Mul", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(multiply(dy, b), a) : undefined,
    b.isTracked ? sumTo(multiply(dy, a), b) : undefined,
  ])
}

/**
 * `a / b` by elements, in the shape of both broadcast against each other.
 *
 * @example
 * ```ts
 * import { divide, sum, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const logProbs = tape.variable("logProbs", [8, 16])
 * const counts = tape.input("counts", "float32", [8, 1])
 * const perToken = divide(sum(logProbs, [1]), counts)
 * assertEquals(perToken.shape, [8, 1])
 * ```
 */
export function divide(a: Tensor, b: Tensor): Tensor {
  const y: Tensor = operation("Div", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(divide(dy, b), a) : undefined,
    b.isTracked ? sumTo(negate(divide(multiply(dy, y), b)), b) : undefined,
  ])
  return y
}

/**
 * `-x` for each element of `x`, in its shape.
 *
 * @example
 * ```ts
 * import { negate, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * assertEquals(negate(tape.variable("x", [2, 3])).shape, [2, 3])
 * ```
 */
export function negate(x: Tensor): Tensor {
  return operation("Neg", [x], x.shape, (dy) => [negate(dy)])
}

/**
 * `factor * x` for each element of `x`, in its shape; the factor is a constant of the graph.
 *
 * @example
 * ```ts
 * import { scale, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * assertEquals(scale(tape.variable("x", [2, 3]), 0.05).shape, [2, 3])
 * ```
 */
export function scale(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : multiply(x, x.tape.scalar(factor))
}

/**
 * `e^x` for each element of `x`, in its shape.
 *
 * @example
 * ```ts
 * import { exp, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const logRatio = tape.variable("logRatio", [4, 1])
 * assertEquals(exp(logRatio).shape, [4, 1])
 * ```
 */
export function exp(x: Tensor): Tensor {
  const y: Tensor = operation("Exp", [x], x.shape, (dy) => [multiply(dy, y)])
  return y
}

/**
 * The natural logarithm of each element of `x`, in its shape.
 *
 * @example
 * ```ts
 * import { log, multiply, negate, softmax, sum, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const probs = softmax(tape.variable("logits", [4, 10]))
 * const entropy = negate(sum(multiply(probs, log(probs)), [1]))
 * assertEquals(entropy.shape, [4, 1])
 * ```
 */
export function log(x: Tensor): Tensor {
  return operation("Log", [x], x.shape, (dy) => [divide(dy, x)])
}

/**
 * The square root of each element of `x`, in its shape. Its gradient at 0 is infinite.
 *
 * @example
 * ```ts
 * import { multiply, sqrt, sum, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [8, 16])
 * const length = sqrt(sum(multiply(x, x), [1]))
 * assertEquals(length.shape, [8, 1])
 * ```
 */
export function sqrt(x: Tensor): Tensor {
  const y: Tensor = operation("Sqrt", [x], x.shape, (dy) => [divide(scale(dy, 0.5), y)])
  return y
}
