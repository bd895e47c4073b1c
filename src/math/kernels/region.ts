/**
 * The arrays of one sequence side by side: its rows and scores, and what drawing from them needs. In
 * kernel memory where there is room and the vocabulary is worth it, plain arrays elsewhere; what works
 * on a region need not know.
 */
import { BLOCK, BUCKETS, GROUP } from "./constants.ts"
import { type Kernels, ROWS_AT_ONCE } from "./kernels.ts"
import { type KernelMemory, memoryOf, takeRoom } from "./memory.ts"
import { plainKernels } from "./plain_loops.ts"

/** Fewer ids are not worth the calls. */
const WASM_FROM = 1024
/** Bytes between two arrays, so that the places of one id do not fall on the same lines of a cache. */
const STAGGER = 320

/** Who keeps its weights in a region. */
export interface Occupant {
  /** Another one needs the room: what is kept must be copied. */
  leave(): void
  /** The region is gone, and the weights with it. */
  unset(): void
}

/** The arrays of one sequence. */
export class Region {
  readonly size: number
  readonly kernels: Kernels
  /** Each `[vocab]`. */
  readonly rows: readonly Float32Array[]
  /** Each `[vocab]`: for rows that lie elsewhere. */
  readonly staging: readonly Float32Array[]
  /** `[vocab]` */
  readonly scores: Float32Array
  /** `[vocab]`: the occupant's. */
  readonly weights: Float32Array
  /** `[ceil(vocab / BLOCK)]`: the occupant's. */
  readonly blockSums: Float64Array
  /** `weights` as integers. */
  readonly weightBits: Int32Array
  /** `[ceil(vocab / GROUP)]`: of whoever computes. */
  readonly maxima: Float32Array
  /** `[BUCKETS]`: of whoever computes. */
  readonly masses: Float64Array
  /** `[vocab]`: of whoever computes, as ids. */
  readonly members: Int32Array
  /** `members` as scores. */
  readonly candidates: Float32Array
  occupant: Occupant | undefined
  readonly #memory: KernelMemory | undefined

  constructor(size: number, rows: number, staging: number) {
    const groups = Math.ceil(size / GROUP)
    const blocks = Math.ceil(size / BLOCK)
    const bytes = room(8 * blocks) + room(8 * BUCKETS) + room(4 * groups) +
      (rows + staging + 3) * room(4 * size)
    const found = size < WASM_FROM ? undefined : takeRoom(bytes, this)
    let at = found?.offset ?? 0
    const place = (bytes: number): [ArrayBufferLike, number] => {
      if (found === undefined) return [new ArrayBuffer(bytes), 0]
      const offset = at
      at += room(bytes)
      return [found.memory.buffer, offset]
    }
    const row = () => new Float32Array(...place(4 * size), size)
    this.size = size
    this.#memory = found?.memory
    this.kernels = found?.memory.kernels ?? plainKernels
    this.rows = Array.from({ length: rows }, row)
    this.staging = found === undefined ? [] : Array.from({ length: staging }, row)
    this.scores = row()
    this.weights = row()
    this.candidates = row()
    this.blockSums = new Float64Array(...place(8 * blocks), blocks)
    this.masses = new Float64Array(...place(8 * BUCKETS), BUCKETS)
    this.maxima = new Float32Array(...place(4 * groups), groups)
    this.weightBits = new Int32Array(this.weights.buffer, this.weights.byteOffset, size)
    this.members = new Int32Array(this.candidates.buffer, this.candidates.byteOffset, size)
  }

  /** Whether the kernels can work on an array where it is. */
  holds(array: Float32Array): boolean {
    const { buffer } = this.kernels
    return buffer === undefined || array.buffer === buffer
  }

  /** The scores `[vocab]` where the kernels can work on them: themselves, or a copy. */
  place(scores: Float32Array): Float32Array {
    if (this.holds(scores)) return scores
    this.scores.set(scores)
    return this.scores
  }

  /** Gives the room back; the arrays must not be used any more. */
  release(): void {
    this.occupant?.unset()
    this.occupant = undefined
    this.#memory?.release(this)
  }
}

function room(bytes: number): number {
  return Math.ceil(bytes / 64) * 64 + STAGGER
}

/** The last ones used are at the end. */
const shared: Region[] = []
const SHARED_AT_MOST = 4

/** The region that the scores lie in; where they lie in none, one that all such scores share. */
export function regionFor(scores: Float32Array): Region {
  const size = scores.length
  const owner = memoryOf(scores)?.ownerAt(scores.byteOffset)
  if (owner instanceof Region && owner.size === size) return owner
  const place = shared.findLastIndex((region) => region.size === size)
  if (place >= 0) {
    const region = shared[place]
    if (place < shared.length - 1) shared.push(...shared.splice(place, 1))
    return region
  }
  if (shared.length === SHARED_AT_MOST) {
    const oldest = shared.shift()!
    oldest.occupant?.leave()
    oldest.occupant = undefined
    oldest.release()
  }
  const region = new Region(size, 0, ROWS_AT_ONCE)
  shared.push(region)
  return region
}
