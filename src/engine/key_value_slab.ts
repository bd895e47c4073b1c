/**
 * Keys and values of many caches side by side, one slot a cache, so that caches in neighbouring
 * slots are a batch without any copy: for each layer two arrays `[slots, heads, capacity, headSize]`.
 * Slots move when rows that step together are not neighbours.
 */

/** What the arrays are made of. */
export interface SlabShape {
  readonly layers: number
  /** Key-value heads. */
  readonly heads: number
  readonly headSize: number
}

/** A cache's place in the slab; the slab moves it. */
export interface SlabEntry {
  slot: number
  /** Tokens held. */
  length: number
}

/** Room for tokens grows in steps of this, and by a quarter at least. */
const capacityStep = 64

/** The storage of all caches of one engine. */
export class KeyValueSlab {
  readonly shape: SlabShape
  /** For each layer keys then values: `[slots, heads, capacity, headSize]`. */
  buffers: Float32Array<ArrayBuffer>[] = []
  /** Tokens a slot has room for. */
  capacity = 0
  /** Counts replacements of `buffers`. */
  generation = 0
  #slots = 0
  readonly #entries: (SlabEntry | undefined)[] = []

  constructor(shape: SlabShape) {
    this.shape = shape
  }

  /** Caches open. */
  get open(): number {
    return this.#entries.reduce((count, entry) => count + (entry ? 1 : 0), 0)
  }

  /** Bytes allocated. */
  get bytes(): number {
    return this.buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0)
  }

  /** Takes the lowest free slot. */
  add(): SlabEntry {
    const free = this.#entries.indexOf(undefined)
    const entry = { slot: free === -1 ? this.#entries.length : free, length: 0 }
    this.#entries[entry.slot] = entry
    return entry
  }

  /** Frees a slot; with the last one the memory goes, so that a long text leaves no long buffers. */
  remove(entry: SlabEntry): void {
    this.#entries[entry.slot] = undefined
    while (this.#entries.length > 0 && this.#entries.at(-1) === undefined) this.#entries.pop()
    if (this.#entries.length === 0) this.#replace(0, 0)
  }

  /** Makes room for `length` tokens in every open slot. */
  reserve(length: number): void {
    const slots = Math.max(this.#slots, this.#entries.length)
    if (slots === this.#slots && length <= this.capacity) return
    const grown = Math.max(length, this.capacity === 0 ? 0 : Math.ceil(this.capacity * 1.25))
    const capacity = length <= this.capacity
      ? this.capacity
      : Math.ceil(grown / capacityStep) * capacityStep
    this.#replace(slots, capacity)
  }

  /** Copies the tokens of one entry to another. */
  copy(from: SlabEntry, to: SlabEntry): void {
    to.length = from.length
    this.reserve(from.length)
    this.#eachHead(
      from.slot,
      to.slot,
      (buffer, source, target) =>
        buffer.copyWithin(target, source, source + from.length * this.shape.headSize),
    )
  }

  /** Brings the entries into neighbouring slots, and gives the first of these. */
  gather(entries: readonly SlabEntry[]): number {
    const first = entries.reduce((low, { slot }) => Math.min(low, slot), Infinity)
    const last = entries.reduce((high, { slot }) => Math.max(high, slot), -1)
    if (last - first + 1 === entries.length) return first
    entries.forEach((entry, slot) => this.#swap(entry, slot))
    return 0
  }

  /**
   * Appends new tokens. `delta` is `[2 * layers, rows, heads, steps, headSize]`; row `r` belongs to
   * slot `first + r`, and its first `counts[r]` steps are kept: none of a slot freed meanwhile.
   */
  append(delta: Float32Array, first: number, steps: number, counts: ArrayLike<number>): void {
    const { heads, headSize } = this.shape
    const { capacity } = this
    const rows = counts.length
    let source = 0
    for (const buffer of this.buffers) {
      for (let row = 0; row < rows; row++) {
        const length = this.#entries[first + row]?.length ?? 0
        const size = counts[row] * headSize
        for (let head = 0; head < heads; head++, source += steps * headSize) {
          const target = (((first + row) * heads + head) * capacity + length) * headSize
          // A loop beats `set` on a view for the few numbers of one token.
          if (size <= 128) { for (let i = 0; i < size; i++) buffer[target + i] = delta[source + i] }
          else buffer.set(delta.subarray(source, source + size), target)
        }
      }
    }
    for (let row = 0; row < rows; row++) {
      const entry = this.#entries[first + row]
      if (entry !== undefined) entry.length += counts[row]
    }
  }

  #swap(entry: SlabEntry, slot: number): void {
    if (entry.slot === slot) return
    const other = this.#entries[slot]
    const size = Math.max(entry.length, other?.length ?? 0) * this.shape.headSize
    const held = new Float32Array(size)
    this.#eachHead(entry.slot, slot, (buffer, source, target) => {
      held.set(buffer.subarray(target, target + size))
      buffer.copyWithin(target, source, source + size)
      buffer.set(held, source)
    })
    this.#entries[entry.slot] = other
    this.#entries[slot] = entry
    if (other !== undefined) other.slot = entry.slot
    entry.slot = slot
  }

  #eachHead(
    from: number,
    to: number,
    visit: (buffer: Float32Array, source: number, target: number) => void,
  ): void {
    const { heads, headSize } = this.shape
    const stride = this.capacity * headSize
    for (const buffer of this.buffers) {
      for (let head = 0; head < heads; head++) {
        visit(buffer, (from * heads + head) * stride, (to * heads + head) * stride)
      }
    }
  }

  #replace(slots: number, capacity: number): void {
    const { layers, heads, headSize } = this.shape
    const old = this.buffers
    const oldStride = this.capacity * headSize
    const stride = capacity * headSize
    this.buffers = slots === 0 ? [] : Array.from({ length: 2 * layers }, (_, index) => {
      const buffer = new Float32Array(slots * heads * stride)
      for (const entry of old.length === 0 ? [] : this.#entries) {
        if (entry === undefined || entry.slot >= this.#slots) continue
        for (let head = entry.slot * heads; head < (entry.slot + 1) * heads; head++) {
          const begin = head * oldStride
          buffer.set(old[index].subarray(begin, begin + entry.length * headSize), head * stride)
        }
      }
      return buffer
    })
    this.#slots = slots
    this.capacity = capacity
    this.generation++
  }
}
