/**
 * Tensors that were computed from a model's weights, kept in a file so that the next opening need
 * not compute them again. A file is used only if it was made by the same recipe from the same
 * weights and every byte is as it was written; otherwise it is as if there were none. Failing to
 * keep one is no failure either: what was computed is at hand.
 */
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { GenArmError } from "../errors.ts"
import { cachePlaces } from "./cache_places.ts"
import { openSafetensors, type TensorStore } from "./safetensors.ts"
import { contentsOf, isSame, type SourceFile, sourceFiles } from "./source_files.ts"
import { type TensorToWrite, writeSafetensors } from "./write_safetensors.ts"

/** What is computed, and from what. */
export interface Preparation {
  /** The model's folder. */
  readonly folder: string
  /** The name of the file. */
  readonly name: string
  /** All that the tensors depend on besides the model's weights; part of the file's identity. */
  readonly recipe: string
}

/** What a file says of itself. */
interface Origin {
  readonly recipe: string
  readonly source: readonly SourceFile[]
  /** CRC-32 of the contents of the source. */
  readonly contents: number
  /** CRC-32 of each tensor. */
  readonly tensors: Readonly<Record<string, number>>
}

/** The origin's key in the file's metadata. */
const key = "genarm"

/** Opens what was kept, if it is still right; reading a damaged tensor of it fails. */
export async function openPrepared(preparation: Preparation): Promise<TensorStore | undefined> {
  for (const place of cachePlaces(preparation.folder)) {
    const store = await openSafetensors(join(place, preparation.name)).catch(() => undefined)
    if (store === undefined) continue
    const origin = originOf(store)
    if (origin !== undefined && await isCurrent(origin, preparation).catch(() => false)) {
      return checked(store, origin)
    }
    await store.close()
  }
  return undefined
}

/**
 * Keeps tensors in the first place that takes them. `source` are the files as they were before the
 * weights were read: if they have changed since, nothing is kept. Tells whether it was.
 */
export async function keepPrepared(
  { folder, name, recipe }: Preparation,
  source: readonly SourceFile[],
  tensors: readonly TensorToWrite[],
): Promise<boolean> {
  const places = cachePlaces(folder)
  if (places.length === 0) return false
  const contents = await contentsOf(folder, source).catch(() => undefined)
  const after = await sourceFiles(folder).catch(() => [])
  if (contents === undefined || !isSame(source, after)) return false
  const sums = tensors.map(({ name, data }) => [name, crc32(bytesOf(data))])
  const origin: Origin = { recipe, source, contents, tensors: Object.fromEntries(sums) }
  for (const place of places) {
    try {
      await writeSafetensors(join(place, name), tensors, { [key]: JSON.stringify(origin) })
      return true
    } catch (error) {
      // A full disk or a folder without permission; anything else is a mistake of this program.
      if (!(error instanceof GenArmError) || error.reason._tag !== "WriteFailed") throw error
    }
  }
  return false
}

function originOf(store: TensorStore): Origin | undefined {
  try {
    const origin: Partial<Origin> | null = JSON.parse(store.metadata[key])
    const isWhole = typeof origin?.recipe === "string" && Array.isArray(origin.source) &&
      typeof origin.contents === "number" && typeof origin.tensors === "object"
    return isWhole ? origin as Origin : undefined
  } catch {
    return undefined
  }
}

async function isCurrent(origin: Origin, { folder, recipe }: Preparation): Promise<boolean> {
  if (origin.recipe !== recipe) return false
  const source = await sourceFiles(folder)
  if (isSame(origin.source, source)) return true
  const sizes = (files: readonly SourceFile[]) => files.map(({ name, bytes }) => [name, bytes])
  return JSON.stringify(sizes(origin.source)) === JSON.stringify(sizes(source)) &&
    origin.contents === await contentsOf(folder, source)
}

/** The store with every tensor compared with its sum when it is read. */
function checked(store: TensorStore, { tensors }: Origin): TensorStore {
  return {
    bytes: store.bytes,
    names: store.names,
    metadata: store.metadata,
    has: (name) => store.has(name),
    shape: (name) => store.shape(name),
    readInto: (name, target, offset) => store.readInto(name, target, offset),
    async readBytes(name, target) {
      await store.readBytes(name, target)
      if (crc32(target) === tensors[name]) return
      throw new GenArmError(
        { _tag: "InvalidModelFile", file: name },
        `the prepared tensor "${name}" is not as it was written: remove the file`,
      )
    },
    close: () => store.close(),
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
