/**
 * The training loop: batches, gradients, clipping, AdamW, evaluation, log and checkpoints. A step
 * depends on nothing but the weights, the optimiser's state and its own number, so a training that
 * goes on from a checkpoint takes the same steps as one that was never stopped.
 */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { BatchSource } from "./batch_source.ts"
import {
  type CheckpointState,
  type Fingerprint,
  loadCheckpoint,
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
  /** Steps between evaluations, log entries, checkpoints. */
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

/** How far a training is. */
export interface TrainingProgress {
  /** Always this. */
  readonly stage: "train"
  /** Steps taken, and in all. */
  readonly step: number
  /** Steps in all. */
  readonly steps: number
  /** The loss of the last step. */
  readonly loss: number
  /** The share of pairs ranked rightly in the last step, for preferences. */
  readonly accuracy?: number
  /** The latest loss of the held-out data. */
  readonly heldOutLoss?: number
  /** Tokens a second, padding included. */
  readonly tokensPerSecond: number
  /** Time left, in seconds. */
  readonly secondsLeft: number
}

/** How a training ended. */
export interface TrainerResult {
  readonly steps: number
  readonly stoppedEarly: boolean
  readonly seconds: number
  readonly tokens: number
  readonly log: TrainingLog
}

/** Losses of the first steps, whose mean later ones are measured by. */
const firstSteps = 10
/** Weight of a step in the running mean of the loss. */
const smoothing = 0.1
/** A training whose running loss is this many times the first has diverged. */
const divergence = 3

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
  }
  const log = await TrainingLog.open(out, spec.resume ? state.step : -1)
  const begin = performance.now() - state.seconds * 1000
  const seconds = () => (performance.now() - begin) / 1000

  const evaluate = async (): Promise<void> => {
    if (heldOut === undefined) return
    const figures: Record<string, number> = {}
    for (const batch of heldOut.evaluation()) {
      throwIfAborted(spec.signal)
      addFigures(figures, (await runner.evaluate(batch)).figures)
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
    const norm = gradientNorm(gradient)
    const factor = learningRateFactor(spec.schedule, state.step, spec)
    const learningRate = spec.learningRate * factor
    const first: [number, number] = state.first[1] < firstSteps
      ? [
        (state.first[0] * state.first[1] + figures.loss) / (state.first[1] + 1),
        state.first[1] + 1,
      ]
      : [...state.first]
    const runningLoss = state.step === 0
      ? figures.loss
      : state.runningLoss + smoothing * (figures.loss - state.runningLoss)
    if (!Number.isFinite(norm) || !(runningLoss <= divergence * Math.max(first[0], 1e-3))) {
      throw diverged(spec, state, { loss: figures.loss, first: first[0], norm, learningRate })
    }
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
    if (savesNow || isLast || state.step % spec.logEvery === 0) {
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
    if (isLast || state.step % spec.evaluateEvery === 0) await evaluate()
    if (savesNow) await saveCheckpoint(out, spec.fingerprint, state, arrays)
    report(spec, state, figures)
  }
  if (best !== undefined && state.bestLoss !== null) trainable.values.set(best)
  return {
    steps: state.step,
    stoppedEarly: state.stopped && state.step < steps,
    seconds: state.seconds,
    tokens: state.tokens,
    log,
  }
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
  { out, checkpointEvery }: TrainerSpec,
  { step }: Progress,
  found: {
    readonly loss: number
    readonly first: number
    readonly norm: number
    readonly learningRate: number
  },
): GenArmError {
  const saved = Math.floor(step / checkpointEvery) * checkpointEvery
  const { loss, first, norm, learningRate } = found
  return new GenArmError(
    { _tag: "TrainingDiverged", step, loss, gradientNorm: norm, learningRate },
    `the training diverged at step ${step}: loss ${loss.toPrecision(4)} (${
      first.toPrecision(4)
    } at the beginning), gradient norm ${norm.toPrecision(4)}, learning rate ` +
      `${learningRate.toPrecision(3)}. ` +
      (step === 0
        ? "It was so before the first update: the base's weights are damaged"
        : "Lower the learning rate or lengthen the warm-up") +
      (saved > 0 ? `; ${out} keeps the checkpoint of step ${saved}` : ""),
  )
}
