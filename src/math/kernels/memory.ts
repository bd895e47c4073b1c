/**
 * Where arrays live that the WebAssembly kernels work on: a few memories of fixed size, since growing
 * one would detach every array in it. Engines set a memory's pages aside when they are first written,
 * so that one costs what was in use at most.
 */
import type { Kernels } from "./kernels.ts"
import { wasmKernels } from "./wasm_kernels.ts"

const PAGE = 65536
/** 64 MiB: about 50 sequences over 49,152 ids, 16 over 151,936. */
const PAGES = 1024
/** More are not opened: what finds no room works on plain arrays. */
const MEMORIES_AT_MOST = 4

/** A part of a memory. */
interface Part {
  readonly start: number
  readonly end: number
  /** What the part was taken for. */
  readonly owner: object
}

/** One memory, with its kernels. */
export class KernelMemory {
  readonly kernels: Kernels
  readonly buffer: ArrayBufferLike
  /** By rising start. */
  readonly #parts: Part[] = []

  private constructor(kernels: Kernels, buffer: ArrayBufferLike) {
    this.kernels = kernels
    this.buffer = buffer
  }

  /** A memory; undefined where there is none to be had. */
  static open(): KernelMemory | undefined {
    try {
      const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES })
      const kernels = wasmKernels(memory)
      return kernels && new KernelMemory(kernels, memory.buffer)
    } catch {
      return undefined
    }
  }

  /** Takes the first gap of so many bytes, a multiple of 64: its offset, or -1 where none is left. */
  take(bytes: number, owner: object): number {
    const parts = this.#parts
    let start = 0
    let place = 0
    while (place < parts.length && parts[place].start - start < bytes) start = parts[place++].end
    if (start + bytes > PAGE * PAGES) return -1
    parts.splice(place, 0, { start, end: start + bytes, owner })
    return start
  }

  /** Gives back what was taken for `owner`. */
  release(owner: object): void {
    const place = this.#parts.findIndex((part) => part.owner === owner)
    if (place >= 0) this.#parts.splice(place, 1)
  }

  /** What the part at a byte was taken for. */
  ownerAt(byte: number): object | undefined {
    const parts = this.#parts
    for (let i = 0; i < parts.length; i++) {
      if (byte >= parts[i].start && byte < parts[i].end) return parts[i].owner
    }
    return undefined
  }
}

const memories: KernelMemory[] = []
const byBuffer = new WeakMap<ArrayBufferLike, KernelMemory>()
let isUnavailable = false

/** Takes room in the first memory that has it; undefined where none has. */
export function takeRoom(
  bytes: number,
  owner: object,
): { readonly memory: KernelMemory; readonly offset: number } | undefined {
  for (const memory of memories) {
    const offset = memory.take(bytes, owner)
    if (offset >= 0) return { memory, offset }
  }
  if (isUnavailable || memories.length === MEMORIES_AT_MOST || bytes > PAGE * PAGES) {
    return undefined
  }
  const memory = KernelMemory.open()
  if (memory === undefined) {
    isUnavailable = true
    return undefined
  }
  memories.push(memory)
  byBuffer.set(memory.buffer, memory)
  return { memory, offset: memory.take(bytes, owner) }
}

/** The memory that an array lies in. */
export function memoryOf(array: Float32Array): KernelMemory | undefined {
  return byBuffer.get(array.buffer)
}
