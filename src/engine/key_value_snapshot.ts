/**
 * Keys and values of a text outside the slab: just its tokens, never written to again, so that any
 * number of caches may refer to them. A text that went on from another's snapshot keeps the tokens
 * it added, and a reference.
 */
import type { KeyValueSlab, SlabEntry } from "./key_value_slab.ts"

/** Snapshots in a row, each going on from the one before; a longer row would be slow to read. */
const longestRow = 8

/** The first tokens of a text. */
export class KeyValueSnapshot {
  /** Tokens held, those of the earlier snapshot included. */
  readonly length: number
  /** What it goes on from, after the first `start` tokens of it. */
  readonly #earlier: KeyValueSnapshot | undefined
  readonly #start: number
  /** `[2 * layers, heads, length - start, headSize]` */
  readonly #tokens: Float32Array<ArrayBuffer>
  readonly #row: number
  readonly #held: { bytes: number }
  #owners = 1

  /**
   * Copies the first `length` tokens of an entry, which are `earlier`'s in its first `shared`.
   * @param held Counts the bytes of all snapshots of one engine.
   */
  constructor(
    slab: KeyValueSlab,
    entry: SlabEntry,
    { length, earlier, shared, held }: {
      readonly length: number
      readonly earlier: KeyValueSnapshot | undefined
      readonly shared: number
      readonly held: { bytes: number }
    },
  ) {
    // What refers to a small part of a long text would keep all of it.
    const goesOn = earlier !== undefined && shared > 0 && 2 * shared >= earlier.length &&
      earlier.#row < longestRow
    this.length = length
    this.#earlier = goesOn ? earlier.share() : undefined
    this.#start = goesOn ? shared : 0
    this.#row = goesOn ? earlier.#row + 1 : 1
    this.#tokens = slab.read(entry, this.#start, length)
    this.#held = held
    held.bytes += this.#tokens.byteLength
  }

  /** Counts one more owner, and gives itself. */
  share(): this {
    this.#owners++
    return this
  }

  /** Counts an owner less; what nobody owns is no longer held. */
  release(): void {
    if (--this.#owners > 0) return
    this.#held.bytes -= this.#tokens.byteLength
    this.#earlier?.release()
  }

  /** Writes its first `length` tokens into an entry that has room for them. */
  writeTo(slab: KeyValueSlab, entry: SlabEntry, length: number): void {
    this.#earlier?.writeTo(slab, entry, Math.min(this.#start, length))
    if (length > this.#start) slab.write(entry, this.#start, length, this.#tokens)
  }
}
