/** Training from a specification: data to batches, the loop, and the folder that comes out of it. */
import { availableParallelism } from "node:os"
import process from "node:process"
import { aborted, GenArmError } from "../errors.ts"
import { locateModel } from "../files/locate_model.ts"
import { openModelFolder, openTensors } from "../files/model_folder.ts"
import type { Progress, TrainingProgress } from "../files/progress.ts"
import { openTokenizer } from "../files/tokenizer.ts"
import { isLlamaFamily, type LlamaConfig, readLlamaConfig } from "../llama/config.ts"
import { architectureOf } from "../llama/value_head.ts"
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
import { fullWeights, lowRankAdapter, type Trainable } from "./trainable.ts"
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
  const objective = definitionOf(plugins, "objective", spec.objective)
  const { folder, config } = await openBase(spec, options)
  await prepareOut(spec.out, { baseFolder: folder, isAdapter: spec.adapter !== undefined })
  const tokens = rowLength(spec, config)
  const data = await prepareBatches(spec, objective, {
    tokenizer: await openTokenizer(folder),
    tokens,
    seed: spec.seed,
    ...spec.maxPromptTokens !== undefined && { maxPromptTokens: spec.maxPromptTokens },
    ...spec.base.template !== undefined && { template: spec.base.template },
    ...signal && { signal },
  }, { batch: spec.batch, accumulate: spec.accumulate, tokens, seed: spec.seed })
  checkIds(data, config.vocabularySize, spec.base.model)

  const trainable = await openTrainable(spec, folder, config, signal)
  const steps = spec.steps ??
    Math.max(1, Math.round(spec.epochs! * data.train.perEpoch / spec.batch))
  const warmup = spec.warmup ?? Math.round(steps * 0.05)
  const fingerprint = fingerprintOf(spec, trainable, data, { steps, warmup, tokens })
  const threads = options.threads ?? availableParallelism()
  const runner = new StepRunner(trainable, objective, spec.objective.options, threads)
  try {
    if (objective.data === "pairs" && objective.reference === true) {
      await runReference(data, runner, signal)
    }
    const { learningRate, maxGradientNorm, ...adamW } = spec.optimizer
    const patience = spec.evaluate?.patience
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
      ...patience !== undefined && { patience },
      fingerprint,
      resume: options.resume !== false && hasCheckpoint(spec.out),
      ...signal && { signal },
      ...onProgress && { onProgress },
    })
    const { entries } = result.log
    const figures = heldOutFigures(entries, patience !== undefined)
    const finished = { ...result, ...figures, record: data.record }
    const derived = { warmup, tokens, runtime: runtimeName() }
    await exportRun(spec, trainable, folder, finished, derived)
    await removeCheckpoint(spec.out)
    return {
      out: spec.out,
      steps: result.steps,
      stoppedEarly: result.stoppedEarly,
      log: entries,
      ...figures,
      data: data.record,
      parameters: trainable.values.length,
      seconds: result.seconds,
      tokens: result.tokens,
    }
  } finally {
    await runner.close()
  }
}

async function openBase(
  { base }: CheckedSpec,
  { signal, onProgress }: TrainOptions,
): Promise<{ readonly folder: string; readonly config: LlamaConfig }> {
  const folder = await locateModel(base, {
    ...signal && { signal },
    ...onProgress && { onProgress },
  })
  const { config: json } = await openModelFolder(folder)
  if (isLlamaFamily(json)) {
    const config = readLlamaConfig(json, base.model)
    if (config.labels === undefined) return { folder, config }
    throw new GenArmError(
      { _tag: "UnsupportedModel", model: base.model },
      `${base.model}: only language models can be trained (...ForCausalLM), found the value head of ` +
        `${architectureOf(json)}`,
    )
  }
  throw new GenArmError(
    { _tag: "UnsupportedModel", model: base.model },
    `${base.model}: only the Llama family can be trained (llama, mistral, qwen2, qwen3), ` +
      `found model_type ${JSON.stringify(json.model_type)}`,
  )
}

function rowLength(spec: CheckedSpec, { contextLength }: LlamaConfig): number {
  const tokens = spec.tokens ?? Math.min(contextLength, 256)
  if (tokens <= contextLength) return tokens
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["tokens"] },
    `expected tokens up to the model's context of ${contextLength}, found ${tokens}`,
  )
}

async function openTrainable(
  { base: { model }, adapter, seed }: CheckedSpec,
  folder: string,
  config: LlamaConfig,
  signal: AbortSignal | undefined,
): Promise<Trainable> {
  const store = await openTensors(folder)
  const weights = await readParameters(config, store, { model, ...signal && { signal } })
    .finally(() => store.close())
  return adapter === undefined
    ? fullWeights(config, weights)
    : lowRankAdapter(config, weights, adapter, seed)
}

/** The first evaluation, and that of the weights that were kept: the best ones, or the last. */
function heldOutFigures(
  log: readonly LogEntry[],
  keepsBest: boolean,
): Pick<TrainingRun, "before" | "heldOut"> {
  const evaluations = log.flatMap((entry) => "heldOut" in entry ? [entry.heldOut] : [])
  const best = () => evaluations.reduce((best, next) => next.loss < best.loss ? next : best)
  if (evaluations.length === 0) return { before: {}, heldOut: {} }
  return { before: evaluations[0], heldOut: keepsBest ? best() : evaluations.at(-1)! }
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
