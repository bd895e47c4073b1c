/** What there is to say about a training run, as plain data: the model card is written from it. */

/** A number, text or switch, or a list of them. */
export type Setting = string | number | boolean | readonly (string | number)[]

/** Settings by name. */
export type Settings = Readonly<Record<string, Setting>>

/** A source of training data. */
export interface DataRecord {
  /** A name, file or address. */
  readonly name: string
  /** How many texts or pairs were read. */
  readonly read: number
  /** How many of them were learnt from. */
  readonly kept: number
  /** How many were held out, and never learnt from. */
  readonly heldOut?: number
  /** What was dropped and why, or whatever else there is to say, as text. */
  readonly report?: string
  /** Under which terms it may be used. */
  readonly licence?: string
}

/** Figures of one step; absent where they were not taken. */
export interface CurvePoint {
  /** Steps taken before. */
  readonly step: number
  /** Mean loss since the point before. */
  readonly trainingLoss?: number
  /** Mean loss over the held-out data. */
  readonly heldOutLoss?: number
  /** Share of held-out pairs, 0 to 1, in which the chosen text scores higher. */
  readonly heldOutAccuracy?: number
}

/** A training run. */
export interface TrainingRecord {
  /** The name of what was trained. */
  readonly name: string
  /** What it is for, in a sentence or two. */
  readonly summary?: string
  /** The model that training began with: a name of the hub or a path; absent where it was new. */
  readonly base?: string
  /** Of an adapter; absent where all weights were trained. */
  readonly adapter?: {
    /** Rows of A and columns of B. */
    readonly rank: number
    /** The change to a weight is `alpha / rank * B A`. */
    readonly alpha: number
    /** The adapted modules. */
    readonly targets: readonly string[]
  }
  /** How many numbers the model has, its adapter included, and how many of them were trained. */
  readonly parameters: { readonly total: number; readonly trained: number }
  /** What it learnt from. */
  readonly data: readonly DataRecord[]
  /** The objective plugin and its options. */
  readonly objective: { readonly name: string; readonly options: Settings }
  /** Optimiser, schedule, batch and so on. */
  readonly hyperParameters: Settings
  /** Of everything random in the run. */
  readonly seed: number
  /** Updates of the weights. */
  readonly steps: number
  /** How long they took. */
  readonly seconds: number
  /** Tokens learnt from, each as often as it was seen. */
  readonly tokens: number
  /** Figures along the way, by rising step. */
  readonly curve: readonly CurvePoint[]
  /** Figures on held-out data before the first step, by name. */
  readonly before?: Readonly<Record<string, number>>
  /** The same at the end. */
  readonly heldOut: Readonly<Record<string, number>>
  /** Of programs and libraries, by name. */
  readonly versions: Readonly<Record<string, string>>
  /** The licence of the weights, e.g. `mit`; absent where it is not known. */
  readonly licence?: string
  /** Obligations that come with the base or the data, as text. */
  readonly licenceNotes?: string
  /** Language codes of the texts, e.g. `["en"]`. */
  readonly languages?: readonly string[]
}
