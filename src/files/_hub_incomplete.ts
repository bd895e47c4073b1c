/** The file a download grows in: named after its version, beside the file it is to become. */
import { createHash, randomUUID } from "node:crypto"
import { readdir, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import type { RemoteFile } from "./_hub_remote.ts"

/**
 * `<file>.<16 hex digits>.incomplete`. The digits stand for the version (etag and size), so that
 * what another process left behind is gone on with exactly when the file has not changed; without
 * an identity they are random, and nobody goes on with it.
 */
export function incompletePath(
  target: string,
  { identity, size }: Pick<RemoteFile, "identity" | "size">,
): string {
  const version = identity === undefined ? randomUUID() : `${identity} ${size ?? ""}`
  const digits = createHash("sha256").update(version).digest("hex").slice(0, 16)
  return `${target}.${digits}.incomplete`
}

/** Removes what other versions of the file have left. */
export async function forgetOthers(target: string, path: string): Promise<void> {
  const folder = dirname(target)
  const start = `${basename(target)}.`
  for (const name of await readdir(folder)) {
    const other = name.startsWith(start) &&
      /^[0-9a-f]{16}\.incomplete$/.test(name.slice(start.length))
    if (other && name !== basename(path)) await rm(join(folder, name), { force: true })
  }
}

/** Whether there is a file of that name. */
export async function exists(path: string): Promise<boolean> {
  return await stat(path).then((found) => found.isFile(), () => false)
}
