/**
 * The folder of a low-rank adapter in the layout of PEFT: its settings as JSON, and its matrices.
 * Nothing here knows what they mean.
 */
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError } from "../errors.ts"
import { type Json, readJson } from "./model_folder.ts"
import { openSafetensors, type TensorStore } from "./safetensors.ts"

/** The names of its files. */
export const adapterFiles = {
  config: "adapter_config.json",
  tensors: "adapter_model.safetensors",
} as const

/** An open folder. */
export interface AdapterFolder {
  readonly path: string
  /** `adapter_config.json`. */
  readonly config: Json
  /** The path of `adapter_model.safetensors`. */
  readonly file: string
  /** Its tensors; to be closed. */
  readonly store: TensorStore
}

/** Reads the settings and opens the tensors. */
export async function openAdapterFolder(path: string): Promise<AdapterFolder> {
  const configFile = join(path, adapterFiles.config)
  if (!await exists(configFile) && await exists(join(path, "config.json"))) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file: configFile },
      `${configFile} is missing: the folder holds a whole model, not an adapter; name it as a ` +
        "model, as in arm({ model })",
    )
  }
  const config = await readJson(path, adapterFiles.config)
  const file = join(path, adapterFiles.tensors)
  if (!await exists(file) && await exists(join(path, "adapter_model.bin"))) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file },
      `${path} keeps its weights in adapter_model.bin: expected ${adapterFiles.tensors}, load and ` +
        "save it with a present version of PEFT",
    )
  }
  return { path, config, file, store: await openSafetensors(file) }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false)
}
