/** Training from a specification: data to batches, the loop, and the folder that comes out of it. */
import { availableParallelism } from "node:os"
import process from "node:process"
import { aborted, GenArmError } from "../errors.ts"
import { locateModel } from "../files/locate_model.ts"
import { openModelFolder, openTensors } from "../files/model_folder.ts"
import type { Progress, TrainingProgress } from "../files/progress.ts"
import { openTokenizer } from "../files/tokenizer.ts"
import { isLlamaFamily, readLlamaConfig } from "../llama/config.ts"
import { readParameters } from "../llama/weights.ts"
import { definitionOf, type Plugins } from "../plugin/registry.ts"
import { trainingLine } from "../show/training_line.ts"
import { hasCheckpoint, removeCheckpoint } from "./checkpoint.ts"
import { exportRun } from "./export/export_run.ts"
import { fingerprintOf } from "./fingerprint.ts"
import { prepareOut } from "./out_folder.ts"
import { checkIds, prepareBatches, runReference } from "./prepare_batches.ts"
import { StepRunner } from "./step_runner.ts"
import { type CheckedSpec, checkSpec, type TrainSpec } from "./train_spec.ts"
import { fullWeights, lowRankAdapter } from "./trainable.ts"
import { runTraining } from "./trainer.ts"
import type { DataRecord } from "./export/training_record.ts"
import type { LogEntry } from "./training_log.ts"

/** How a training is run. */
export interface TrainOptions {
  /** CPU threads; the machine's where absent. Resuming bit for bit needs the same number. */
  readonly threads?: number
  /** Ends the training before the next step; what was done since the last checkpoint is lost. */
  readonly signal?: AbortSignal
  /** Hears of downloads and of every step; a line on the terminal's stderr where absent. */
  readonly onProgress?: (progress: TrainingProgress | Progress) => void
  /**
   * Whether to go on from the checkpoint in `out`, where a training of the same specification was
   * stopped; true where absent. With false a checkpoint is removed.
   */
  readonly resume?: boolean
}

/** What a training gave. */
export interface TrainingRun {
  /** The folder with the model or adapter, its card and log. */
  readonly out: string
  /** Updates taken. */
  readonly steps: number
  /** Whether the held-out loss had stopped falling. */
  readonly stoppedEarly: boolean
  /** The log, as in `training_log.jsonl`. */
  readonly log: readonly LogEntry[]
  /** Figures of the held-out data before the first step; empty without any. */
  readonly before: Readonly<Record<string, number>>
  /** The same for the weights that were written. */
  readonly heldOut: Readonly<Record<string, number>>
  /** What became of the data. */
  readonly data: DataRecord
  /** Numbers that were trained. */
  readonly parameters: number
  /** Time spent in steps and evaluations, in seconds. */
  readonly seconds: number
  /** Tokens computed, padding included. */
  readonly tokens: number
}

/** Trains with objectives that may be named in `plugins`. */
export async function trainWith(
  plugins: Plugins,
  spec: TrainSpec,
  options: TrainOptions = {},
): Promise<TrainingRun> {
  const checked = checkSpec(plugins, spec)
  checkOptions(options)
  const line = options.onProgress === undefined ? trainingLine() : undefined
  try {
    return await run(plugins, checked, {
      ...options,
      onProgress: options.onProgress ?? line!.report,
    })
  } catch (error) {
    if (options.signal?.aborted) throw aborted(options.signal)
    throw error
  } finally {
    line?.done()
  }
}

