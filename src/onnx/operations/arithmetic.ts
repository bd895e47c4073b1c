/** Arithmetic by elements; two operands are broadcast against each other. */
import type { Tensor } from "../tape.ts"
import { broadcast, operation, sumTo } from "./_operation.ts"

/** `a + b` */
export function add(a: Tensor, b: Tensor): Tensor {
  return operation("Add", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(dy, a) : undefined,
    b.isTracked ? sumTo(dy, b) : undefined,
  ])
}

/** `a - b` */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return operation("Sub", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(dy, a) : undefined,
    b.isTracked ? sumTo(negate(dy), b) : undefined,
  ])
}

/** `a * b` */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return operation("Mul", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(multiply(dy, b), a) : undefined,
    b.isTracked ? sumTo(multiply(dy, a), b) : undefined,
  ])
}

/** `a / b` */
export function divide(a: Tensor, b: Tensor): Tensor {
  const y: Tensor = operation("Div", [a, b], broadcast(a.shape, b.shape), (dy) => [
    a.isTracked ? sumTo(divide(dy, b), a) : undefined,
    b.isTracked ? sumTo(negate(divide(multiply(dy, y), b)), b) : undefined,
  ])
  return y
}

/** `-x` */
export function negate(x: Tensor): Tensor {
  return operation("Neg", [x], x.shape, (dy) => [negate(dy)])
}

/** `factor * x` */
export function scale(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : multiply(x, x.tape.scalar(factor))
}

/** `e^x` */
export function exp(x: Tensor): Tensor {
  const y: Tensor = operation("Exp", [x], x.shape, (dy) => [multiply(dy, y)])
  return y
}

/** The natural logarithm. */
export function log(x: Tensor): Tensor {
  return operation("Log", [x], x.shape, (dy) => [divide(dy, x)])
}

/** The square root. */
export function sqrt(x: Tensor): Tensor {
  const y: Tensor = operation("Sqrt", [x], x.shape, (dy) => [divide(scale(dy, 0.5), y)])
  return y
}
