/** A model of a guided text, as strategies see it. */
import type { SequenceModel } from "../plugin/strategy.ts"
import type { ModelRun } from "./model_runs.ts"
import type { Sequence } from "./sequence.ts"
import type { SharedVocabulary } from "./vocabulary.ts"

/** A model run as a strategy sees it. */
export class RunView implements SequenceModel {
  readonly run: ModelRun
  readonly shared: SharedVocabulary | undefined

  readonly cost: number | undefined

  constructor(sequence: Sequence, run: ModelRun, shared?: SharedVocabulary) {
    this.run = run
    this.shared = shared
    const { stepCost } = run
    this.cost = stepCost === undefined ? undefined : stepCost / sequence.stepCost
  }

  get room(): number {
    return Math.max(0, this.run.engine.contextLength - this.run.ids.length + 1)
  }

  logProbs(ahead: number, out: Float32Array): void {
    const { rows, previewed, has } = this.run
    // A token that the model lacks leaves it where it was.
    const row = ahead <= previewed.length
      ? rows[previewed.slice(0, ahead).filter(has).length]
      : undefined
    if (row === undefined) {
      throw new RangeError(
        `expected tokens that the model has read, 0 to ${previewed.length} ahead, ` +
          `found ${ahead}: preview them first`,
      )
    }
    const size = this.shared?.size ?? row.length
    out.set(row.length === size ? row : row.subarray(0, size))
    out.fill(-Infinity, size)
    for (const id of this.shared?.missing ?? []) out[id] = -Infinity
  }
}
