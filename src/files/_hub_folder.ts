/** Which files of a repository make a model folder, and which of them a folder has. */
import { readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"
import { exists } from "./_hub_incomplete.ts"
import { adapterFiles } from "./adapter_folder.ts"

/** How the weights are to be run. */
export type HubWeights = "f32" | "q8" | "q4"

/** Every model has these. */
export const REQUIRED = ["config.json", "tokenizer.json"] as const
/** Many models lack some of these. */
export const OPTIONAL = [
  "generation_config.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "special_tokens_map.json",
] as const
/** All weights in one file; they are quantized when they are read. */
export const SINGLE = "model.safetensors"
/** The list of the files that hold the weights of a large model. */
export const INDEX = "model.safetensors.index.json"
/** Ready exports, quantized by those who exported them. */
export const ONNX: Readonly<Record<HubWeights, readonly string[]>> = {
  f32: ["onnx/model.onnx"],
  q8: ["onnx/model_quantized.onnx", "onnx/model_int8.onnx"],
  q4: ["onnx/model_q4.onnx"],
}

/** What makes a folder an adapter's; the weights come last here too. */
export const ADAPTER: readonly string[] = [adapterFiles.config, adapterFiles.tensors]

/** Remembers which optional files the hub does not have, so that nobody asks for them again. */
const ABSENT = ".genarm-absent.json"

/** Whether the folder has all that is needed to open the model. */
export async function holdsModel(folder: string, weights: HubWeights): Promise<boolean> {
  for (const file of REQUIRED) if (!await exists(join(folder, file))) return false
  if (await exists(join(folder, SINGLE))) return true
  if (await exists(join(folder, INDEX))) {
    const shards = await shardNames(join(folder, INDEX))
    const found = await Promise.all(shards.map((shard) => exists(join(folder, shard))))
    if (found.every(Boolean)) return true
  }
  for (const file of ONNX[weights]) if (await exists(join(folder, file))) return true
  return false
}

/** Whether the folder has all that is needed to open the adapter. */
export async function holdsAdapter(folder: string): Promise<boolean> {
  const found = await Promise.all(ADAPTER.map((file) => exists(join(folder, file))))
  return found.every(Boolean)
}

/** The optional files that neither the folder nor, as far as is known, the hub has. */
export async function unknownOptional(folder: string): Promise<string[]> {
  const absent: unknown = await readFile(join(folder, ABSENT), "utf8").then(JSON.parse).catch(
    () => [],
  )
  const unknown: string[] = []
  for (const file of OPTIONAL) {
    if (Array.isArray(absent) && absent.includes(file)) continue
    if (!await exists(join(folder, file))) unknown.push(file)
  }
  return unknown
}

/** Records what the hub has just said not to have. It only saves requests, so it may fail. */
export async function rememberAbsent(folder: string): Promise<void> {
  const absent: string[] = []
  for (const file of OPTIONAL) if (!await exists(join(folder, file))) absent.push(file)
  const path = join(folder, ABSENT)
  const temporary = `${path}.${crypto.randomUUID()}`
  await writeFile(temporary, JSON.stringify(absent)).then(() => rename(temporary, path)).catch(
    () => {},
  )
}

/**
 * The files an index names, each once. They are file names of the same folder and nothing else: an
 * index is downloaded, and must not lead a download out of its folder.
 */
export async function shardNames(path: string): Promise<string[]> {
  const invalid = (found: string, cause?: unknown) =>
    new GenArmError(
      { _tag: "InvalidModelFile", file: path },
      `expected ${path} to have a "weight_map" of names like model-00001-of-00002.safetensors, ` +
        `found ${found}. Delete the file to fetch it again`,
      { cause },
    )
  let index: { weight_map?: unknown } | null
  try {
    index = JSON.parse(await readFile(path, "utf8"))
  } catch (error) {
    throw invalid(messageOf(error), error)
  }
  const map = index?.weight_map
  if (typeof map !== "object" || map === null) throw invalid("no weight_map")
  const names = [...new Set<unknown>(Object.values(map))]
  if (names.length === 0) throw invalid("an empty weight_map")
  for (const name of names) {
    if (typeof name !== "string" || !/^\w[\w.-]*\.safetensors$/.test(name)) {
      throw invalid(JSON.stringify(name))
    }
  }
  return names as string[]
}
