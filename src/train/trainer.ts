/**
 * The training loop: batches, gradients, clipping, AdamW, evaluation, log and checkpoints. A step
 * depends on nothing but the weights, the optimiser's state and its own number, so a training that
 * goes on from a checkpoint takes the same steps as one that was never stopped.
 */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { TrainingProgress } from "../files/progress.ts"
import type { BatchSource } from "./batch_source.ts"
import {
  type CheckpointState,
  type Fingerprint,
  loadCheckpoint,
  removeCheckpoint,
  saveCheckpoint,
} from "./checkpoint.ts"
import { learningRateFactor, type LearningRateSchedule } from "./learning_rate.ts"
import { AdamW, type AdamWOptions, gradientNorm } from "./optimizer.ts"
import type { StepRunner } from "./step_runner.ts"
import type { Trainable } from "./trainable.ts"
import { TrainingLog } from "./training_log.ts"

/** What the loop is given. */
export interface TrainerSpec {
  readonly trainable: Trainable
  readonly runner: StepRunner
  readonly data: BatchSource
  readonly heldOut?: BatchSource
  /** Where log and checkpoints go. */
  readonly out: string
  readonly steps: number
  readonly learningRate: number
  readonly schedule: LearningRateSchedule
  readonly warmup: number
  readonly optimizer: AdamWOptions
  /** The gradient is scaled down to this norm. */
  readonly maxGradientNorm: number
  /** Steps between evaluations, log entries, checkpoints; the first and last come with an entry. */
  readonly evaluateEvery: number
  readonly logEvery: number
  readonly checkpointEvery: number
  /** Evaluations without a lower loss after which the training stops, with the best weights. */
  readonly patience?: number
  readonly fingerprint: Fingerprint
  /** Whether to go on from a checkpoint. */
  readonly resume: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: TrainingProgress) => void
}

/** How a training ended. */
export interface TrainerResult {
  readonly steps: number
  readonly stoppedEarly: boolean
  readonly seconds: number
  readonly tokens: number
  readonly log: TrainingLog
}

/**
 * A training has diverged when the gradient or a loss is no number, or when the running mean of the
 * loss is above three times the mean of the first steps, and by more than 3: losses that begin near 0
 * are soon many times that. In the running mean a step has a weight of 0.1, so that it takes a few
 * bad ones, or one beyond all measure: a model that was thrown far may settle at a loss near chance.
 *
 * Checkpoints are written once the next step's loss has shown the weights to be sound, so that the one
 * that is kept is good.
 */
function highestLoss(first: number): number {
  return first + Math.max(2 * Math.abs(first), 3)
}

const smoothing = 0.1
const firstSteps = 10

/** The numbers that a checkpoint keeps beside the arrays. */
interface Progress extends CheckpointState {
  readonly step: number
  readonly tokens: number
  readonly seconds: number
  /** Mean loss of the first steps, and their number. */
  readonly first: readonly [loss: number, steps: number]
  readonly runningLoss: number
  readonly bestLoss: number | null
  readonly sinceBest: number
  readonly heldOutLoss: number | null
  readonly stopped: boolean
}

