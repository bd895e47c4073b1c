/** From the model string of a graph to a folder on disk. */
import { existsSync, statSync } from "node:fs"
import { realpath } from "node:fs/promises"
import { isAbsolute, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { GenArmError, messageOf } from "../errors.ts"
import { fetchModelFolder, parseHubReference } from "./hub.ts"
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
  const path = model.startsWith("file:") ? pathOfUrl(model) : model
  if (existsSync(path) && statSync(path).isDirectory()) return await realpath(path)
  if (/^\.{0,2}[/\\]/.test(path) || isAbsolute(path)) {
    throw new GenArmError(
      { _tag: "ModelNotFound", model },
      `there is no folder ${resolve(path)}: expected one with config.json, tokenizer.json and ` +
        "model.safetensors",
    )
  }
  throw new GenArmError(
    { _tag: "ModelNotFound", model },
    `"${model}" is not a folder here: name a folder as a path, such as "./${model}", or a model ` +
      `of the hub as "hub:${model.includes("/") ? model : `org/${model}`}"`,
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
