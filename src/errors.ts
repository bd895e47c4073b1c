/**
 * The one error of the SDK. `reason` says, as a tagged union, what went wrong, so that a program
 * can decide on `error.reason._tag` (or with Effect's `catchReason`) while a person reads `message`:
 * what was expected, what was found, what to do.
 */

/** Every way in which the SDK fails, told apart by `_tag`. */
export type GenArmReason =
  /** A graph, or data for one, is not what `defineGraph` takes; `path` leads to the place. */
  | { readonly _tag: "InvalidGraph"; readonly path: readonly (string | number)[] }
  /** The text of a formula cannot be read; `position` is the index in it, in UTF-16 units. */
  | { readonly _tag: "InvalidFormula"; readonly text: string; readonly position: number }
  /** The file of a graph cannot be read, or is neither JSON nor YAML. */
  | { readonly _tag: "InvalidGraphFile"; readonly file: string }
  /** A graph's file asks for a module of plugins that the program has not allowed. */
  | {
    readonly _tag: "PluginNotAllowed"
    readonly specifier: string
    readonly allowed: readonly string[]
  }
  /** An option of a call is out of its range or unknown; `path` leads to it. */
  | { readonly _tag: "InvalidOption"; readonly path: readonly (string | number)[] }
  /** A graph names a plugin that is not registered. */
  | {
    readonly _tag: "UnknownPlugin"
    readonly kind: string
    readonly name: string
    readonly known: readonly string[]
  }
  /** A model string names nothing that could be opened. */
  | { readonly _tag: "ModelNotFound"; readonly model: string }
  /** A file of a model is missing, truncated, lies about its contents or cannot be read. */
  | { readonly _tag: "InvalidModelFile"; readonly file: string }
  /** A file of training data cannot be read, or holds something else; `field` is dotted. */
  | {
    readonly _tag: "InvalidDataFile"
    readonly file: string
    readonly line?: number
    readonly field?: string
  }
  /** No example is left to train on; `report` says what became of them, as a `PreferenceReport`. */
  | { readonly _tag: "NoTrainingData"; readonly report?: unknown }
  /** The loss or its gradient is no number, or has grown far beyond where it began. */
  | {
    readonly _tag: "TrainingDiverged"
    readonly step: number
    readonly loss: number
    readonly gradientNorm: number
    readonly learningRate: number
  }
  /** A checkpoint belongs to another training; `differing` names what is not the same. */
  | {
    readonly _tag: "CheckpointMismatch"
    readonly file: string
    readonly differing: readonly string[]
  }
  /** A file could not be written: a full disk, a folder without permission ... */
  | { readonly _tag: "WriteFailed"; readonly file: string }
  /** The files are sound, but describe a model that cannot be run. */
  | { readonly _tag: "UnsupportedModel"; readonly model: string }
  /** The base and the model of a reward term disagree about ids, or share fewer than half of the base's. */
  | { readonly _tag: "VocabularyMismatch"; readonly term: string }
  /** A prompt or continuation that cannot be run: empty, too long, ids out of range ... */
  | { readonly _tag: "InvalidPrompt" }
  /** A model or reward gave NaN, or no token is left; `term` is a model, `base` or a reward's name. */
  | { readonly _tag: "NonFiniteScores"; readonly term: string }
  /** A plugin threw, or broke its contract. */
  | { readonly _tag: "PluginFailed"; readonly plugin: string }
  /** The runtime asked for is not on this machine. */
  | { readonly _tag: "RuntimeUnavailable"; readonly runtime: string }
  /** The execution engine failed; the error's `cause` is its own. */
  | { readonly _tag: "EngineFailed"; readonly engine: string }
  /** A file of the model hub could not be fetched, or was not what the hub had announced. */
  | { readonly _tag: "HubFailed"; readonly url: string }
  /**
   * The call was aborted: `cause` is the signal's reason, `partial` what had been generated, a
   * `Generation` but for its `stopReason`.
   */
  | { readonly _tag: "Aborted"; readonly cause: unknown; readonly partial?: unknown }
  /** The pipeline, engine or cache was closed before the call. */
  | { readonly _tag: "Closed" }

/**
 * The error every call of the SDK rejects or throws with.
 *
 * @example
 * ```ts
 * import { defineGraph, GenArmError } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * try {
 *   defineGraph({ base: "./model", rewards: { kind: { reward: "no plugin", weight: 1 } } } as never)
 * } catch (error) {
 *   if (!(error instanceof GenArmError)) throw error
 *   assertEquals(error.reason, { _tag: "InvalidGraph", path: ["rewards", "kind", "reward"] })
 * }
 * ```
 */
export class GenArmError extends Error {
  /** The same on every instance, for `Effect.catchTag`. */
  readonly _tag: "GenArmError" = "GenArmError"
  /** What went wrong, as data. */
  readonly reason: GenArmReason

  /** An error with its reason, and a message that says what was expected, found, and to be done. */
  constructor(reason: GenArmReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = "GenArmError"
    this.reason = reason
  }

  /** What had been generated before an abort; `undefined` for every other reason. */
  get partial(): unknown {
    return this.reason._tag === "Aborted" ? this.reason.partial : undefined
  }
}

/** The error of an aborted call; `partial` is what had been generated. */
export function aborted(signal: AbortSignal, partial?: unknown): GenArmError {
  const cause: unknown = signal.reason
  const reason: GenArmReason = partial === undefined
    ? { _tag: "Aborted", cause }
    : { _tag: "Aborted", cause, partial }
  return new GenArmError(reason, `aborted: ${cause instanceof Error ? cause.message : cause}`, {
    cause,
  })
}

/** Throws the error of an aborted call when the signal has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal)
}

/** The text of anything thrown, for use inside a message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
