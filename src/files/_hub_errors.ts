/** The errors of a hub download: what was expected, what was found, how to go on. */
import { aborted, GenArmError, messageOf } from "../errors.ts"
import type { HubPlace } from "./_hub_place.ts"

/**
 * Something that may work at the next try: a cut connection, a busy server, a file that changed
 * in between. It never leaves the download.
 */
export class Interrupted extends Error {
  /** How long the server asks to wait. */
  readonly retryAfterMs: number

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = "Interrupted"
    this.retryAfterMs = options.retryAfterMs ?? 0
  }
}

/** Throws when the caller aborted the signal, or when a silent connection did. */
export function throwIfStopped(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw signal.reason instanceof Interrupted ? signal.reason : aborted(signal)
}

/** The way out for a machine without the network. */
function folderAdvice({ reference: { repository, revision } }: HubPlace): string {
  const folder = `./${repository.split("/")[1]}`
  const at = revision === "main" ? "" : ` --revision ${revision}`
  return `To go on without the hub, download the folder on a machine that reaches it ` +
    `(hf download ${repository}${at} --local-dir ${folder}) and name it as a path, ` +
    `e.g. { base: "${folder}" }`
}

/** Nothing answered at the address. */
export function unreachable(place: HubPlace, url: string, cause: unknown): GenArmError {
  return new GenArmError(
    { _tag: "HubFailed", url },
    `could not reach ${url}: ${messageOf(cause)}. ${place.model} is not completely in ` +
      `${place.folder}. ${folderAdvice(place)}`,
    { cause },
  )
}

/** The settings forbid to ask the hub. */
export function remoteForbidden(place: HubPlace, file: string): GenArmError {
  return new GenArmError(
    { _tag: "HubFailed", url: place.url(file) },
    `expected ${file} in ${place.folder}, and it is not there; env.allowRemoteModels of ` +
      `@huggingface/transformers is false, so the hub is not asked. ${folderAdvice(place)}`,
  )
}

/** Every try was interrupted; what is on disk stays there for the next call. */
export function gaveUp(place: HubPlace, url: string, tries: number, cause: unknown): GenArmError {
  return new GenArmError(
    { _tag: "HubFailed", url },
    `gave up on ${url} after ${tries} tries; the last one: ${messageOf(cause)}. ` +
      `The next call goes on where this one stopped. ${folderAdvice(place)}`,
    { cause },
  )
}

/** What arrived is not what the hub had announced; the incomplete file goes with it. */
export class Refused extends GenArmError {
  constructor(url: string, what: string, expected: string, found: string) {
    super(
      { _tag: "HubFailed", url },
      `${url} has the wrong ${what}: expected ${expected}, found ${found}. What had been ` +
        `downloaded is deleted; try again, and if it stays so, the hub's copy is broken`,
    )
  }
}

/** The disk refused: full, read-only, not ours. */
export function unwritable(url: string, file: string, cause: unknown): GenArmError {
  const code = (cause as { code?: unknown } | undefined)?.code
  const advice = code === "ENOSPC" || code === "EDQUOT"
    ? "the disk is full: free some space"
    : "make the folder writable"
  return new GenArmError(
    { _tag: "HubFailed", url },
    `cannot write ${file}: ${messageOf(cause)}; ${advice}, or set env.cacheDir of ` +
      `@huggingface/transformers to another folder`,
    { cause },
  )
}

/** 401, 403, or 404 of the repository or its revision. */
export function denied(place: HubPlace, url: string, response: Response): GenArmError {
  const said = response.headers.get("x-error-message")
  return new GenArmError(
    { _tag: "ModelNotFound", model: place.model },
    `${url} answers ${response.status}${said ? ` (${said})` : ""}: check the name ` +
      `${place.model}, and for a gated or private model set HF_TOKEN to a token that may read it`,
  )
}

/** A repository without a file that every model needs. */
export function lacks(place: HubPlace, files: readonly string[], purpose: string): GenArmError {
  return new GenArmError(
    { _tag: "ModelNotFound", model: place.model },
    `${place.model} has no ${purpose}: looked for ${files.join(", ")} at ` +
      `${place.url("")} and found none. Check the name and the revision`,
  )
}

/** Whether the error says nothing but that the hub does not serve us now. */
export function isHubOutage(error: unknown): boolean {
  return error instanceof GenArmError && !(error instanceof Refused) &&
    (error.reason._tag === "ModelNotFound" || error.reason._tag === "HubFailed")
}
