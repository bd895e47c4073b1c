/** Where the files of a hub model are: their addresses at the hub and their folder on this machine. */
import { join, resolve } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"
import { hubName, type HubReference } from "./_hub_reference.ts"

/** One model at the hub and its place in the file cache of `@huggingface/transformers`. */
export interface HubPlace {
  readonly reference: HubReference
  /** The model as a graph names it, `hub:org/name` or `hub:org/name@revision`. */
  readonly model: string
  /** The model's folder in the file cache. */
  readonly folder: string
  /** The folder that `env.localModelPath` would answer with, where it may be asked at all. */
  readonly local: string | undefined
  /** Whether `env.allowRemoteModels` lets the hub be asked. */
  readonly remote: boolean
  readonly userAgent: string
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  /** The address of one file, given by its path in the repository. */
  url(file: string): string
}

/**
 * Reads the settings of `@huggingface/transformers` as they are now; the library is loaded only
 * here, so that a program which names local folders never pays for it.
 */
export async function hubPlace(reference: HubReference): Promise<HubPlace> {
  const { repository, revision } = reference
  const model = hubName(reference)
  const { env } = await import("@huggingface/transformers").catch((error) => {
    throw new GenArmError(
      { _tag: "HubFailed", url: model },
      `cannot fetch ${model}: @huggingface/transformers, whose file cache it goes through, ` +
        `does not load: ${messageOf(error)}`,
      { cause: error },
    )
  })
  if (!env.cacheDir) {
    throw new GenArmError(
      { _tag: "HubFailed", url: model },
      `cannot fetch ${model}: expected a folder in env.cacheDir of @huggingface/transformers, ` +
        `found ${JSON.stringify(env.cacheDir)}; set it to the folder that is to hold the files`,
    )
  }
  const base = [
    env.remoteHost,
    env.remotePathTemplate
      .replaceAll("{model}", repository)
      .replaceAll("{revision}", encodeURIComponent(revision)),
  ].map((part) => part.replace(/^\/|\/$/g, "")).join("/")
  return {
    reference,
    model,
    folder: resolve(
      join(env.cacheDir, repository, ...(revision === "main" ? [] : revision.split("/"))),
    ),
    // The library serves a local folder for every revision. A pinned revision must not silently
    // become another one here, hence only the default revision is looked for.
    local: env.allowLocalModels && env.localModelPath && revision === "main"
      ? resolve(join(env.localModelPath, repository))
      : undefined,
    remote: env.allowRemoteModels,
    userAgent: `genarm; transformers.js/${env.version}`,
    fetch: env.fetch ?? globalThis.fetch,
    url: (file) => `${base}/${file}`,
  }
}
