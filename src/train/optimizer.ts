/**
 * AdamW (arXiv 1711.05101): Adam with weight decay that is decoupled from the gradient, over one flat
 * array. Plain loops; the arithmetic is rounded to float32 where the state is stored, and uses no
 * function whose last bit differs between engines.
 */
import type { Variable } from "./trainable.ts"

/** The optimiser's settings, but for the learning rate of a step. */
export interface AdamWOptions {
  /** Decay rates of the running means of the gradient and of its square. */
  readonly betas: readonly [number, number]
  readonly epsilon: number
  /** Of matrices, for each step and unit of learning rate; norms and biases do not decay. */
  readonly weightDecay: number
}

/** The optimiser's state beside the weights. */
export class AdamW {
  /** Running mean of the gradient. */
  readonly mean: Float32Array<ArrayBuffer>
  /** Running mean of its square. */
  readonly square: Float32Array<ArrayBuffer>
  readonly #variables: readonly Variable[]
  readonly #options: AdamWOptions

  constructor(variables: readonly Variable[], options: AdamWOptions) {
    const size = variables.reduce((sum, { values }) => sum + values.length, 0)
    this.mean = new Float32Array(size)
    this.square = new Float32Array(size)
    this.#variables = variables
    this.#options = options
  }

  /** One step; `step` counts from 1, `gradient` is scaled by `factor` first. */
  step(gradient: Float32Array, step: number, learningRate: number, factor = 1): void {
    const { betas: [beta1, beta2], epsilon, weightDecay } = this.#options
    const { mean, square } = this
    const meanCorrection = 1 / (1 - power(beta1, step))
    const squareCorrection = 1 / (1 - power(beta2, step))
    let at = 0
    for (const { values, decays } of this.#variables) {
      const kept = decays ? 1 - learningRate * weightDecay : 1
      for (let i = 0; i < values.length; i++, at++) {
        const g = gradient[at] * factor
        const m = mean[at] = beta1 * mean[at] + (1 - beta1) * g
        const s = square[at] = beta2 * square[at] + (1 - beta2) * g * g
        const change = (m * meanCorrection) / (Math.sqrt(s * squareCorrection) + epsilon)
        values[i] = kept * values[i] - learningRate * change
      }
    }
  }
}

/** The Euclidean norm of a gradient; NaN or infinite where an element is. */
export function gradientNorm(gradient: Float32Array): number {
  let sum = 0
  for (let i = 0; i < gradient.length; i++) sum += gradient[i] * gradient[i]
  return Math.sqrt(sum)
}

/** `base^exponent` for a whole exponent by squaring: `Math.pow` may differ in the last bit. */
function power(base: number, exponent: number): number {
  let result = 1
  for (
    let square = base, rest = exponent;
    rest > 0;
    rest = Math.floor(rest / 2), square *= square
  ) {
    if (rest % 2 === 1) result *= square
  }
  return result
}
