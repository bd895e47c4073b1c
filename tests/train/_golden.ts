/**
 * Training steps of the fixtures, and the numbers that PyTorch's autograd gave for them:
 * `tests/fixtures/training_golden.json`, described in `tests/fixtures/README.md`.
 */
import { assert } from "@std/assert"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { openModelFolder, openTensors } from "../../src/files/model_folder.ts"
import { readLlamaConfig } from "../../src/llama/config.ts"
import { readParameters } from "../../src/llama/weights.ts"
import type { ObjectivePlugin } from "../../src/plugin/objective.ts"
import type { Batch } from "../../src/train/batch.ts"
import type { NamedTensor } from "../../src/train/named_tensor.ts"
import { StepRunner } from "../../src/train/step_runner.ts"
import { fullWeights, type Trainable } from "../../src/train/trainable.ts"

/** Rows padded on the right. */
export interface GoldenBatch {
  readonly ids: readonly (readonly number[])[]
  readonly attention_mask: readonly (readonly number[])[]
  /** 1 where a token is something to predict. */
  readonly loss_mask: readonly (readonly number[])[]
}

/** A tensor in ten numbers. */
export interface Summary {
  readonly norm: number
  /** The sum of number i times sin(i + 1). */
  readonly probed: number
  readonly first: readonly number[]
}

/** One step. */
export interface GoldenCase {
  /** Its folder under `fixtures`. */
  readonly model: string
  readonly loss: number
  readonly gradients?: Readonly<Record<string, readonly number[]>>
  readonly gradient_summaries?: Readonly<Record<string, Summary>>
}

/** A step on pairs. */
export interface GoldenPairCase extends GoldenCase {
  /** By pair. */
  readonly logged: Readonly<Record<string, readonly number[]>>
  readonly options: {
    readonly beta?: number
    readonly beta_r?: number
    readonly gamma?: number
    readonly label_smoothing?: number
    readonly loss_type?: "sigmoid" | "hinge"
    readonly length_normalization?: boolean
  }
}

/** An adapter's step. */
export interface GoldenAdapterCase extends GoldenPairCase {
  readonly adapter: string
  readonly rank: number
  readonly alpha: number
  readonly targets: readonly string[]
}

/** A training of several steps on the batch of `next_token` under the same name. */
export interface GoldenTraining {
  readonly model: string
  readonly settings: {
    readonly lr: number
    readonly betas: readonly [number, number]
    readonly eps: number
    readonly weight_decay: number
    readonly max_norm: number
  }
  readonly steps: readonly {
    readonly loss_before: number
    readonly gradient_norm: number
    readonly loss_after: number
    readonly parameters: Readonly<Record<string, Summary>>
  }[]
}

/** All cases. */
export interface Golden {
  readonly next_token: Readonly<Record<string, GoldenCase & { readonly batch: GoldenBatch }>>
  readonly arm_preference: {
    readonly batch: GoldenBatch
    readonly cases: Readonly<Record<string, GoldenPairCase>>
  }
  readonly dpo: { readonly cases: Readonly<Record<string, GoldenPairCase>> }
  readonly lora: { readonly cases: Readonly<Record<string, GoldenAdapterCase>> }
  readonly adamw: Readonly<Record<string, GoldenTraining>>
  readonly schedules: {
    readonly warmup: number
    readonly total: number
    readonly factors: Readonly<Record<"linear" | "cosine" | "constant", readonly number[]>>
  }
}

/** The path of a folder of the fixtures. */
export function path(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}

/** The numbers. */
export const golden: Golden = JSON.parse(readFileSync(path("training_golden.json"), "utf8"))

/** A model to be trained, with the weights of a folder. */
export async function openTrainable(model: string): Promise<Trainable> {
  const { config: json } = await openModelFolder(path(model))
  const config = readLlamaConfig(json, model)
  const store = await openTensors(path(model))
  try {
    return fullWeights(config, await readParameters(config, store, { model }))
  } finally {
    await store.close()
  }
}

