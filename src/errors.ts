/**
 * The one error of the SDK. `reason` says, as a tagged union, what went wrong, so that a program
 * can decide on `error.reason._tag` (or with Effect's `catchReason`) while a person reads `message`:
 * what was expected, what was found, what to do.
 */

/** A graph, or a file holding one, is not what `defineGraph` takes; `path` leads to the place. */
export interface InvalidGraph {
  readonly _tag: "InvalidGraph"
  /** Keys from the root of the graph, e.g. `["rewards", "cheerful", "weight"]`. */
  readonly path: readonly (string | number)[]
}

/** An option of a call is out of its range or unknown. */
export interface InvalidOption {
  readonly _tag: "InvalidOption"
  /** Keys from the root of the options, e.g. `["weights", "cheerful"]`. */
  readonly path: readonly (string | number)[]
}

/** A graph names a plugin that is not registered. */
export interface UnknownPlugin {
  readonly _tag: "UnknownPlugin"
  readonly kind: string
  readonly name: string
  readonly known: readonly string[]
}

/** A model string names nothing that could be opened. */
export interface ModelNotFound {
  readonly _tag: "ModelNotFound"
  readonly model: string
}

/** A file of a model folder is missing, truncated, lies about its contents or cannot be read. */
export interface InvalidModelFile {
  readonly _tag: "InvalidModelFile"
  readonly file: string
}

/** The files are sound, but describe a model that cannot be run. */
export interface UnsupportedModel {
  readonly _tag: "UnsupportedModel"
  readonly model: string
}

/** Two models whose continuation ids would have to be shared disagree about them. */
export interface VocabularyMismatch {
  readonly _tag: "VocabularyMismatch"
  /** The reward term whose model disagrees with the base. */
  readonly term: string
}

/** A prompt or continuation that cannot be run: empty, too long, ids out of range ... */
export interface InvalidPrompt {
  readonly _tag: "InvalidPrompt"
}

/** A model or a plugin returned NaN, or left no token with a probability above zero. */
export interface NonFiniteScores {
  readonly _tag: "NonFiniteScores"
  /** `base`, or the name of the reward term. */
  readonly term: string
}

/** A plugin threw, or broke its contract. */
export interface PluginFailed {
  readonly _tag: "PluginFailed"
  readonly plugin: string
}

/** The runtime asked for is not on this machine. */
export interface RuntimeUnavailable {
  readonly _tag: "RuntimeUnavailable"
  readonly runtime: string
}

/** The execution engine failed; `cause` holds its own error. */
export interface EngineFailed {
  readonly _tag: "EngineFailed"
  readonly engine: string
}

/** A file of the model hub could not be fetched or was not what the hub had announced. */
export interface HubFailed {
  readonly _tag: "HubFailed"
  readonly url: string
}

/** The call was aborted; `cause` is the signal's reason. */
export interface Aborted {
  readonly _tag: "Aborted"
  readonly cause: unknown
  /** What had been generated, a `Generation` but for its `stopReason`; absent before a first token. */
  readonly partial?: unknown
}

/** The pipeline, engine or cache was closed before the call. */
export interface Closed {
  readonly _tag: "Closed"
}

/** Every way in which the SDK fails, told apart by `_tag`. */
export type GenArmReason =
  | InvalidGraph
  | InvalidOption
  | UnknownPlugin
  | ModelNotFound
  | InvalidModelFile
  | UnsupportedModel
  | VocabularyMismatch
  | InvalidPrompt
  | NonFiniteScores
  | PluginFailed
  | RuntimeUnavailable
  | EngineFailed
  | HubFailed
  | Aborted
  | Closed

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
  const reason: Aborted = partial === undefined
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
