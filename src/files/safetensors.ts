/**
 * Reading `.safetensors` files tensor by tensor, as float32. The header is not trusted: offsets and
 * sizes are checked against the file before anything is allocated or read.
 * https://huggingface.co/docs/safetensors/index
 */
import { type FileHandle, open } from "node:fs/promises"
import { GenArmError, messageOf } from "../errors.ts"

/** The tensors of one model, wherever its files keep them. */
export interface TensorStore {
  /** Whether there is a tensor of this name. */
  has(name: string): boolean
  /** The shape of a tensor; fails when there is none of this name. */
  shape(name: string): readonly number[]
  /** Reads a whole tensor as float32 into `target`, from element `offset` on; gives bytes read. */
  readInto(name: string, target: Float32Array, offset: number): Promise<number>
  /** Reads a tensor of any type as it is stored; `target` must have its size. */
  readBytes(name: string, target: Uint8Array): Promise<void>
  /** Bytes of all tensors as stored. */
  readonly bytes: number
  /** The names of all tensors. */
  readonly names: readonly string[]
  /** The texts that a file carries beside its tensors, by name. */
  readonly metadata: Readonly<Record<string, string>>
  /** Closes the files. */
  close(): Promise<void>
}

/** One tensor of the header; `begin` and `end` are bytes from the end of the header. */
interface TensorEntry {
  /** As the header has it: files may hold tensors of other types that no model here needs. */
  readonly type: unknown
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

type StoredType = "F32" | "F16" | "BF16"
const bytesPerElement: Record<StoredType, number> = { F32: 4, F16: 2, BF16: 2 }

/** The format's own limit for the header. */
const headerLimit = 100_000_000

/** Bytes read at a time where values are converted on the way. */
const chunkBytes = 1 << 22

/** Opens one file and checks its header. */
export async function openSafetensors(path: string): Promise<TensorStore> {
  let file: FileHandle
  try {
    file = await open(path, "r")
  } catch (error) {
    throw invalid(path, `cannot be opened: ${messageOf(error)}`, error)
  }
  try {
    return new SafetensorsFile(path, file, await readHeader(path, file))
  } catch (error) {
    await file.close()
    throw error
  }
}

/** What a header says, checked. */
interface Header {
  readonly entries: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
  readonly dataStart: number
  readonly bytes: number
}

class SafetensorsFile implements TensorStore {
  readonly bytes: number
  readonly names: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly #path: string
  readonly #file: FileHandle
  readonly #entries: ReadonlyMap<string, TensorEntry>
  readonly #dataStart: number

  constructor(path: string, file: FileHandle, header: Header) {
    this.#path = path
    this.#file = file
    this.#entries = header.entries
    this.#dataStart = header.dataStart
    this.bytes = header.bytes
    this.names = [...header.entries.keys()]
    this.metadata = header.metadata
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  shape(name: string): readonly number[] {
    return this.#entry(name).shape
  }

  async readInto(name: string, target: Float32Array, offset: number): Promise<number> {
    const { type, begin, end } = this.#entry(name)
    const start = this.#dataStart + begin
    const count = (end - begin) / bytesPerElement[type]
    if (offset + count > target.length) {
      throw new RangeError(
        `internal: "${name}" has ${count} elements, ${target.length - offset} are left for it`,
      )
    }
    if (type === "F32") {
      const bytes = new Uint8Array(target.buffer, target.byteOffset + offset * 4, count * 4)
      await this.#read(name, bytes, start)
      return end - begin
    }
    const widen = type === "F16" ? widenFloat16 : widenBfloat16
    const chunk = new Uint16Array(Math.min(count, chunkBytes / 2))
    for (let done = 0; done < count; done += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, count - done))
      const bytes = new Uint8Array(part.buffer, 0, part.length * 2)
      await this.#read(name, bytes, start + done * 2)
      widen(part, target, offset + done)
    }
    return end - begin
  }

