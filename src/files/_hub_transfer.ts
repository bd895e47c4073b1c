/** One connection of a download: from what is already on disk to the end, or to the cut. */
import { constants } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { GenArmError, messageOf } from "../errors.ts"
import { Interrupted, Refused, throwIfStopped, unwritable } from "./_hub_errors.ts"
import type { HubPlace } from "./_hub_place.ts"
import { type RemoteFile, totalSize } from "./_hub_remote.ts"
import { failedStatus, request } from "./_hub_request.ts"
import type { Report } from "./_hub_share.ts"

/** What one connection is for. */
export interface Transfer {
  readonly place: HubPlace
  readonly url: string
  /** The incomplete file; made when it is not there. */
  readonly path: string
  readonly remote: RemoteFile
  readonly signal: AbortSignal
  /** Called with the bytes on disk and the bytes in all, after every piece. */
  readonly moved: Report
}

/**
 * Fetches what the incomplete file lacks and leaves it on disk, complete and fsynced; the result
 * is what is known about the file by then. Throws `Interrupted` when another try may get further.
 */
export async function transfer(task: Transfer): Promise<RemoteFile> {
  const { path, remote } = task
  // Neither append nor truncate: two processes that fetch the same version write the same bytes
  // to the same places and cannot harm each other.
  const handle = await onDisk(task, () => open(path, constants.O_RDWR | constants.O_CREAT, 0o666))
  try {
    let start = (await onDisk(task, () => handle.stat())).size
    if (remote.size !== undefined && start > remote.size) {
      await onDisk(task, () => handle.truncate(0))
      start = 0
    }
    task.moved(start, remote.size)
    const known = start === remote.size ? remote : await receive(task, handle, start)
    await onDisk(task, () => handle.sync())
    return known
  } finally {
    await onDisk(task, () => handle.close())
  }
}

async function receive(task: Transfer, handle: FileHandle, start: number): Promise<RemoteFile> {
  const { place, remote, url, signal } = task
  const headers: Record<string, string> = {}
  if (start > 0) {
    headers["range"] = `bytes=${start}-`
    if (remote.ifRange !== undefined) headers["if-range"] = remote.ifRange
  }
  const { response, remote: now } = await request(place, "GET", url, headers, signal)
  const { body } = response
  const total = remote.size ?? totalSize(response)
  const cut = (cause?: unknown) =>
    new Interrupted(
      `the connection to ${url} was cut at ${position} of ${
        total ?? "an unknown number of"
      } bytes` +
        (cause === undefined ? "" : ` (${messageOf(cause)})`),
      { cause },
    )
  let position = start
  try {
    position = await startOf(task, handle, response, start, now)
    if (body === null && total !== 0) throw new Interrupted(`${url} answers without content`)
    for await (const chunk of body ?? []) {
      throwIfStopped(signal)
      if (total !== undefined && position + chunk.length > total) {
        throw new Refused(
          url,
          "size",
          `${total} bytes`,
          `at least ${position + chunk.length} bytes`,
        )
      }
      await onDisk(task, () => writeAll(handle, chunk, position))
      position += chunk.length
      task.moved(position, total)
    }
    throwIfStopped(signal)
    if (total !== undefined && position < total) throw cut()
    // A server may say more with the content than without it.
    return { ...remote, size: total, digest: remote.digest ?? now.digest }
  } catch (error) {
    await body?.cancel().catch(() => {})
    if (error instanceof GenArmError || error instanceof Interrupted) throw error
    throwIfStopped(signal)
    throw cut(error)
  }
}

/** Where the bytes of this response begin, after every check that its headers allow. */
async function startOf(
  task: Transfer,
  handle: FileHandle,
  response: Response,
  start: number,
  now: RemoteFile,
): Promise<number> {
  const { remote, url } = task
  const { status } = response
  if (status !== 200 && status !== 206 && status !== 416) throw failedStatus(url, response)
  const total = totalSize(response)
  if (
    now.identity !== undefined && remote.identity !== undefined && now.identity !== remote.identity
  ) {
    throw new Interrupted(`${url} changed while it was downloaded`)
  }
  if (remote.size !== undefined && total !== undefined && total !== remote.size) {
    throw new Refused(url, "size", `${remote.size} bytes`, `${total} bytes`)
  }
  const first = status === 206
    ? Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1])
    : 0
  if (status === 416 || (first !== start && first !== 0)) {
    await onDisk(task, () => handle.truncate(0))
    throw new Interrupted(`${url} does not go on at byte ${start}`)
  }
  // What is left of an earlier try may be longer than a file of unknown size.
  if (first === 0 && remote.size === undefined) {
    await onDisk(task, () => handle.truncate(0))
  }
  return first
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    if (bytesWritten === 0) throw new Error("nothing more could be written")
    done += bytesWritten
  }
}

/** Runs work on the incomplete file; what goes wrong there is the disk's fault, not the hub's. */
async function onDisk<T>({ url, path }: Transfer, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw unwritable(url, path, error)
  }
}
