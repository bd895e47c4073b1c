/** What a training must have in common with the one whose checkpoint it goes on from. */
import type { Fingerprint } from "./checkpoint.ts"
import type { PreparedBatches } from "./prepare_batches.ts"
import type { CheckedSpec } from "./train_spec.ts"
import type { Trainable } from "./trainable.ts"

/** Everything on which the steps depend. */
export function fingerprintOf(
  spec: CheckedSpec,
  trainable: Trainable,
  data: PreparedBatches,
  derived: { readonly steps: number; readonly warmup: number; readonly tokens: number },
): Fingerprint {
  return {
    architecture: trainable.weights.map(({ name, shape }) => `${name} [${shape}]`).join(" "),
    adapter: spec.adapter ?? null,
    objective: { plugin: spec.objective.plugin, options: spec.objective.options },
    examples: data.train.examples,
    batch: spec.batch,
    accumulate: spec.accumulate,
    optimizer: spec.optimizer,
    schedule: spec.schedule,
    evaluate: spec.evaluate ?? null,
    logEvery: spec.logEvery ?? null,
    checkpointEvery: spec.checkpointEvery ?? null,
    seed: spec.seed,
    ...derived,
    digest: digestOf(data.ids.train),
    heldOut: digestOf(data.ids.heldOut),
    base: digestOf(trainable.weights.map(({ values }) => bitsOf(values))),
  }
}

/** A number that differs for different data (FNV-1a). */
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
