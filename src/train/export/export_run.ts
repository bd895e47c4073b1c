/** Writing what a training gave: the model or adapter, its tokenizer, and its card. */
import { basename, join } from "node:path"
import type { CheckedSpec } from "../train_spec.ts"
import type { Trainable } from "../trainable.ts"
import type { TrainerResult } from "../trainer.ts"
import type { LogEntry } from "../training_log.ts"
import { exportAdapter } from "./export_adapter.ts"
import { exportModel } from "./export_model.ts"
import { writeModelCard } from "./model_card.ts"
import type { CurvePoint, DataRecord, Settings } from "./training_record.ts"

/** A training that has ended. */
export interface FinishedRun extends TrainerResult {
  /** Figures of the held-out data before the first step. */
  readonly before: Readonly<Record<string, number>>
  /** The same at the end. */
  readonly heldOut: Readonly<Record<string, number>>
  readonly record: DataRecord
}

/** Writes the folder. */
export async function exportRun(
  spec: CheckedSpec,
  trainable: Trainable,
  baseFolder: string,
  run: FinishedRun,
  derived: {
    readonly warmup: number
    readonly tokens: number
    readonly runtime: Readonly<Record<string, string>>
  },
): Promise<void> {
  const { out, dtype, adapter, optimizer, card = {} } = spec
  const baseName = card.base ?? spec.base.model
  const tensors = trainable.tensors()
  if (adapter === undefined) {
    await exportModel({ out, config: trainable.config, tensors, dtype, baseFolder })
  } else {
    await exportAdapter({ out, baseName, ...adapter, tensors, dtype })
  }
  const weights = trainable.weights.reduce((sum, { values }) => sum + values.length, 0)
  const trained = trainable.values.length
  await writeModelCard(out, {
    name: card.name ?? basename(join(out)),
    ...card.summary !== undefined && { summary: card.summary },
    base: baseName,
    ...adapter && { adapter },
    parameters: { total: adapter === undefined ? weights : weights + trained, trained },
    data: [run.record],
    objective: { name: spec.objective.plugin, options: spec.objective.options as Settings },
    hyperParameters: {
      batch: spec.batch,
      accumulate: spec.accumulate,
      "tokens per row": derived.tokens,
      ...optimizer,
      schedule: spec.schedule,
      warmup: derived.warmup,
    },
    seed: spec.seed,
    steps: run.steps,
    seconds: run.seconds,
    tokens: run.tokens,
    curve: run.log.entries.map(pointOf),
    before: run.before,
    heldOut: run.heldOut,
    versions: derived.runtime,
    ...card.licence !== undefined && { licence: card.licence },
    ...card.licenceNotes !== undefined && { licenceNotes: card.licenceNotes },
    ...card.languages !== undefined && { languages: card.languages },
  })
}

function pointOf(entry: LogEntry): CurvePoint {
  if ("train" in entry) return { step: entry.step, trainingLoss: entry.train.loss }
  const accuracy = entry.heldOut["rewards/accuracies"]
  return {
    step: entry.step,
    heldOutLoss: entry.heldOut.loss,
    ...accuracy !== undefined && { heldOutAccuracy: accuracy },
  }
}
