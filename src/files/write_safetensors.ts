/**
 * Writing `.safetensors` files: whole or not at all, and the same bytes for the same tensors, laid
 * out as the Python library lays them out (wider types first, then by name), so that every tensor
 * is aligned. https://huggingface.co/docs/safetensors/index
 */
import type { FileHandle } from "node:fs/promises"
import { GenArmError } from "../errors.ts"
import { narrowToBfloat16, narrowToFloat16 } from "./narrow_floats.ts"
import { replaceFile, writeAll } from "./write_file.ts"

/** How a file holds numbers. */
export type FloatType = "F32" | "F16" | "BF16"

/** A tensor to write. */
export interface TensorToWrite {
  readonly name: string
  readonly shape: readonly number[]
  /** Row-major; bytes are written as they are. */
  readonly data: Float32Array | Uint8Array
  /** Of numbers: `"F32"` where absent; the others round to the nearest number, ties to even. */
  readonly type?: FloatType
}

type WrittenType = FloatType | "U8"

const bytesPerElement: Record<WrittenType, number> = { F32: 4, BF16: 2, F16: 2, U8: 1 }
/** The order of the types in a file. */
const types = Object.keys(bytesPerElement)

/** Numbers converted at a time. */
const chunkLength = 1 << 20

/**
 * Writes tensors, and texts by name as metadata (transformers asks for `{ format: "pt" }`).
 *
 * A tensor whose shape is not that of its data, a name given twice, or a finite number that float16
 * or bfloat16 cannot hold is an `InvalidOption` and nothing is written; a full disk or a folder
 * without permission is a `WriteFailed`, and the file that was there stays.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  tensors.forEach(checkTensor)
  const sorted = [...tensors].sort((a, b) =>
    types.indexOf(typeOf(a)) - types.indexOf(typeOf(b)) || (a.name < b.name ? -1 : 1)
  )
  const header = encodeHeader(sorted, metadata)
  await replaceFile(path, async (file) => {
    await writeAll(file, header)
    for (const tensor of sorted) await writeValues(file, tensor)
  })
}

/** Length and JSON, padded with spaces so that the data begins at a multiple of 8 bytes. */
function encodeHeader(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // Entry by entry: an object would put names that look like numbers first.
  const entries: string[] = []
  const keys = Object.keys(metadata).sort()
  if (keys.length > 0) {
    const texts = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`)
    entries.push(`"__metadata__":{${texts.join(",")}}`)
  }
  const names = new Set(["__metadata__"])
  let end = 0
  for (const tensor of tensors) {
    const { name, shape, data } = tensor
    if (names.has(name)) throw invalid(`expected every tensor once, found "${name}" again`)
    names.add(name)
    const dtype = typeOf(tensor)
    const offsets = [end, end += data.length * bytesPerElement[dtype]]
    entries.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`,
    )
  }
  const text = new TextEncoder().encode(`{${entries.join(",")}}`)
  const length = Math.ceil(text.length / 8) * 8
  const bytes = new Uint8Array(8 + length).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(text, 8)
  return bytes
}

async function writeValues(file: FileHandle, tensor: TensorToWrite): Promise<void> {
  const { data } = tensor
  const type = typeOf(tensor)
  if (type === "F32" || type === "U8") {
    return await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  const narrow = type === "F16" ? narrowToFloat16 : narrowToBfloat16
  const halves = new Uint16Array(Math.min(data.length, chunkLength))
  for (let done = 0; done < data.length; done += chunkLength) {
    const length = Math.min(chunkLength, data.length - done)
    narrow(new Uint32Array(data.buffer, data.byteOffset + done * 4, length), halves)
    await writeAll(file, new Uint8Array(halves.buffer, 0, length * 2))
  }
}

function checkTensor(tensor: TensorToWrite): void {
  const { name, shape, data } = tensor
  const count = shape.reduce((product, n) => product * n, 1)
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || count !== data.length) {
    throw invalid(`"${name}" has the shape [${shape}] and ${data.length} values`)
  }
  const type = typeOf(tensor)
  if (data instanceof Uint8Array) {
    if (type === "U8") return
    throw invalid(`"${name}" is given as bytes, and they cannot be written as ${type}`)
  }
  if (!types.includes(type) || type === "U8") {
    throw invalid(`expected F32, F16 or BF16 for "${name}", found ${type}`)
  }
  if (type === "F32") return
  // The first size that rounds to an infinity: half a step beyond the largest number.
  const limit = type === "F16" ? 65520 : 2 ** 128 - 2 ** 119
  const beyond = data.find((value) => Math.abs(value) >= limit && Math.abs(value) !== Infinity)
  if (beyond === undefined) return
  throw invalid(`"${name}" has the value ${beyond}, beyond the range of ${type}: write it as F32`)
}

function typeOf({ data, type }: TensorToWrite): WrittenType {
  return type ?? (data instanceof Uint8Array ? "U8" : "F32")
}

function invalid(what: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path: ["tensors"] }, what)
}
