/** Files of preferences: made for one test, and real ones beside the project. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { PreferencePair } from "../../../src/train/data/pairs.ts"
import {
  type PreferenceFile,
  readPreferences,
  type ReadPreferencesOptions,
} from "../../../src/train/data/preferences.ts"
import { temporaryFolder } from "../../files/_altered.ts"

/** Lines of JSON. */
export function jsonLines(rows: readonly unknown[]): string {
  return rows.map((row) => JSON.stringify(row) + "\n").join("")
}

/** Runs `body` with a file of this content. */
export async function withFile<A>(
  content: string | Uint8Array,
  body: (path: string) => Promise<A>,
  name = "preferences.jsonl",
): Promise<A> {
  using folder = temporaryFolder()
  const path = join(folder.path, name)
  writeFileSync(path, content)
  return await body(path)
}

/** The pairs of a file of this content, and the file's reader. */
export function readAll(
  content: string | Uint8Array,
  options?: ReadPreferencesOptions,
): Promise<{ readonly pairs: readonly PreferencePair[]; readonly file: PreferenceFile }> {
  return withFile(content, async (path) => {
    const file = readPreferences(path, options)
    return { pairs: await Array.fromAsync(file), file }
  })
}

/** Published preferences, where they are present. */
export function published(name: string): { path: string; missing: string | false } {
  const url = new URL(`../../../../shared/data/preferences/${name}`, import.meta.url)
  const path = fileURLToPath(url)
  return { path, missing: existsSync(path) ? false : `${name} is not beside the project` }
}
