/**
 * Telling a training that has diverged from one that is only noisy. It has when the gradient or a loss
 * is no number, or when the running mean of the loss is above three times the mean of the first steps,
 * and by more than 3: losses that begin near 0 are soon many times that. In the running mean a step has
 * a weight of 0.1, so that it takes a few bad ones, or one beyond all measure: a model that was thrown
 * far may settle at a loss near chance.
 */
import { GenArmError } from "../errors.ts"

const smoothing = 0.1
const firstSteps = 10

/** What is remembered of the losses so far. */
export interface LossHistory {
  /** Mean loss of the first steps, and their number. */
  readonly first: readonly [loss: number, steps: number]
  readonly runningLoss: number
}

/** The history before the first step. */
export const noLosses: LossHistory = { first: [0, 0], runningLoss: 0 }

/** The history with the loss of one more step. */
export function withLoss({ first, runningLoss }: LossHistory, loss: number): LossHistory {
  const [mean, steps] = first
  if (steps === 0) return { first: [loss, 1], runningLoss: loss }
  // Bounded, so that a training that diverges at once is not measured by itself.
  const bounded = Math.min(loss, mean + Math.max(Math.abs(mean) / 2, 1))
  return {
    first: steps === firstSteps ? first : [(mean * steps + bounded) / (steps + 1), steps + 1],
    runningLoss: runningLoss + smoothing * (loss - runningLoss),
  }
}

/** The highest running mean of a training that has not diverged. */
export function highestLoss({ first: [mean] }: LossHistory): number {
  return mean + Math.max(2 * Math.abs(mean), 3)
}

/** What was found when a training had diverged. */
export interface Divergence {
  /** Steps taken before. */
  readonly step: number
  /** What is too high, or no number. */
  readonly what: string
  readonly loss: number
  /** Mean loss of the first steps, where it is what the loss was measured by. */
  readonly first?: number
  readonly gradientNorm: number
  readonly learningRate: number
  /** The folder of the training, and the step of the checkpoint in it; 0 for none. */
  readonly out: string
  readonly saved: number
}

/** The error of a training that has diverged. */
export function diverged(found: Divergence): GenArmError {
  const { step, what, loss, first, gradientNorm, learningRate, out, saved } = found
  const beginning = first === undefined ? "" : ` (${first.toPrecision(4)} at the beginning)`
  return new GenArmError(
    { _tag: "TrainingDiverged", step, loss, gradientNorm, learningRate },
    `the training diverged at step ${step}: ${what} ${loss.toPrecision(4)}${beginning}, gradient ` +
      `norm ${gradientNorm.toPrecision(4)}, learning rate ${learningRate.toPrecision(3)}. ` +
      (step === 0
        ? "It was so before the first update: the base's weights are damaged"
        : "Lower the learning rate or lengthen the warm-up") +
      (saved > 0 ? `; ${out} keeps the checkpoint of step ${saved}` : ""),
  )
}
