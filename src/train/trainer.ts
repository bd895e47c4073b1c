/**
 * The training loop: batches, gradients, clipping, AdamW, evaluation, log and checkpoints. A step
 * depends on nothing but the weights, the optimiser's state and its own number, so a training that
 * goes on from a checkpoint takes the same steps as one that was never stopped.
 */
import { throwIfAborted } from "../errors.ts"
import type { TrainingProgress } from "../files/progress.ts"
import type { Batch } from "./batch.ts"
import type { BatchSource } from "./batch_source.ts"
import {
  type CheckpointArrays,
  type CheckpointState,
  type Fingerprint,
  loadCheckpoint,
  removeCheckpoint,
  saveCheckpoint,
} from "./checkpoint.ts"
import { learningRateFactor, type LearningRateSchedule } from "./learning_rate.ts"
import { diverged, highestLoss, type LossHistory, noLosses, withLoss } from "./loss_history.ts"
import { AdamW, type AdamWOptions, gradientNorm } from "./optimizer.ts"
import type { StepResult, StepRunner } from "./step_runner.ts"
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

/** Means or sums of the loss and of what the objective reports, by name. */
type Figures = StepResult["figures"]

/** The numbers that a checkpoint keeps beside the arrays. */
interface Progress extends CheckpointState, LossHistory {
  readonly step: number
  readonly tokens: number
  readonly seconds: number
  readonly bestLoss: number | null
  readonly sinceBest: number
  readonly heldOutLoss: number | null
  readonly stopped: boolean
}

const beginning: Progress = {
  step: 0,
  tokens: 0,
  seconds: 0,
  ...noLosses,
  bestLoss: null,
  sinceBest: 0,
  heldOutLoss: null,
  stopped: false,
}

/** Trains until the steps are done, or the held-out loss no longer falls. */
export async function runTraining(spec: TrainerSpec): Promise<TrainerResult> {
  const { trainable: { values, variables }, out, fingerprint, resume } = spec
  const optimizer = new AdamW(variables, spec.optimizer)
  const arrays = {
    values,
    mean: optimizer.mean,
    square: optimizer.square,
    ...spec.patience !== undefined && { best: new Float32Array(values) },
  }
  if (!resume) await removeCheckpoint(out)
  const state = resume
    ? await loadCheckpoint(out, fingerprint, arrays) as unknown as Progress
    : beginning
  const log = await TrainingLog.open(out, resume ? state.step : -1)
  const training = new Training(spec, optimizer, arrays, state, log)
  if (state.step === 0) await training.evaluate()
  while (!training.isDone) await training.step()
  return training.finish()
}

/** A training on its way. */
class Training {
  readonly #spec: TrainerSpec
  readonly #optimizer: AdamW
  readonly #gradient: Float32Array
  /** What a checkpoint keeps; `best` are the weights of the lowest held-out loss. */
  readonly #arrays: CheckpointArrays & { readonly best?: Float32Array }
  readonly #log: TrainingLog
  /** When the training would have begun, had it never been stopped: milliseconds. */
  readonly #begin: number
  #state: Progress
  /** The step of the checkpoint that is there. */
  #saved: number
  /** Figures of the steps since the last entry of the log. */
  #unlogged: Figures[] = []
  /** Of the last step. */
  #norm = 0
  #learningRate = 0

  constructor(
    spec: TrainerSpec,
    optimizer: AdamW,
    arrays: CheckpointArrays & { readonly best?: Float32Array },
    state: Progress,
    log: TrainingLog,
  ) {
    this.#spec = spec
    this.#optimizer = optimizer
    this.#gradient = new Float32Array(spec.trainable.values.length)
    this.#arrays = arrays
    this.#state = state
    this.#saved = state.step
    this.#log = log
    this.#begin = performance.now() - state.seconds * 1000
  }

  get isDone(): boolean {
    return this.#state.stopped || this.#state.step >= this.#spec.steps
  }

