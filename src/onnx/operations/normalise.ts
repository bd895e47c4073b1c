/** Operations over the last dimension: softmax, the likelihood of targets, root-mean-square norm. */
import type { Size, Tensor } from "../tape.ts"
import { operation, sumTo, untracked } from "./_operation.ts"
import { add, divide, exp, multiply, negate, scale, sqrt, subtract } from "./arithmetic.ts"
import { sum } from "./reductions.ts"

/**
 * `e^x / sum e^x` over the last dimension of `x`, in its shape: probabilities from logits.
 *
 * @example
 * ```ts
 * import { softmax, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const scores = tape.variable("scores", [2, 4, 8, 8])
 * assertEquals(softmax(scores).shape, [2, 4, 8, 8])
 * ```
 */
export function softmax(x: Tensor): Tensor {
  const y: Tensor = operation("Softmax", [x], x.shape, (dy) => {
    const weighted = multiply(dy, y)
    return [subtract(weighted, multiply(y, sum(weighted, [x.shape.length - 1])))]
  }, { axis: -1 })
  return y
}

/**
 * The natural log of the probability that `logits [n, vocabulary]` give to `targets [n, 1]`, int64:
 * `[n, 1]`. One operation, so that its gradient, `onehot - softmax`, is two passes over the rows.
 *
 * @example
 * ```ts
 * import { logLikelihood, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const logits = tape.variable("logits", [40, 32])
 * const targets = tape.input("targets", "int64", [40, 1])
 * assertEquals(logLikelihood(logits, targets).shape, [40, 1])
 * ```
 */
export function logLikelihood(logits: Tensor, targets: Tensor): Tensor {
  const { tape, shape } = logits
  const logProbs = untracked("LogSoftmax", [logits], shape, { axis: -1 })
  const rows: Size[] = [shape[0], 1]
  const value = tape.graph.node("GatherElements", [logProbs.value, targets.value], { axis: 1 })
  return tape.record([logits], [{ value, shape: rows }], ([dy]) => {
    const others = multiply(exp(logProbs), negate(dy!))
    return [
      // Added to existing entries one by one: ScatterND would lose sums on several threads.
      untracked("ScatterElements", [others, targets, dy!], shape, { axis: 1, reduction: "add" }),
    ]
  })[0]
}

/**
 * Root-mean-square norm (arXiv 1910.07467): `x / sqrt(mean x^2 + epsilon) * weight` over the last
 * dimension of `x`, in its shape; `weight` has the size of that dimension.
 *
 * @example
 * ```ts
 * import { rmsNorm, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const x = tape.variable("x", [40, 16])
 * const weight = tape.variable("weight", [16])
 * assertEquals(rmsNorm(x, weight, 1e-5).shape, [40, 16])
 * ```
 */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const { tape } = x
  const last = x.shape.length - 1
  return operation("SimplifiedLayerNormalization", [x, weight], x.shape, (dy) => {
    const size = x.shape[last] as number
    const perRow = x.shape.map((n, i) => i === last ? 1 : n)
    const over = tape.graph.integers([last])
    const squares = untracked("ReduceSumSquare", [x, over], perRow, { keepdims: 1 })
    const root = sqrt(add(scale(squares, 1 / size), tape.scalar(epsilon)))
    const normed = divide(x, root)
    const dNormed = multiply(dy, weight)
    const along = scale(sum(multiply(dNormed, normed), [last]), 1 / size)
    return [
      x.isTracked ? divide(subtract(dNormed, multiply(normed, along)), root) : undefined,
      weight.isTracked ? sumTo(multiply(dy, normed), weight) : undefined,
    ]
  }, { axis: -1, epsilon: { float: epsilon } })
}
