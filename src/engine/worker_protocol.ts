/** The messages between a program and an engine that runs in a worker; plain data throughout. */
import { GenArmError, type GenArmReason, messageOf } from "../errors.ts"

/** One row of a forward call; caches go by number. */
export interface RemoteRow {
  readonly cache: number
  readonly tokens: readonly number[]
  readonly want: "last" | "all"
}

/** From the program to the worker, handled in this order one after the other. */
export type Request<Spec> =
  | { readonly kind: "start"; readonly spec: Spec }
  | { readonly kind: "open"; readonly cache: number; readonly adapter?: string | undefined }
  | {
    readonly kind: "fork"
    readonly cache: number
    readonly from: number
    readonly adapter?: string | undefined
  }
  | { readonly kind: "truncate"; readonly cache: number; readonly length: number }
  | { readonly kind: "free"; readonly cache: number }
  | {
    readonly kind: "forward"
    readonly rows: readonly RemoteRow[]
    /** Where what the model gives for all rows goes, one after the other. */
    readonly output: SharedArrayBuffer
  }
  | { readonly kind: "close" }

/** From the worker to the program. */
export type Reply =
  | ({ readonly kind: "started" } & EngineSizes)
  | { readonly kind: "progress"; readonly loaded: number; readonly total: number }
  | { readonly kind: "failed"; readonly error: RemoteError }
  | { readonly kind: "ran"; readonly errors: readonly (RemoteError | null)[] }
  | { readonly kind: "closed" }

/** What the program knows of an engine in a worker. */
export interface EngineSizes {
  readonly vocabularySize: number
  readonly width: number
  readonly contextLength: number
  readonly adapters: readonly string[]
  /** Adapters for which `sharesCaches` holds. */
  readonly sharing: readonly string[]
  readonly bytesPerToken?: number
}

/** An error as plain data. */
export interface RemoteError {
  readonly message: string
  readonly reason?: GenArmReason
}

/** Packs an error for the way back. */
export function packError(error: unknown): RemoteError {
  const message = messageOf(error)
  return error instanceof GenArmError ? { message, reason: error.reason } : { message }
}

/** Unpacks an error of a worker. */
export function unpackError({ message, reason }: RemoteError, engine: string): GenArmError {
  return new GenArmError(reason ?? { _tag: "EngineFailed", engine }, message)
}
