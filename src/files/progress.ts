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
