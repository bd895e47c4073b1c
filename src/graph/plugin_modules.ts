/**
 * Modules of plugins that the file of a graph asks for. Importing one runs its code, so that only those
 * are imported which the program has allowed by name.
 */
import { isAbsolute, relative, resolve, sep } from "node:path"
import process from "node:process"
import { fileURLToPath, pathToFileURL } from "node:url"
import { GenArmError, messageOf } from "../errors.ts"
import { type AnyPlugin, isAnyPlugin } from "../plugin/registry.ts"

/**
 * Imports the plugins that a module exports.
 *
 * @param specifier As in the file: a path beside it, a URL, or the name of a package.
 * @param file The path of the file.
 * @param allowed What the program allows: paths from the working directory, URLs and names.
 */
export async function importPlugins(
  specifier: string,
  file: string,
  allowed: readonly string[],
): Promise<AnyPlugin[]> {
  const target = locate(specifier, file)
  if (!allowed.some((entry) => locate(entry, resolve("graph")) === target)) {
    const entry = JSON.stringify(target.startsWith("file:") ? pathFromHere(target) : specifier)
    throw new GenArmError(
      { _tag: "PluginNotAllowed", specifier, allowed },
      `${file} asks for plugins from "${specifier}", whose code would be run; if you trust it, add ` +
        `it to what is allowed: loadGraph(file, { allow: [${entry}] })`,
    )
  }
  const module = await import_(target, specifier)
  const plugins = Object.values(module).filter(isAnyPlugin)
  if (plugins.length > 0) return plugins
  throw new GenArmError(
    { _tag: "PluginFailed", plugin: specifier },
    `"${specifier}" exports no plugin: expected what defineReward, defineSchedule, defineSampler or ` +
      `defineStrategy gives, found ${Object.keys(module).join(", ") || "no exports"}`,
  )
}

/** What `import` takes: the URL of a file, and all else as it is, but for Deno's names of packages. */
export function locate(
  specifier: string,
  file: string,
  isDeno: boolean = process.versions.deno !== undefined,
): string {
  if (isAbsolute(specifier)) return pathToFileURL(specifier).href
  if (/^\.{1,2}\//.test(specifier)) return new URL(specifier, pathToFileURL(file)).href
  if (specifier.startsWith("file:")) return new URL(specifier).href
  if (isDeno) return specifier
  return specifier.replace(/^npm:\/?((?:@[^/]+\/)?[^@/]+)(?:@[^/]*)?/, "$1")
}

function pathFromHere(url: string): string {
  const path = relative(process.cwd(), fileURLToPath(url)).split(sep).join("/")
  return isAbsolute(path) || path.startsWith("../") ? path : `./${path}`
}

async function import_(target: string, specifier: string): Promise<Record<string, unknown>> {
  try {
    return await import(target)
  } catch (error) {
    throw new GenArmError(
      { _tag: "PluginFailed", plugin: specifier },
      `the plugins of "${specifier}" could not be imported: ${messageOf(error)}`,
      { cause: error },
    )
  }
}
