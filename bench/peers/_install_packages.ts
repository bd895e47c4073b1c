/** Packages of peers: each set in a folder of its own, so that they are no dependency of the project. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { promisify } from "node:util"

/**
 * Installs packages with npm into the folder `name` of the user's cache, where that has not been
 * done; gives the folder. Runs no install script. Throws with the reason where it cannot.
 */
export async function installPackages(
  name: string,
  packages: readonly string[],
  options: readonly string[] = [],
): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache")
  const folder = join(cache, "genarm-peers", name)
  if (existsSync(join(folder, "installed"))) return folder
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }))
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
  const npm = ["install", ...quiet, ...options, ...packages]
  await promisify(execFile)("npm", npm, { cwd: folder, timeout: 300_000 }).catch((error) => {
    throw new Error(`npm failed: ${error.stderr?.trim().split("\n")[0] || error.message}`)
  })
  await writeFile(join(folder, "installed"), "") // last, so that half an install is none
  return folder
}
