/**
 * Files that are there whole or not at all. What is written goes to a temporary file beside, is
 * flushed to the disk, and then renamed over: a kill at any moment leaves the old file or the new
 * one, and a write that fails leaves the old one and no litter.
 */
import { randomUUID } from "node:crypto"
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"

/** Writes a small file; text as UTF-8. Folders on the way are made. */
export function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
  return replaceFile(path, (file) => writeAll(file, bytes))
}

/**
 * Writes a file of any size piece by piece: `write` gets the temporary file, and only what it has
 * written without failing becomes the file of this name.
 */
export async function replaceFile(
  path: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `${basename(path)}.${randomUUID().slice(0, 8)}${suffix}`)
  try {
    await mkdir(folder, { recursive: true })
    await removeLeftovers(folder, basename(path))
    const file = await open(temporary, "wx")
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    if (error instanceof GenArmError) throw error
    const old = await stat(path).then(() => "; the file that was there is untouched", () => "")
    throw new GenArmError(
      { _tag: "WriteFailed", file: path },
      `${path} could not be written: ${messageOf(error)}${old}; check the space left on the disk ` +
        "and the permissions of the folder",
      { cause: error },
    )
  }
}

/** Writes all of the bytes at the file's position: one call to the system may take only some. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(bytes.length - done, 1 << 30)
    const { bytesWritten } = await file.write(bytes, done, length)
    if (bytesWritten === 0) throw new Error(`the system took none of ${length} bytes`)
    done += bytesWritten
  }
}

const suffix = ".writing"

/** After so long without a write, a temporary file belongs to no living program. */
const abandonedMs = 60 * 60 * 1000

/** Removes what killed programs have left of this file. */
async function removeLeftovers(folder: string, name: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith(`${name}.`) || !entry.endsWith(suffix)) continue
    const path = join(folder, entry)
    const info = await stat(path).catch(() => undefined)
    if (info !== undefined && Date.now() - info.mtimeMs > abandonedMs) {
      await rm(path, { force: true }).catch(() => {})
    }
  }
}

/** So that the new name outlives a loss of power; where folders cannot be opened, it is not needed. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}