  async readBytes(name: string, target: Uint8Array): Promise<void> {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw invalid(this.#path, `has no tensor "${name}"`)
    const size = entry.end - entry.begin
    if (size !== target.length) {
      throw invalid(this.#path, `has ${size} bytes of "${name}": expected ${target.length}`)
    }
    await this.#read(name, target, this.#dataStart + entry.begin)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #entry(name: string): TensorEntry & { readonly type: StoredType } {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw invalid(this.#path, `has no tensor "${name}"`)
    const { type, ...rest } = entry
    if (isStoredType(type)) return { type, ...rest }
    throw invalid(
      this.#path,
      `stores "${name}" as ${JSON.stringify(type)}: expected F32, F16 or BF16 weights`,
    )
  }

  async #read(name: string, bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const length = Math.min(bytes.length - done, 1 << 30)
      const { bytesRead } = await this.#file.read(bytes, done, length, position + done)
      if (bytesRead === 0) {
        throw invalid(this.#path, `ended while "${name}" was being read: it changed meanwhile`)
      }
      done += bytesRead
    }
  }
}

async function readHeader(path: string, file: FileHandle): Promise<Header> {
  const info = await file.stat()
  if (!info.isFile()) throw invalid(path, "is not a file")
  const { size } = info
  if (size < 8) throw invalid(path, `is ${size} bytes long, too short for a header`)
  const prefix = new Uint8Array(8)
  await file.read(prefix, 0, 8, 0)
  const declared = new DataView(prefix.buffer).getBigUint64(0, true)
  const limit = Math.min(headerLimit, size - 8)
  if (declared > BigInt(limit)) {
    throw invalid(path, `declares a header of ${declared} bytes, and at most ${limit} can follow`)
  }
  const headerBytes = new Uint8Array(Number(declared))
  await file.read(headerBytes, 0, headerBytes.length, 8)
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(headerBytes))
  } catch (error) {
    throw invalid(path, `has a header that is not JSON: ${messageOf(error)}`, error)
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw invalid(path, "has a header that is not a JSON object")
  }
  const dataStart = 8 + headerBytes.length
  const available = size - dataStart
  const entries = new Map<string, TensorEntry>()
  let metadata: Record<string, string> = {}
  let bytes = 0
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      metadata = checkMetadata(path, value)
      continue
    }
    const entry = checkEntry(path, name, value, available)
    bytes += entry.end - entry.begin
    entries.set(name, entry)
  }
  return { entries, metadata, dataStart, bytes }
}

function checkMetadata(path: string, value: unknown): Record<string, string> {
  const texts = typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value)
    : undefined
  if (texts === undefined || !texts.every(([, text]) => typeof text === "string")) {
    throw invalid(path, "has a __metadata__ that is not texts by name")
  }
  return Object.fromEntries(texts)
}

function checkEntry(path: string, name: string, value: unknown, available: number): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>
  const isSize = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw invalid(path, `gives "${name}" no valid shape: ${JSON.stringify(shape)}`)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw invalid(path, `gives "${name}" no valid data_offsets: ${JSON.stringify(offsets)}`)
  }
  const [begin, end] = offsets
  if (begin > end || end > available) {
    throw invalid(
      path,
      `places "${name}" at bytes ${begin} to ${end}, and ${available} bytes of data are there: ` +
        "the file is truncated or its header is wrong; fetch it again",
    )
  }
  if (!isStoredType(dtype)) return { type: dtype, shape, begin, end }
  const expected = shape.reduce((product, n) => product * n, bytesPerElement[dtype])
  if (expected !== end - begin) {
    throw invalid(
      path,
      `says that "${name}" is ${dtype} of shape [${shape}], ${expected} bytes, ` +
        `but gives it ${end - begin} bytes`,
    )
  }
  return { type: dtype, shape, begin, end }
}

function isStoredType(type: unknown): type is StoredType {
  return typeof type === "string" && Object.hasOwn(bytesPerElement, type)
}

function invalid(file: string, what: string, cause?: unknown): GenArmError {
  return new GenArmError({ _tag: "InvalidModelFile", file }, `${file} ${what}`, { cause })
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(source: Uint16Array, target: Float32Array, offset: number): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length)
  for (let i = 0; i < source.length; i++) bits[offset + i] = source[i] << 16
}

/** A look-up, as decoding the fields of every number takes most of the time of opening a model. */
function widenFloat16(source: Uint16Array, target: Float32Array, offset: number): void {
  float16 ??= Float32Array.from({ length: 1 << 16 }, (_, half) => valueOfFloat16(half))
  for (let i = 0; i < source.length; i++) target[offset + i] = float16[source[i]]
}

/** The value of every float16; made when the first is read. */
let float16: Float32Array | undefined

/** IEEE 754 binary16 by its fields, subnormal numbers and infinities included. */
function valueOfFloat16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
