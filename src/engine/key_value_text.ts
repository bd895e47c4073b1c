/**
 * The tokens of one cache, wherever their keys and values are. A text that steps has a slot of the
 * slab. A fork takes none until it steps: it borrows from the text it was taken of, or refers to a
 * snapshot, which is taken once for all borrowers when that text is closed or cut. Texts that wait,
 * such as known beginnings of prompts, thus cost their tokens at most, and no step of others.
 */
import type { KeyValueSlab, SlabEntry } from "./key_value_slab.ts"
import { KeyValueSnapshot } from "./key_value_snapshot.ts"

/** Where the texts of one engine are kept. */
export interface KeyValueStore {
  readonly slab: KeyValueSlab
  /** Of all snapshots. */
  readonly snapshots: { bytes: number }
}

/** The tokens of one cache. */
export class KeyValueText {
  readonly #store: KeyValueStore
  #length = 0
  #entry: SlabEntry | undefined
  /** A text with a slot, from which a text without one borrows all its tokens. */
  #lender: KeyValueText | undefined
  readonly #borrowers = new Set<KeyValueText>()
  /** What the first `#shared` tokens are in too: all of them, for a text that is only there. */
  #snapshot: KeyValueSnapshot | undefined
  #shared = 0

  constructor(store: KeyValueStore) {
    this.#store = store
  }

  /** Tokens held. */
  get length(): number {
    return this.#entry?.length ?? this.#length
  }

  /** Its slot's place; only of a text that has entered. */
  get slot(): number {
    return this.#entry!.slot
  }

  /** A text with the same tokens, which takes no slot yet. */
  fork(): KeyValueText {
    const fork = new KeyValueText(this.#store)
    fork.#length = this.length
    if (this.length === 0) return fork
    const lender = this.#entry === undefined ? this.#lender : this
    if (lender !== undefined) fork.#borrowFrom(lender)
    else fork.#refer(this.#snapshot!, this.length)
    return fork
  }

  /** Forgets all tokens from `length` on. */
  truncate(length: number): void {
    if (this.#entry === undefined) this.#length = length
    else {
      for (const borrower of this.#borrowers) {
        if (borrower.length > length) {
          this.#settle()
          break
        }
      }
      this.#entry.length = length
    }
    this.#shared = Math.min(this.#shared, length)
    if (length === 0) this.#forget()
  }

  /** Frees what only this text held. */
  close(): void {
    if (this.#entry !== undefined) {
      this.#settle()
      this.#store.slab.remove(this.#entry)
      this.#entry = undefined
    }
    this.#length = 0
    this.#forget()
  }

  /**
   * Gives all texts neighbouring slots with room for `length` tokens, and tells the first of these.
   * Changes nothing where memory runs out.
   */
  static enter(
    { slab }: KeyValueStore,
    texts: readonly KeyValueText[],
    length: number,
  ): number {
    const added: SlabEntry[] = []
    try {
      const entries = texts.map((text) => {
        if (text.#entry !== undefined) return text.#entry
        const entry = slab.add()
        added.push(entry)
        return entry
      })
      slab.reserve(length)
      // Slots move before they are filled.
      const first = slab.gather(entries)
      texts.forEach((text, i) => text.#fill(entries[i]))
      return first
    } catch (error) {
      for (const entry of added) slab.remove(entry)
      throw error
    }
  }

  /** Moves to a slot of its own, that has room. */
  #fill(entry: SlabEntry): void {
    if (this.#entry === entry) return
    const { slab } = this.#store
    const lender = this.#lender
    if (lender !== undefined) {
      slab.copy(lender.#entry!, entry, this.#length)
      const shared = Math.min(lender.#shared, this.#length)
      this.#forget()
      if (shared > 0) this.#refer(lender.#snapshot!, shared)
    } else this.#snapshot?.writeTo(slab, entry, this.#length)
    this.#entry = entry
  }

  /** Puts the tokens of all borrowers into a snapshot. */
  #settle(): void {
    if (this.#borrowers.size === 0) return
    let longest = 0
    for (const { length } of this.#borrowers) longest = Math.max(longest, length)
    if (this.#shared < longest) {
      const snapshot = new KeyValueSnapshot(this.#store.slab, this.#entry!, {
        length: longest,
        earlier: this.#snapshot,
        shared: this.#shared,
        held: this.#store.snapshots,
      })
      this.#snapshot?.release()
      this.#snapshot = snapshot
      this.#shared = longest
    }
    for (const borrower of this.#borrowers) {
      borrower.#lender = undefined
      borrower.#refer(this.#snapshot!, borrower.length)
    }
    this.#borrowers.clear()
  }

  #borrowFrom(lender: KeyValueText): void {
    this.#lender = lender
    lender.#borrowers.add(this)
  }

  #refer(snapshot: KeyValueSnapshot, shared: number): void {
    this.#snapshot = snapshot.share()
    this.#shared = shared
  }

  /** Lets go of what others hold too. */
  #forget(): void {
    if (this.#lender !== undefined) this.#lender.#borrowers.delete(this)
    this.#lender = undefined
    this.#snapshot?.release()
    this.#snapshot = undefined
    this.#shared = 0
  }
}