/** A batch of texts. */
export function batchOf({ ids, loss_mask: mask }: GoldenBatch): Batch {
  const [rows, tokens] = [ids.length, ids[0].length - 1]
  const flat = (part: (row: readonly number[]) => readonly number[]) => ids.flatMap(part)
  const scored = Float32Array.from(mask.flatMap((row) => row.slice(1)))
  return {
    rows,
    tokens,
    ids: BigInt64Array.from(flat((row) => row.slice(0, -1)), BigInt),
    targets: BigInt64Array.from(flat((row) => row.slice(1)), BigInt),
    mask: scored,
    unit: 1 / scored.reduce((sum, value) => sum + value, 0),
  }
}

/** A batch of pairs, the chosen rows before the rejected. */
export function pairBatchOf(batch: GoldenBatch): Batch {
  const pairs = batch.ids.length / 2
  return { ...batchOf(batch), unit: 1 / pairs, present: new Float32Array(pairs).fill(1) }
}

/** Runs steps of an objective. */
export async function withRunner<A>(
  trainable: Trainable,
  objective: { readonly plugin: ObjectivePlugin<never>; readonly options?: unknown },
  body: (runner: StepRunner) => Promise<A>,
  threads = 1,
): Promise<A> {
  const { plugin, options = {} } = objective
  const runner = new StepRunner(trainable, plugin.definition, options, threads)
  try {
    return await body(runner)
  } finally {
    await runner.close()
  }
}

/** The gradient's tensors under the names of the trained ones. */
export function namedGradient(trainable: Trainable, gradient: Float32Array): NamedTensor[] {
  return trainable.tensors().map(({ name, shape, data }) => {
    const begin = (data.byteOffset - trainable.values.byteOffset) / 4
    return { name, shape, data: gradient.subarray(begin, begin + data.length) }
  })
}

/**
 * Asserts that two floats agree but for what float32 rounds away; `size` is that of the numbers they
 * are sums of.
 */
export function assertClose(actual: number, expected: number, what: string, size = 1): void {
  const limit = 1e-5 * Math.max(size, Math.abs(expected))
  assert(Math.abs(actual - expected) <= limit, `${what}: expected ${expected}, found ${actual}`)
}

/** Relative to a tensor's norm: PyTorch's own float32 comes within 5e-6. */
const tolerance = 2e-5

/** Asserts that tensors are the golden ones, by name, none missing and none besides. */
export function assertTensors(
  found: readonly NamedTensor[],
  { gradients, gradient_summaries: summaries }: Pick<
    GoldenCase,
    "gradients" | "gradient_summaries"
  >,
): void {
  const expected = Object.keys(gradients ?? summaries ?? {})
  assert(expected.length > 0)
  const names = found.map(({ name }) => name)
  assert(`${names.toSorted()}` === `${expected.toSorted()}`, `${names} are not ${expected}`)
  for (const { name, data } of found) {
    if (gradients !== undefined) assertTensor(name, data, gradients[name])
    else assertSummary(name, data, summaries![name])
  }
}

function assertTensor(name: string, data: Float32Array, expected: readonly number[]): void {
  assert(data.length === expected.length, `${name} has ${data.length} numbers`)
  const norm = Math.hypot(...expected)
  const off = Math.hypot(...expected.map((value, i) => data[i] - value))
  assert(off <= tolerance * norm, `${name} is off by ${off / norm} of its norm, ${norm}`)
}

/** Asserts that a tensor has the golden summary. */
export function assertSummary(name: string, data: Float32Array, expected: Summary): void {
  const limit = tolerance * expected.norm
  const close = (actual: number, expected: number, what: string) =>
    assert(
      Math.abs(actual - expected) <= limit,
      `${what} of ${name}: expected ${expected}, found ${actual}`,
    )
  close(Math.hypot(...data), expected.norm, "the norm")
  expected.first.forEach((value, i) => close(data[i], value, `number ${i}`))
  let probed = 0
  data.forEach((value, i) => probed += value * Math.sin(i + 1))
  close(probed, expected.probed, "the probe")
}
