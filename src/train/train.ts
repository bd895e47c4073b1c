/** Training from a specification: data to batches, the loop, and the folder that comes out of it. */
import { availableParallelism } from "node:os"
import process from "node:process"
import { aborted, GenArmError, throwIfAborted } from "../errors.ts"
import { locateModel } from "../files/locate_model.ts"
import { openModelFolder, openTensors } from "../files/model_folder.ts"
import type { Progress, TrainingProgress } from "../files/progress.ts"
import { openTokenizer } from "../files/tokenizer.ts"
import { isLlamaFamily, readLlamaConfig } from "../llama/config.ts"
import { readParameters } from "../llama/weights.ts"
import { definitionOf, type Plugins } from "../plugin/registry.ts"
import { trainingLine } from "../show/training_line.ts"
import type { Batch } from "./batch.ts"
import type { BatchSource } from "./batch_source.ts"
import { type Fingerprint, hasCheckpoint, removeCheckpoint } from "./checkpoint.ts"
import type { TokenPair } from "./data/pairs.ts"
import { exportRun } from "./export/export_run.ts"
import { prepareOut } from "./out_folder.ts"
import { PairBatches } from "./pair_batches.ts"
import { StepRunner } from "./step_runner.ts"
import { TextBatches } from "./text_batches.ts"
import { type CheckedSpec, checkSpec, type TrainSpec } from "./train_spec.ts"
import { fullWeights, lowRankAdapter, type Trainable } from "./trainable.ts"
import { runTraining } from "./trainer.ts"
import { preparePairs, prepareTexts } from "./training_data.ts"
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
  const idsOf = (pairs: readonly TokenPair[]) =>
    pairs.flatMap(({ prompt, chosen, rejected }) => [prompt, chosen, rejected])
  const { train, heldOut, record, ids } = objective.data === "texts"
    ? await prepareTexts(spec.data, spec.heldOut, form).then((data) => ({
      train: new TextBatches(data.train, batching),
      heldOut: data.heldOut.length > 0 ? new TextBatches(data.heldOut, batching) : undefined,
      record: data.record,
      ids: { train: data.train, heldOut: data.heldOut },
    }))
    : await preparePairs(spec.data, spec.heldOut, form).then((data) => ({
      train: new PairBatches(data.train, batching),
      heldOut: data.heldOut.length > 0 ? new PairBatches(data.heldOut, batching) : undefined,
      record: data.record,
      ids: { train: idsOf(data.train), heldOut: idsOf(data.heldOut) },
    }))
  for (const rows of Object.values(ids)) checkIds(rows, config.vocabularySize, spec.base.model)

  const store = await openTensors(folder)
  const weights = await readParameters(config, store, { model: spec.base.model, ...abort })
    .finally(() => store.close())
  const trainable = spec.adapter === undefined
    ? fullWeights(config, weights)
    : lowRankAdapter(config, weights, spec.adapter, spec.seed)
  const steps = spec.steps ?? Math.max(1, Math.round(spec.epochs! * train.perEpoch / spec.batch))
  const warmup = spec.warmup ?? Math.round(steps * 0.05)
  const fingerprint = fingerprintOf(spec, trainable, train, {
    ...{ steps, warmup, tokens },
    digest: digestOf(ids.train),
    heldOut: digestOf(ids.heldOut),
    base: digestOf(trainable.weights.map(({ values }) => bitsOf(values))),
  })
  const runner = new StepRunner(
    trainable,
    objective,
    spec.objective.options,
    options.threads ?? availableParallelism(),
  )
  try {
    if (objective.data === "pairs" && objective.reference === true) {
      const likelihoods = async (batch: Batch) => {
        throwIfAborted(signal)
        return (await runner.evaluate(batch)).likelihoods
      }
      for (const source of [train, heldOut]) {
        if (source instanceof PairBatches) await source.refer(likelihoods)
      }
    }
    const { learningRate, maxGradientNorm, ...adamW } = spec.optimizer
    const result = await runTraining({
      trainable,
      runner,
      data: train,
      ...heldOut && { heldOut },
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
      record,
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
      data: record,
      parameters: trainable.values.length,
      seconds: result.seconds,
      tokens: result.tokens,
    }
  } finally {
    await runner.close()
  }
}

/** Everything on which the steps depend. */
function fingerprintOf(
  spec: CheckedSpec,
  trainable: Trainable,
  data: BatchSource,
  derived: Readonly<Record<string, unknown>>,
): Fingerprint {
  return {
    architecture: trainable.weights.map(({ name, shape }) => `${name} [${shape}]`).join(" "),
    adapter: spec.adapter ?? null,
    objective: { plugin: spec.objective.plugin, options: spec.objective.options },
    examples: data.examples,
    batch: spec.batch,
    accumulate: spec.accumulate,
    optimizer: spec.optimizer,
    schedule: spec.schedule,
    evaluate: spec.evaluate ?? null,
    logEvery: spec.logEvery ?? null,
    checkpointEvery: spec.checkpointEvery ?? null,
    seed: spec.seed,
    ...derived,
  }
}

/** A number that differs for different data (FNV-1a over the ids). */
function digestOf(rows: readonly ArrayLike<number>[]): number {
  let hash = 0x811c9dc5
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) hash = Math.imul(hash ^ row[i], 0x01000193)
    hash = Math.imul(hash ^ 0xffff, 0x01000193)
  }
  return hash >>> 0
}

function bitsOf(values: Float32Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length)
}

/** A tokenizer may know tokens that the model has no embedding of. */
function checkIds(rows: readonly ArrayLike<number>[], size: number, model: string): void {
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      if (row[i] < size) continue
      throw new GenArmError(
        { _tag: "UnsupportedModel", model },
        `${model}: its tokenizer gives the id ${row[i]} for the data, and the model has ${size} ` +
          "embeddings: expected a base whose tokenizer goes with it",
      )
    }
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
