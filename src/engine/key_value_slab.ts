/**
 * Keys and values of the caches that step, side by side, one slot a cache, so that caches in
 * neighbouring slots are a batch without any copy: for each layer two arrays
 * `[slots, heads, capacity, headSize]`. As few slots as possible move when rows that step together
 * are not neighbours.
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

/** Memory is given back when so many times what is needed is held. */
const slack = 3

/** The storage of all caches of one engine that have a slot. */
export class KeyValueSlab {
  readonly shape: SlabShape
  /** For each layer keys then values: `[slots, heads, capacity, headSize]`. */
  buffers: Float32Array<ArrayBuffer>[] = []
  /** Tokens a slot has room for. */
  capacity = 0
  /** Counts replacements of `buffers`. */
  generation = 0
  /** Slots in use. */
  open = 0
  #slots = 0
  readonly #entries: (SlabEntry | undefined)[] = []

  constructor(shape: SlabShape) {
    this.shape = shape
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
    this.open++
    return entry
  }

  /** Frees a slot; with the last one the memory goes, so that a long text leaves no long buffers. */
  remove(entry: SlabEntry): void {
    this.#entries[entry.slot] = undefined
    this.open--
    this.#trim()
    if (this.open === 0) this.#replace(0, 0)
  }

  /**
   * Makes room for `length` tokens in every open slot. What a long text or many texts have left
   * behind is given back here: attention costs time for room too, not for tokens only.
   */
  reserve(length: number): void {
    const slots = this.#entries.length
    const most = this.#entries.reduce((most, entry) => Math.max(most, entry?.length ?? 0), length)
    const roomFor = (tokens: number) => Math.ceil(Math.max(1, tokens) / capacityStep) * capacityStep
    const grown = roomFor(Math.max(most, Math.ceil(this.capacity * 1.25)))
    let { capacity } = this
    if (most > capacity) capacity = capacity === 0 ? roomFor(most) : grown
    else if (capacity > slack * roomFor(most)) capacity = roomFor(most * 1.25)
    let held = this.#slots
    if (slots > held) held = Math.max(slots, Math.ceil(held * 1.5))
    else if (held > slack * slots) held = slots
    if (held !== this.#slots || capacity !== this.capacity) this.#replace(held, capacity)
  }

  /** Copies the first `length` tokens of one entry to another, where there is room. */
  copy(from: SlabEntry, to: SlabEntry, length: number): void {
    to.length = length
    this.#eachHead(
      from.slot,
      to.slot,
      (buffer, source, target) =>
        buffer.copyWithin(target, source, source + length * this.shape.headSize),
    )
  }

  /** A copy of the tokens from `start` to `end`: `[2 * layers, heads, end - start, headSize]`. */
  read({ slot }: SlabEntry, start: number, end: number): Float32Array<ArrayBuffer> {
    const { layers, heads, headSize } = this.shape
    const size = (end - start) * headSize
    const out = new Float32Array(2 * layers * heads * size)
    let target = 0
    this.#eachHead(slot, slot, (buffer, source) => {
      const begin = source + start * headSize
      out.set(buffer.subarray(begin, begin + size), target)
      target += size
    })
    return out
  }

  /** Writes the first tokens of what `read` gave at `start`, up to `end`, where there is room. */
  write(entry: SlabEntry, start: number, end: number, tokens: Float32Array): void {
    const { layers, heads, headSize } = this.shape
    const stride = tokens.length / (2 * layers * heads)
    const size = (end - start) * headSize
    let source = 0
    this.#eachHead(entry.slot, entry.slot, (buffer, target) => {
      buffer.set(tokens.subarray(source, source + size), target + start * headSize)
      source += stride
    })
    entry.length = end
  }

  /**
   * Brings the entries into neighbouring slots, and gives the first of these. The stretch that holds
   * most of their tokens already is taken; those outside change places with what is in their way.
   */
  gather(entries: readonly SlabEntry[]): number {
    const last = entries.reduce((high, { slot }) => Math.max(high, slot), -1)
    const lowest = entries.reduce((low, { slot }) => Math.min(low, slot), Infinity)
    if (last - lowest + 1 === entries.length) return lowest
    const members = new Set<SlabEntry | undefined>(entries)
    let first = 0
    let cheapest = Infinity
    for (let start = 0; start + entries.length <= last + 1; start++) {
      let cost = 0
      for (let slot = start; slot < start + entries.length; slot++) {
        const held = this.#entries[slot]
        if (members.has(held)) cost -= held!.length + 1
        else cost += held?.length ?? 0
      }
      if (cost >= cheapest) continue
      cheapest = cost
      first = start
    }
    let hole = first
    for (const entry of entries) {
      if (entry.slot >= first && entry.slot < first + entries.length) continue
      while (members.has(this.#entries[hole])) hole++
      this.#swap(entry, hole)
    }
    this.#trim()
    return first
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

  /** Forgets free slots at the end. */
  #trim(): void {
    while (this.#entries.length > 0 && this.#entries.at(-1) === undefined) this.#entries.pop()
  }

  #swap(entry: SlabEntry, slot: number): void {
    const other = this.#entries[slot]
    const { headSize } = this.shape
    const size = entry.length * headSize
    const otherSize = (other?.length ?? 0) * headSize
    const held = new Float32Array(otherSize)
    if (size + otherSize > 0) {
      this.#eachHead(entry.slot, slot, (buffer, source, target) => {
        if (otherSize > 0) held.set(buffer.subarray(target, target + otherSize))
        buffer.copyWithin(target, source, source + size)
        if (otherSize > 0) buffer.set(held, source)
      })
    }
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
