/**
 * Writing GGUF files, version 3: what is known of the model by keys, a list of the tensors, then
 * their data, each aligned to 32 bytes. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { Buffer } from "node:buffer"
import { open } from "node:fs/promises"
import { narrowToFloat16 } from "../../src/files/narrow_floats.ts"

/** A value of a key. */
export type GgufValue =
  | string
  | boolean
  | { readonly uint32: number }
  | { readonly float32: number }
  | { readonly strings: readonly string[] }
  | { readonly int32s: readonly number[] }

/** How a tensor is held: as float32, or in blocks of 32 with a float16 scale and codes. */
export type GgufType = keyof typeof types

/** A tensor; its data is asked for when it is to be written. */
export interface GgufTensor {
  readonly name: string
  /** Row-major, as elsewhere; the file lists dimensions from the last to the first. */
  readonly shape: readonly number[]
  readonly type: GgufType
  read(): Promise<Float32Array>
}

const valueTypes = { uint32: 4, int32: 5, float32: 6, boolean: 7, string: 8, array: 9 }
/** Their numbers in the file, and the bytes of a block. */
const types = {
  F32: { number: 0, blockBytes: 4 * 32 },
  Q4_0: { number: 2, blockBytes: 2 + 16 },
  Q8_0: { number: 8, blockBytes: 2 + 32 },
}
const blockSize = 32
const alignment = 32

/** Writes a file. */
export async function writeGguf(
  path: string,
  values: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Promise<void> {
  const header = new Bytes()
  header.raw(Buffer.from("GGUF")).uint32(3).uint64(tensors.length)
  header.uint64(Object.keys(values).length)
  for (const [key, value] of Object.entries(values)) writeValue(header.string(key), value)
  let end = 0
  for (const tensor of tensors) {
    const { name, shape, type } = tensor
    header.string(name).uint32(shape.length)
    for (const size of [...shape].reverse()) header.uint64(size)
    header.uint32(types[type].number).uint64(end)
    end += aligned(bytesOf(tensor))
  }
  const file = await open(path, "w")
  try {
    await file.writeFile(padded(header.bytes()))
    for (const tensor of tensors) {
      const data = await tensor.read()
      const bytes = tensor.type === "F32"
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : quantized(data, tensor.type)
      await file.writeFile(padded(bytes))
    }
  } finally {
    await file.close()
  }
}

/**
 * Blocks as the reference quantiser of ggml makes them. Q4_0: the weight of the largest magnitude
 * meets code 0 of 16, the first half of a block is in the low halves of its bytes. Q8_0: signed codes,
 * of which the largest magnitude meets 127.
 */
function quantized(values: Float32Array, type: "Q4_0" | "Q8_0"): Uint8Array {
  const { blockBytes } = types[type]
  const blocks = values.length / blockSize
  const scales = new Float32Array(blocks)
  const out = new Uint8Array(blocks * blockBytes)
  for (let b = 0; b < blocks; b++) {
    const block = values.subarray(b * blockSize, (b + 1) * blockSize)
    let extreme = 0
    for (const value of block) if (Math.abs(value) > Math.abs(extreme)) extreme = value
    const scale = type === "Q4_0" ? extreme / -8 : Math.abs(extreme) / 127
    const inverse = scale === 0 ? 0 : 1 / scale
    scales[b] = scale
    const at = b * blockBytes + 2
    for (let i = 0; i < blockSize; i++) {
      if (type === "Q8_0") {
        out[at + i] = Math.round(block[i] * inverse)
      } else {
        const code = Math.min(15, Math.floor(block[i] * inverse + 8.5))
        out[at + i % 16] |= i < 16 ? code : code << 4
      }
    }
  }
  const halves = new Uint16Array(blocks)
  narrowToFloat16(new Uint32Array(scales.buffer), halves)
  for (let b = 0; b < blocks; b++) {
    out[b * blockBytes] = halves[b]
    out[b * blockBytes + 1] = halves[b] >> 8
  }
  return out
}

function bytesOf({ shape, type }: GgufTensor): number {
  const count = shape.reduce((product, n) => product * n, 1)
  return count / blockSize * types[type].blockBytes
}

function aligned(length: number): number {
  return Math.ceil(length / alignment) * alignment
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = aligned(bytes.length) - bytes.length
  return rest === 0 ? bytes : Buffer.concat([bytes, new Uint8Array(rest)])
}

function writeValue(out: Bytes, value: GgufValue): void {
  if (typeof value === "string") out.uint32(valueTypes.string).string(value)
  else if (typeof value === "boolean") out.uint32(valueTypes.boolean).raw(Buffer.of(Number(value)))
  else if ("uint32" in value) out.uint32(valueTypes.uint32).uint32(value.uint32)
  else if ("float32" in value) out.uint32(valueTypes.float32).float32(value.float32)
  else if ("strings" in value) {
    out.uint32(valueTypes.array).uint32(valueTypes.string).uint64(value.strings.length)
    for (const text of value.strings) out.string(text)
  } else {
    out.uint32(valueTypes.array).uint32(valueTypes.int32).uint64(value.int32s.length)
    for (const number of value.int32s) out.uint32(number)
  }
}

/** Bytes one after another, numbers in little-endian order. */
class Bytes {
  readonly #parts: Uint8Array[] = []

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }

  uint32(value: number): this {
    return this.raw(new Uint8Array(Uint32Array.of(value).buffer))
  }

  uint64(value: number): this {
    return this.raw(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer))
  }

  float32(value: number): this {
    return this.raw(new Uint8Array(Float32Array.of(value).buffer))
  }

  string(text: string): this {
    const bytes = Buffer.from(text)
    return this.uint64(bytes.length).raw(bytes)
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts)
  }
}
