/**
 * Writing computations that can be differentiated: operations on tensors that become one ONNX
 * graph, with their gradients. Training objectives are written with them (`genarm/plugin`).
 *
 * @example
 * ```ts
 * import { multiply, sum, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [3])
 * const loss = sum(multiply(x, x))
 * const [gradient] = tape.gradients(loss, [x])
 * tape.output("gradient", gradient) // 2 * x
 * assertEquals(gradient.shape, [3])
 * ```
 *
 * @module
 */
export { greater, relu, sigmoid, softplus, swiglu } from "./operations/activations.ts"
export {
  add,
  divide,
  exp,
  log,
  multiply,
  negate,
  scale,
  sqrt,
  subtract,
} from "./operations/arithmetic.ts"
export { lookup } from "./operations/lookup.ts"
export { logLikelihood, rmsNorm, softmax } from "./operations/normalise.ts"
export { rotate, type Rotation } from "./operations/positions.ts"
export { linear, matmul, type MatmulOptions } from "./operations/products.ts"
export { mean, sum } from "./operations/reductions.ts"
export { concat, expand, reshape, split, splitAt, transpose, zeros } from "./operations/shapes.ts"
export type { Attribute, Dimension, ElementType, EncodedModel, Value } from "./graph_builder.ts"
export { GraphBuilder } from "./graph_builder.ts"
export { type Backward, type DynamicSize, type Size, Tape, type Tensor } from "./tape.ts"
