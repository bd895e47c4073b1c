/** Where the batches of a training come from. */
import type { Batch } from "./batch.ts"

/** Data cut into batches; any step can be asked for again, so that a training can be resumed. */
export interface BatchSource {
  /** Texts or pairs. */
  readonly examples: number
  /** What one pass has of what a step counts: windows, or pairs. */
  readonly perEpoch: number
  /** The batches of a step, whose losses add up to the step's mean. */
  step(step: number): Batch[]
  /** All data once, in batches whose losses add up to the mean. */
  evaluation(): Batch[]
}