async function run(
  plugins: Plugins,
  spec: CheckedSpec,
  options: TrainOptions,
): Promise<TrainingRun> {
  const { signal, onProgress } = options
  const abort = signal && { signal }
  const objective = definitionOf(plugins, "objective", spec.objective)
  const folder = await locateModel(spec.base, { ...abort, ...onProgress && { onProgress } })
  const { config: json } = await openModelFolder(folder)
  if (!isLlamaFamily(json)) {
    throw new GenArmError(
      { _tag: "UnsupportedModel", model: spec.base.model },
      `${spec.base.model}: only the Llama family can be trained (llama, mistral, qwen2, qwen3), ` +
        `found model_type ${JSON.stringify(json.model_type)}`,
    )
  }
  const config = readLlamaConfig(json, spec.base.model)
  await prepareOut(spec.out, { baseFolder: folder, isAdapter: spec.adapter !== undefined })
  const tokens = spec.tokens ?? Math.min(config.contextLength, 256)
  if (tokens > config.contextLength) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["tokens"] },
      `expected tokens up to the model's context of ${config.contextLength}, found ${tokens}`,
    )
  }
  const tokenizer = await openTokenizer(folder)
  const form = {
    tokenizer,
    tokens,
    seed: spec.seed,
    ...spec.maxPromptTokens !== undefined && { maxPromptTokens: spec.maxPromptTokens },
    ...spec.base.template !== undefined && { template: spec.base.template },
    ...abort,
  }
  const batching = { batch: spec.batch, accumulate: spec.accumulate, tokens, seed: spec.seed }
  const data = await prepareBatches(spec, objective, form, batching)
  checkIds(data, config.vocabularySize, spec.base.model)

  const store = await openTensors(folder)
  const weights = await readParameters(config, store, { model: spec.base.model, ...abort })
    .finally(() => store.close())
  const trainable = spec.adapter === undefined
    ? fullWeights(config, weights)
    : lowRankAdapter(config, weights, spec.adapter, spec.seed)
  const steps = spec.steps ??
    Math.max(1, Math.round(spec.epochs! * data.train.perEpoch / spec.batch))
  const warmup = spec.warmup ?? Math.round(steps * 0.05)
  const fingerprint = fingerprintOf(spec, trainable, data, { steps, warmup, tokens })
  const runner = new StepRunner(
    trainable,
    objective,
    spec.objective.options,
    options.threads ?? availableParallelism(),
  )
  try {
    if (objective.data === "pairs" && objective.reference === true) {
      await runReference(data, runner, signal)
    }
    const { learningRate, maxGradientNorm, ...adamW } = spec.optimizer
    const result = await runTraining({
      trainable,
      runner,
      data: data.train,
      ...data.heldOut && { heldOut: data.heldOut },
      out: spec.out,
      steps,
      learningRate,
      schedule: spec.schedule,
      warmup,
      optimizer: adamW,
      maxGradientNorm,
      evaluateEvery: spec.evaluate?.every ?? Infinity,
      logEvery: spec.logEvery ?? 10,
      checkpointEvery: spec.checkpointEvery ?? 100,
      ...spec.evaluate?.patience !== undefined && { patience: spec.evaluate.patience },
      fingerprint,
      resume: options.resume !== false && hasCheckpoint(spec.out),
      ...abort,
      ...onProgress && { onProgress },
    })
    const evaluations = result.log.entries.filter((entry) => "heldOut" in entry)
    const final = spec.evaluate?.patience === undefined ? evaluations.at(-1) : evaluations.reduce(
      (best, entry) => entry.heldOut.loss < best.heldOut.loss ? entry : best,
      evaluations[0],
    )
    const finished = {
      ...result,
      before: evaluations[0]?.heldOut ?? {},
      heldOut: final?.heldOut ?? {},
      record: data.record,
    }
    await exportRun(spec, trainable, folder, finished, {
      steps,
      warmup,
      tokens,
      runtime: runtimeName(),
    })
    await removeCheckpoint(spec.out)
    return {
      out: spec.out,
      steps: result.steps,
      stoppedEarly: result.stoppedEarly,
      log: result.log.entries,
      before: finished.before,
      heldOut: finished.heldOut,
      data: data.record,
      parameters: trainable.values.length,
      seconds: result.seconds,
      tokens: result.tokens,
    }
  } finally {
    await runner.close()
  }
}

function runtimeName(): Record<string, string> {
  const { deno, bun, node } = process.versions as Record<string, string | undefined>
  return deno ? { deno } : bun ? { bun } : { node: node ?? "unknown" }
}

function checkOptions({ threads, resume, signal, onProgress, ...others }: TrainOptions): void {
  const refuse = (path: string, message: string) => {
    throw new GenArmError({ _tag: "InvalidOption", path: [path] }, message)
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
    refuse("threads", `expected threads as a positive integer, found ${threads}`)
  }
  if (resume !== undefined && typeof resume !== "boolean") {
    refuse("resume", `expected resume as true or false, found ${resume}`)
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    refuse("signal", "expected an AbortSignal as signal")
  }
  if (onProgress !== undefined && typeof onProgress !== "function") {
    refuse("onProgress", `expected a function as onProgress, found ${typeof onProgress}`)
  }
  for (const key of Object.keys(others)) {
    refuse(key, `expected no option but threads, signal, onProgress and resume, found ${key}`)
  }
}
