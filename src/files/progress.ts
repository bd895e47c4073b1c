/** What a long piece of work reports while it runs. */

/** One report of progress: how far the download or the loading of a model is. */
export interface Progress {
  /** `download` counts bytes of one file; `load` counts bytes of weights read into the engine. */
  readonly stage: "download" | "load"
  /** The model as the graph names it. */
  readonly model: string
  /** The file at work, relative to the model's folder. */
  readonly file: string
  /** Bytes done so far. */
  readonly loaded: number
  /** Bytes in all, where known. */
  readonly total?: number
}

/** Called with every report of progress; it must return quickly. */
export type OnProgress = (progress: Progress) => void

/** One report of a training, after every step. */
export interface TrainingProgress {
  /** Always this. */
  readonly stage: "train"
  /** Steps taken, and in all. */
  readonly step: number
  /** Steps in all. */
  readonly steps: number
  /** The loss of the last step. */
  readonly loss: number
  /** The share of pairs ranked rightly in the last step, for preferences. */
  readonly accuracy?: number
  /** The latest loss of the held-out data. */
  readonly heldOutLoss?: number
  /** Tokens a second, padding included. */
  readonly tokensPerSecond: number
  /** Time left, in seconds. */
  readonly secondsLeft: number
}
