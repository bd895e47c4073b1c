/** From the data of a specification to batches of whatever the objective is trained on. */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { ObjectiveDefinition } from "../plugin/objective.ts"
import type { BatchSource } from "./batch_source.ts"
import type { TokenPair } from "./data/pairs.ts"
import type { DataRecord } from "./export/training_record.ts"
import { PairBatches, type PairBatchOptions } from "./pair_batches.ts"
import type { StepRunner } from "./step_runner.ts"
import { TextBatches } from "./text_batches.ts"
import type { CheckedSpec } from "./train_spec.ts"
import { preparePairs, prepareTexts, type TokenizeOptions } from "./training_data.ts"

/** The batches of a training. */
export interface PreparedBatches {
  readonly train: BatchSource
  readonly heldOut: BatchSource | undefined
  /** What became of the data. */
  readonly record: DataRecord
  /** All rows as ids. */
  readonly ids: {
    readonly train: readonly ArrayLike<number>[]
    readonly heldOut: readonly ArrayLike<number>[]
  }
}

/** Reads, tokenises and divides the data. */
export async function prepareBatches(
  spec: CheckedSpec,
  objective: ObjectiveDefinition,
  form: TokenizeOptions,
  batching: PairBatchOptions,
): Promise<PreparedBatches> {
  if (objective.data === "texts") {
    const { train, heldOut, record } = await prepareTexts(spec.data, spec.heldOut, form)
    const batches = (texts: typeof train) => new TextBatches(texts, batching)
    return {
      train: batches(train),
      heldOut: heldOut.length > 0 ? batches(heldOut) : undefined,
      record,
      ids: { train, heldOut },
    }
  }
  const { train, heldOut, record } = await preparePairs(spec.data, spec.heldOut, form)
  const batches = (pairs: typeof train) => new PairBatches(pairs, batching)
  const idsOf = (pairs: readonly TokenPair[]) =>
    pairs.flatMap(({ prompt, chosen, rejected }) => [prompt, chosen, rejected])
  return {
    train: batches(train),
    heldOut: heldOut.length > 0 ? batches(heldOut) : undefined,
    record,
    ids: { train: idsOf(train), heldOut: idsOf(heldOut) },
  }
}

/** Runs the frozen reference, which is the model before its first step, over all pairs. */
export async function runReference(
  { train, heldOut }: PreparedBatches,
  runner: StepRunner,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const source of [train, heldOut]) {
    if (!(source instanceof PairBatches)) continue
    await source.refer(async (batch) => {
      throwIfAborted(signal)
      return (await runner.evaluate(batch)).likelihoods
    })
  }
}

/** A tokenizer may know tokens that the model has no embedding of. */
export function checkIds({ ids }: PreparedBatches, size: number, model: string): void {
  for (const row of [...ids.train, ...ids.heldOut]) {
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
