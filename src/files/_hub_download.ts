/** One file of the hub, tried until it is complete under its real name. */
import { mkdir, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { clearTimeout, setTimeout } from "node:timers"
import { setTimeout as sleep } from "node:timers/promises"
import { GenArmError } from "../errors.ts"
import { gaveUp, Interrupted, Refused, throwIfStopped } from "./_hub_errors.ts"
import { unreachable, unwritable } from "./_hub_errors.ts"
import { exists, forgetOthers, incompletePath } from "./_hub_incomplete.ts"
import type { HubPlace } from "./_hub_place.ts"
import type { RemoteFile } from "./_hub_remote.ts"
import { inspect } from "./_hub_request.ts"
import type { Report } from "./_hub_share.ts"
import { transfer } from "./_hub_transfer.ts"
import { verify } from "./_hub_verify.ts"

/** How long a download bears with a bad connection. */
export interface Patience {
  /** The pauses before the second, third ... try in a row that gets no further. */
  readonly delaysMs: readonly number[]
  /** A connection silent for so long counts as cut. */
  readonly silenceMs: number
}

/** One file to download. */
export interface Download {
  readonly place: HubPlace
  readonly file: string
  readonly signal: AbortSignal
  /** Called when a try starts, and after every piece. */
  readonly report: Report
  /** Shared by the files of a model: once the hub has answered, a failing connection is retried. */
  readonly contact: { reached: boolean }
  readonly patience?: Patience
}

const PATIENCE: Patience = { delaysMs: [200, 600, 1800, 5400], silenceMs: 30_000 }
/** A try that moved so many bytes was a good one, and the pauses begin anew. */
const GOOD_TRY_BYTES = 1 << 20
const MAX_RETRY_AFTER_MS = 10_000
const MAX_TRIES = 10_000

/** The path of one file of a model. */
export function pathOf(folder: string, file: string): string {
  return join(folder, ...file.split("/"))
}

/** Downloads the file; `false` when the repository does not have it. */
export async function download(task: Download): Promise<boolean> {
  const { file, signal, contact, patience = PATIENCE } = task
  const place: HubPlace = {
    ...task.place,
    fetch: async (url, init) => {
      const response = await task.place.fetch(url, init)
      contact.reached = true
      return response
    },
  }
  const url = place.url(file)
  let furthest = 0
  let failures = 0
  for (let tries = 1;; tries++) {
    const before = furthest
    try {
      return await attempt({ ...task, place }, patience.silenceMs, (loaded, total) => {
        furthest = Math.max(furthest, loaded)
        task.report(loaded, total)
      })
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
      if (!contact.reached) throw unreachable(place, url, error)
      if (furthest - before >= GOOD_TRY_BYTES) failures = 0
      const delay = patience.delaysMs[failures++]
      if (delay === undefined || tries === MAX_TRIES) throw gaveUp(place, url, tries, error)
      const wait = Math.max(delay, Math.min(error.retryAfterMs, MAX_RETRY_AFTER_MS))
      await sleep(wait, undefined, { signal }).catch(() => throwIfStopped(signal))
    }
  }
}

async function attempt(
  { place, file, signal }: Download,
  silenceMs: number,
  moved: Report,
): Promise<boolean> {
  throwIfStopped(signal)
  const url = place.url(file)
  const target = pathOf(place.folder, file)
  const silence = new AbortController()
  const silent = new Interrupted(`${url} was silent for ${silenceMs / 1000} s`)
  const timer = setTimeout(() => silence.abort(silent), silenceMs)
  const watched = AbortSignal.any([signal, silence.signal])
  let path: string | undefined
  let remote: RemoteFile | undefined
  try {
    remote = await inspect(place, file, watched)
    if (remote === undefined) return false
    path = incompletePath(target, remote)
    await prepare(url, target, path)
    const known = await transfer({
      place,
      url,
      path,
      remote,
      signal: watched,
      moved: (loaded, total) => {
        timer.refresh()
        moved(loaded, total)
      },
    })
    // Hashing a large file takes its time, and the connection has done its part.
    clearTimeout(timer)
    await complete(url, path, target, () => verify(url, path as string, known, signal))
    return true
  } catch (error) {
    // A version without an identity could not be told again by the next try.
    const useless = error instanceof Refused || remote?.identity === undefined
    if (useless && path !== undefined) await rm(path, { force: true }).catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Verifies the file and gives it its real name. */
async function complete(
  url: string,
  path: string,
  target: string,
  check: () => Promise<void>,
): Promise<void> {
  try {
    await check()
    await rename(path, target)
  } catch (error) {
    if (error instanceof GenArmError) throw error
    // Another process may have been faster with the same version.
    if (!await exists(target)) throw unwritable(url, target, error)
    await rm(path, { force: true }).catch(() => {})
  }
}

async function prepare(url: string, target: string, path: string): Promise<void> {
  try {
    await mkdir(dirname(target), { recursive: true })
    await forgetOthers(target, path)
  } catch (error) {
    throw unwritable(url, target, error)
  }
}
