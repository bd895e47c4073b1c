/**
 * A model folder in the layout of Hugging Face: which files there are, what their JSON says, and
 * where the weights are. Nothing here knows what the weights mean.
 */
import { readdir, readFile, stat } from "node:fs/promises"
import { basename, join } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"
import { openSafetensors, type TensorStore } from "./safetensors.ts"

/** A JSON object as read from a file. */
export type Json = Readonly<Record<string, unknown>>

/** A folder that has been looked at; its weights are opened on demand. */
export interface ModelFolder {
  readonly path: string
  /** `config.json`. */
  readonly config: Json
  /** `generation_config.json`, or `{}` where there is none. */
  readonly generationConfig: Json
  /** The `onnx/*.onnx` files, as paths relative to the folder. */
  readonly exports: readonly string[]
  /** Whether there are safetensors. */
  readonly hasTensors: boolean
}

/** Looks at a folder and reads its configuration. */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const info = await stat(path).catch(() => undefined)
  if (info === undefined || !info.isDirectory()) {
    throw new GenArmError(
      { _tag: "ModelNotFound", model: path },
      `${path} is not a folder: expected one with config.json, tokenizer.json and ` +
        "model.safetensors (or onnx/model.onnx); a model of the hub is named hub:org/name",
    )
  }
  const names = await readdir(path)
  if (!names.includes("config.json")) {
    throw invalid(
      join(path, "config.json"),
      names.includes("adapter_config.json")
        ? "is missing: the folder holds a low-rank adapter, which runs on a base; name it as an " +
          "adapter, as in arm({ adapter })"
        : "is missing: expected a folder with config.json, tokenizer.json and model.safetensors " +
          "(or onnx/model.onnx)",
    )
  }
  const onnx = names.includes("onnx") ? await readdir(join(path, "onnx")) : []
  return {
    path,
    config: await readJson(path, "config.json"),
    generationConfig: names.includes("generation_config.json")
      ? await readJson(path, "generation_config.json")
      : {},
    exports: onnx.filter((name) => name.endsWith(".onnx")).map((name) => `onnx/${name}`),
    hasTensors: names.includes(single) || names.includes(index),
  }
}

/** Reads one JSON object of a folder. */
export async function readJson(folder: string, name: string): Promise<Json> {
  const file = join(folder, name)
  let text: string
  try {
    text = await readFile(file, "utf8")
  } catch (error) {
    throw invalid(file, `cannot be read: ${messageOf(error)}`, error)
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json
  } catch (error) {
    throw invalid(file, `is not JSON: ${messageOf(error)}`, error)
  }
  throw invalid(file, "is not a JSON object")
}

const single = "model.safetensors"
const index = "model.safetensors.index.json"

/** Opens the tensors of a folder: one file, or the shards that its index names. */
export async function openTensors(folder: string): Promise<TensorStore> {
  const shardOf = await tensorShards(folder)
  if (shardOf === undefined) return await openSafetensors(join(folder, single))
  const shards = new Map<string, TensorStore>()
  try {
    for (const shard of new Set(shardOf.values())) {
      shards.set(shard, await openSafetensors(join(folder, shard)))
    }
  } catch (error) {
    for (const shard of shards.values()) await shard.close()
    throw error
  }
  const storeOf = (name: string): TensorStore => {
    const store = shards.get(shardOf.get(name) ?? "")
    if (store === undefined) throw invalid(join(folder, index), `names no shard for "${name}"`)
    return store
  }
  return {
    bytes: [...shards.values()].reduce((sum, shard) => sum + shard.bytes, 0),
    names: [...shardOf.keys()],
    metadata: Object.assign({}, ...[...shards.values()].map((shard) => shard.metadata)),
    has: (name) => shardOf.has(name),
    shape: (name) => storeOf(name).shape(name),
    readInto: (name, target, offset) => storeOf(name).readInto(name, target, offset),
    readBytes: (name, target) => storeOf(name).readBytes(name, target),
    close: async () => {
      for (const shard of shards.values()) await shard.close()
    },
  }
}

/** The names of the files that hold the tensors of a folder, its index among them. */
export async function tensorFiles(folder: string): Promise<string[]> {
  const shardOf = await tensorShards(folder)
  return shardOf === undefined ? [single] : [index, ...new Set(shardOf.values())]
}

/** The shards of tensors by name, as the index has them; `undefined` where one file has all. */
async function tensorShards(folder: string): Promise<Map<string, string> | undefined> {
  const names = await readdir(folder)
  if (names.includes(single)) return undefined
  if (!names.includes(index)) {
    const why = names.includes("onnx") ? ": an ONNX export has no weights that can be changed" : ""
    throw invalid(join(folder, single), `is missing, and so is ${index}${why}`)
  }
  const { weight_map: map } = await readJson(folder, index)
  if (typeof map !== "object" || map === null) {
    throw invalid(join(folder, index), "has no weight_map")
  }
  const shardOf = new Map<string, string>()
  for (const [name, shard] of Object.entries(map as Json)) {
    if (typeof shard !== "string" || basename(shard) !== shard || /^\.{0,2}$/.test(shard)) {
      throw invalid(join(folder, index), `names no file of the folder as a shard: "${shard}"`)
    }
    shardOf.set(name, shard)
  }
  return shardOf
}

function invalid(file: string, what: string, cause?: unknown): GenArmError {
  return new GenArmError({ _tag: "InvalidModelFile", file }, `${file} ${what}`, { cause })
}
