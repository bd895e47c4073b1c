/** Whether two paths name one file or folder, links followed; what is not there is compared as named. */
import { realpath } from "node:fs/promises"
import { resolve } from "node:path"

/** Compares two paths. */
export async function isSamePlace(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all(
    [a, b].map((path) => realpath(path).catch(() => resolve(path))),
  )
  return first === second
}
