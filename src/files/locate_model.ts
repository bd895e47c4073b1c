/** From the model and adapter strings of a graph to folders on disk. */
import { existsSync, statSync } from "node:fs"
import { realpath } from "node:fs/promises"
import { isAbsolute, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { GenArmError, messageOf } from "../errors.ts"
import {
  cachedAdapterFolder,
  cachedModelFolder,
  fetchAdapterFolder,
  fetchModelFolder,
  parseHubReference,
} from "./hub.ts"
import type { OnProgress } from "./progress.ts"

/**
 * The folder of a model. `./x`, `/x`, `file:` URLs and names of existing folders are folders;
 * `hub:org/name@revision` is fetched into the file cache; anything else is refused, naming both
 * ways.
 */
export async function locateModel(
  ref: {
    readonly model: string
    readonly revision?: string
    readonly weights?: "f32" | "q8" | "q4"
  },
  options: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress } = {},
): Promise<string> {
  const { model, revision } = ref
  if (model.startsWith("hub:")) {
    return await fetchModelFolder(parseHubReference(model, revision), {
      weights: ref.weights ?? "f32",
      ...options,
    })
  }
  if (revision !== undefined) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["revision"] },
      `a revision belongs to a model of the hub, such as hub:org/name, and "${model}" is a folder`,
    )
  }
  return await folderOf(model, "config.json, tokenizer.json and model.safetensors", "model")
}

/** The folder of a low-rank adapter, named as a model is. */
export async function locateAdapter(
  adapter: string,
  options: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress } = {},
): Promise<string> {
  if (adapter.startsWith("hub:")) {
    return await fetchAdapterFolder(parseHubReference(adapter), options)
  }
  return await folderOf(adapter, "adapter_config.json and adapter_model.safetensors", "adapter")
}

/** The folder of a model if it is on this machine; nothing is fetched. */
export async function findModel(
  ref: Parameters<typeof locateModel>[0],
): Promise<string | undefined> {
  const { model, revision, weights = "f32" } = ref
  if (!model.startsWith("hub:")) return await orNothing(locateModel(ref))
  return await orNothing(cachedModelFolder(parseHubReference(model, revision), weights))
}

/** The folder of a low-rank adapter if it is on this machine; nothing is fetched. */
export async function findAdapter(adapter: string): Promise<string | undefined> {
  if (!adapter.startsWith("hub:")) return await orNothing(locateAdapter(adapter))
  return await orNothing(cachedAdapterFolder(parseHubReference(adapter)))
}

/** What keeps a model from being found is said when it is opened. */
function orNothing<A>(looking: Promise<A>): Promise<A | undefined> {
  return looking.catch(() => undefined)
}

async function folderOf(name: string, files: string, kind: "model" | "adapter"): Promise<string> {
  const path = name.startsWith("file:") ? pathOfUrl(name) : name
  if (existsSync(path) && statSync(path).isDirectory()) return await realpath(path)
  const a = kind === "model" ? "a model" : "an adapter"
  throw new GenArmError(
    { _tag: "ModelNotFound", model: name },
    /^\.{0,2}[/\\]/.test(path) || isAbsolute(path)
      ? `there is no folder ${resolve(path)}: expected one with ${files}`
      : `"${name}" is not a folder here: name a folder as a path, such as "./${name}", or ${a} of ` +
        `the hub as "hub:${name.includes("/") ? name : `org/${name}`}"`,
  )
}

function pathOfUrl(model: string): string {
  try {
    return fileURLToPath(model)
  } catch (error) {
    throw new GenArmError(
      { _tag: "ModelNotFound", model },
      `"${model}" is not a file URL that leads to a folder here: ${messageOf(error)}`,
      { cause: error },
    )
  }
}
