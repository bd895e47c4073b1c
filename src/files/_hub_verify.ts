/** Whether a downloaded file is what the hub had announced. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import { Refused, throwIfStopped } from "./_hub_errors.ts"
import type { RemoteFile } from "./_hub_remote.ts"

/**
 * Checks the size and the hash of the file on disk: the disk and not the stream is read, so that
 * what an earlier process left behind is checked with the rest. Throws `Refused`.
 */
export async function verify(
  url: string,
  path: string,
  remote: RemoteFile,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(path)
  if (remote.size !== undefined && size !== remote.size) {
    throw new Refused(url, "size", `${remote.size} bytes`, `${size} bytes`)
  }
  if (remote.digest === undefined) return
  const { kind, hex } = remote.digest
  const hash = createHash(kind === "sha256" ? "sha256" : "sha1")
  // The etag of a file kept in git itself is the id of its blob.
  if (kind === "git") hash.update(`blob ${size}\0`)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    throwIfStopped(signal)
    hash.update(chunk)
  }
  const found = hash.digest("hex")
  if (found !== hex) {
    throw new Refused(url, kind === "sha256" ? "SHA-256" : "git SHA-1", hex, found)
  }
}