/** Trains until the steps are done, or the loss no longer falls. */
export async function runTraining(spec: TrainerSpec): Promise<TrainerResult> {
  const { trainable, runner, data, heldOut, out, steps } = spec
  const optimizer = new AdamW(trainable.variables, spec.optimizer)
  const gradient = new Float32Array(trainable.values.length)
  const best = spec.patience === undefined ? undefined : new Float32Array(trainable.values)
  const arrays = {
    values: trainable.values,
    mean: optimizer.mean,
    square: optimizer.square,
    ...best && { best },
  }
  let state: Progress = {
    step: 0,
    tokens: 0,
    seconds: 0,
    first: [0, 0],
    runningLoss: 0,
    bestLoss: null,
    sinceBest: 0,
    heldOutLoss: null,
    stopped: false,
  }
  if (spec.resume) {
    state = await loadCheckpoint(out, spec.fingerprint, arrays) as unknown as Progress
  } else await removeCheckpoint(out)
  const log = await TrainingLog.open(out, spec.resume ? state.step : -1)
  const begin = performance.now() - state.seconds * 1000
  const seconds = () => (performance.now() - begin) / 1000

  /** The step of the checkpoint that is there. */
  let saved = state.step
  // Of the last step.
  let norm = 0
  let learningRate = 0
  const evaluate = async (): Promise<void> => {
    if (heldOut === undefined) return
    const figures: Record<string, number> = {}
    for (const batch of heldOut.evaluation()) {
      throwIfAborted(spec.signal)
      addFigures(figures, (await runner.evaluate(batch)).figures)
    }
    if (!Number.isFinite(figures.loss)) {
      const found = { what: "held-out loss", loss: figures.loss, norm, learningRate }
      throw diverged(spec, state, { saved, ...found })
    }
    await log.add({ step: state.step, heldOut: figures })
    const isBest = state.bestLoss === null || figures.loss < state.bestLoss
    if (isBest) best?.set(trainable.values)
    const sinceBest = isBest ? 0 : state.sinceBest + 1
    state = {
      ...state,
      heldOutLoss: figures.loss,
      bestLoss: isBest ? figures.loss : state.bestLoss,
      sinceBest,
      stopped: spec.patience !== undefined && sinceBest >= spec.patience,
    }
  }

  /** Where a checkpoint is due. */
  const save = async (): Promise<void> => {
    if (state.step === saved || state.step % spec.checkpointEvery !== 0) return
    await saveCheckpoint(out, spec.fingerprint, state, arrays)
    saved = state.step
  }

  if (state.step === 0) await evaluate()
  let sums: Record<string, number> = {}
  let summed = 0
  while (state.step < steps && !state.stopped) {
    throwIfAborted(spec.signal)
    gradient.fill(0)
    const figures: Record<string, number> = {}
    let tokens = 0
    for (const batch of data.step(state.step)) {
      addFigures(figures, (await runner.accumulate(batch, gradient)).figures)
      tokens += batch.rows * batch.tokens
    }
    norm = gradientNorm(gradient)
    learningRate = spec.learningRate * learningRateFactor(spec.schedule, state.step, spec)
    const first = withFirst(state.first, figures.loss)
    const runningLoss = state.step === 0
      ? figures.loss
      : state.runningLoss + smoothing * (figures.loss - state.runningLoss)
    const isFinite = Number.isFinite(norm) && Number.isFinite(figures.loss)
    if (!isFinite || runningLoss > highestLoss(first[0])) {
      const found = { what: "loss", loss: figures.loss, first: first[0], norm, learningRate }
      throw diverged(spec, state, { saved, ...found })
    }
    if (figures.loss <= highestLoss(first[0])) await save()
    const clipped = Math.min(1, spec.maxGradientNorm / (norm + 1e-6))
    optimizer.step(gradient, state.step + 1, learningRate, clipped)
    state = {
      ...state,
      step: state.step + 1,
      tokens: state.tokens + tokens,
      seconds: seconds(),
      first,
      runningLoss,
    }
    addFigures(sums, figures)
    summed++
    const isLast = state.step === steps
    const savesNow = state.step % spec.checkpointEvery === 0
    const evaluatesNow = isLast || state.step % spec.evaluateEvery === 0
    if (savesNow || evaluatesNow || state.step % spec.logEvery === 0) {
      await log.add({
        step: state.step,
        train: Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / summed])),
        learningRate,
        gradientNorm: norm,
        tokens: state.tokens,
        seconds: state.seconds,
      })
      sums = {}
      summed = 0
    }
    if (evaluatesNow) await evaluate()
    report(spec, state, figures)
  }
  if (!trainable.values.every(Number.isFinite)) {
    const what = "weights are no numbers, loss"
    throw diverged(spec, state, { saved, what, loss: state.runningLoss, norm, learningRate })
  }
  await save()
  if (best !== undefined && state.bestLoss !== null) trainable.values.set(best)
  return {
    steps: state.step,
    stoppedEarly: state.stopped && state.step < steps,
    seconds: state.seconds,
    tokens: state.tokens,
    log,
  }
}

/** The mean loss of the first steps with that of one more, where it is one of them. */
function withFirst([mean, steps]: Progress["first"], loss: number): [number, number] {
  if (steps === firstSteps) return [mean, steps]
  // Bounded, so that a training that diverges at once is not measured by itself.
  const bounded = steps === 0 ? loss : Math.min(loss, mean + Math.max(Math.abs(mean) / 2, 1))
  return [(mean * steps + bounded) / (steps + 1), steps + 1]
}

function addFigures(sums: Record<string, number>, figures: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + value
}

function report(
  { steps, onProgress }: TrainerSpec,
  state: Progress,
  figures: Readonly<Record<string, number>>,
): void {
  const accuracy = figures["rewards/accuracies"]
  onProgress?.({
    stage: "train",
    step: state.step,
    steps,
    loss: figures.loss,
    ...accuracy !== undefined && { accuracy },
    ...state.heldOutLoss !== null && { heldOutLoss: state.heldOutLoss },
    tokensPerSecond: state.tokens / state.seconds,
    secondsLeft: (state.seconds / state.step) * (steps - state.step),
  })
}

function diverged(
  { out }: TrainerSpec,
  { step }: Progress,
  found: {
    readonly saved: number
    readonly what: string
    readonly loss: number
    readonly first?: number
    readonly norm: number
    readonly learningRate: number
  },
): GenArmError {
  const { saved, what, loss, first, norm, learningRate } = found
  const beginning = first === undefined ? "" : ` (${first.toPrecision(4)} at the beginning)`
  return new GenArmError(
    { _tag: "TrainingDiverged", step, loss, gradientNorm: norm, learningRate },
    `the training diverged at step ${step}: ${what} ${loss.toPrecision(4)}${beginning}, gradient ` +
      `norm ${norm.toPrecision(4)}, learning rate ${learningRate.toPrecision(3)}. ` +
      (step === 0
        ? "It was so before the first update: the base's weights are damaged"
        : "Lower the learning rate or lengthen the warm-up") +
      (saved > 0 ? `; ${out} keeps the checkpoint of step ${saved}` : ""),
  )
}
