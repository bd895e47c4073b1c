/**
 * Where files that were computed from a model's files may be kept: in the model's folder, so that
 * they go wherever it goes and are removed with it, or in the user's cache where that folder cannot
 * be written. `GENARM_CACHE` names another folder for all of them, or with `off` keeps none.
 */
import { createHash } from "node:crypto"
import { homedir } from "node:os"
import { basename, isAbsolute, join, resolve } from "node:path"
import process from "node:process"

/** Folders for what is computed from the model in a folder, the first choice first; none if refused. */
export function cachePlaces(
  modelFolder: string,
  variable: (name: string) => string | undefined = environment,
): string[] {
  const chosen = variable("GENARM_CACHE")
  if (chosen === "off") return []
  const digest = createHash("sha256").update(resolve(modelFolder)).digest("hex").slice(0, 16)
  const own = `${basename(modelFolder)}-${digest}`
  if (chosen) return [join(resolve(chosen), own)]
  const users = usersCache(variable)
  return [join(modelFolder, ".genarm"), ...users === undefined ? [] : [join(users, "genarm", own)]]
}

/** The folder for caches of this user, as the platform has it. */
function usersCache(variable: (name: string) => string | undefined): string | undefined {
  const named = variable(process.platform === "win32" ? "LOCALAPPDATA" : "XDG_CACHE_HOME")
  // The standard asks for relative paths to be ignored.
  if (named !== undefined && isAbsolute(named)) return named
  try {
    const home = homedir()
    if (process.platform === "win32") return join(home, "AppData", "Local")
    return join(home, ...process.platform === "darwin" ? ["Library", "Caches"] : [".cache"])
  } catch {
    return undefined // a program may not be allowed to know
  }
}

function environment(name: string): string | undefined {
  try {
    return process.env[name]
  } catch {
    return undefined // as above
  }
}