  /** Takes one step, and what is due after it. */
  async step(): Promise<void> {
    throwIfAborted(this.#spec.signal)
    const batches = this.#spec.data.step(this.#state.step)
    const figures = await this.#computeGradient(batches)
    this.#norm = gradientNorm(this.#gradient)
    this.#learningRate = this.#learningRateNow()
    const losses = this.#checkLoss(figures.loss)
    // The loss has shown the weights to be sound: the checkpoint that is kept is to be a good one.
    if (figures.loss <= highestLoss(losses)) await this.#save()
    this.#update()
    this.#state = {
      ...this.#state,
      ...losses,
      step: this.#state.step + 1,
      tokens: this.#state.tokens + batches.reduce((sum, b) => sum + b.rows * b.tokens, 0),
      seconds: (performance.now() - this.#begin) / 1000,
    }
    await this.#logStep(figures)
    if (this.#isDue(this.#spec.evaluateEvery)) await this.evaluate()
    this.#report(figures)
  }

  /** Evaluates the held-out data, where there is any. */
  async evaluate(): Promise<void> {
    const { heldOut, runner, patience, trainable, signal } = this.#spec
    if (heldOut === undefined) return
    const parts: Figures[] = []
    for (const batch of heldOut.evaluation()) {
      throwIfAborted(signal)
      parts.push((await runner.evaluate(batch)).figures)
    }
    const figures = sumOf(parts)
    const { loss } = figures
    if (!Number.isFinite(loss)) throw this.#diverged({ what: "held-out loss", loss })
    await this.#log.add({ step: this.#state.step, heldOut: figures })
    const isBest = this.#state.bestLoss === null || loss < this.#state.bestLoss
    if (isBest) this.#arrays.best?.set(trainable.values)
    const sinceBest = isBest ? 0 : this.#state.sinceBest + 1
    this.#state = {
      ...this.#state,
      heldOutLoss: loss,
      bestLoss: isBest ? loss : this.#state.bestLoss,
      sinceBest,
      stopped: patience !== undefined && sinceBest >= patience,
    }
  }

  /** Leaves the weights to be kept in the trainable. */
  async finish(): Promise<TrainerResult> {
    const { values } = this.#spec.trainable
    const { step, stopped, seconds, tokens, runningLoss, bestLoss } = this.#state
    if (!values.every(Number.isFinite)) {
      throw this.#diverged({ what: "weights are no numbers, loss", loss: runningLoss })
    }
    await this.#save()
    const { best } = this.#arrays
    if (best !== undefined && bestLoss !== null) values.set(best)
    const stoppedEarly = stopped && step < this.#spec.steps
    return { steps: step, stoppedEarly, seconds, tokens, log: this.#log }
  }

  async #computeGradient(batches: readonly Batch[]): Promise<Figures> {
    this.#gradient.fill(0)
    const parts: Figures[] = []
    for (const batch of batches) {
      parts.push((await this.#spec.runner.accumulate(batch, this.#gradient)).figures)
    }
    return sumOf(parts)
  }

  #learningRateNow(): number {
    const { learningRate, schedule } = this.#spec
    return learningRate * learningRateFactor(schedule, this.#state.step, this.#spec)
  }

  #checkLoss(loss: number): LossHistory {
    const losses = withLoss(this.#state, loss)
    const isFinite = Number.isFinite(this.#norm) && Number.isFinite(loss)
    if (isFinite && losses.runningLoss <= highestLoss(losses)) return losses
    throw this.#diverged({ what: "loss", loss, first: losses.first[0] })
  }

  #update(): void {
    const clipped = Math.min(1, this.#spec.maxGradientNorm / (this.#norm + 1e-6))
    this.#optimizer.step(this.#gradient, this.#state.step + 1, this.#learningRate, clipped)
  }

  /** Where a checkpoint is due. */
  async #save(): Promise<void> {
    const { out, fingerprint, checkpointEvery } = this.#spec
    const { step } = this.#state
    if (step === this.#saved || step % checkpointEvery !== 0) return
    await saveCheckpoint(out, fingerprint, this.#state, this.#arrays)
    this.#saved = step
  }

  /** Whether what comes with a number of steps, and with the last one, is to be done now. */
  #isDue(every: number): boolean {
    return this.#state.step === this.#spec.steps || this.#state.step % every === 0
  }

  async #logStep(figures: Figures): Promise<void> {
    const { checkpointEvery, evaluateEvery, logEvery } = this.#spec
    this.#unlogged.push(figures)
    if (![checkpointEvery, evaluateEvery, logEvery].some((every) => this.#isDue(every))) return
    const count = this.#unlogged.length
    const sums = Object.entries(sumOf(this.#unlogged))
    this.#unlogged = []
    await this.#log.add({
      step: this.#state.step,
      train: Object.fromEntries(sums.map(([name, sum]) => [name, sum / count])),
      learningRate: this.#learningRate,
      gradientNorm: this.#norm,
      tokens: this.#state.tokens,
      seconds: this.#state.seconds,
    })
  }

  #report(figures: Figures): void {
    const { steps, onProgress } = this.#spec
    const { step, tokens, seconds, heldOutLoss } = this.#state
    const accuracy = figures["rewards/accuracies"]
    onProgress?.({
      stage: "train",
      step,
      steps,
      loss: figures.loss,
      ...accuracy !== undefined && { accuracy },
      ...heldOutLoss !== null && { heldOutLoss },
      tokensPerSecond: tokens / seconds,
      secondsLeft: (seconds / step) * (steps - step),
    })
  }

  #diverged(found: { what: string; loss: number; first?: number }): Error {
    return diverged({
      ...found,
      step: this.#state.step,
      gradientNorm: this.#norm,
      learningRate: this.#learningRate,
      out: this.#spec.out,
      saved: this.#saved,
    })
  }
}

function sumOf(parts: readonly Figures[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}
