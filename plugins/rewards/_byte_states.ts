/**
 * A graph over bytes as a deterministic automaton, made state by state as it is needed: a state is the
 * set of places where a text may have led, of those from which the end can be reached.
 */
import type { ByteEdge, ByteGraph } from "./_byte_graph.ts"

/** The state from which nothing can match. */
export const dead = -1

const unknown = -2

/** What is known of a state. */
interface State {
  /** Sorted: the places with edges, and the end. */
  readonly places: Int32Array
  readonly accepts: boolean
}

/** The automaton of a graph. */
export class ByteStates {
  /** The state of the empty text; `dead` where nothing matches. */
  readonly start: number
  readonly #edges: readonly (readonly ByteEdge[])[]
  readonly #free: readonly (readonly number[])[]
  readonly #end: number
  /** `[256]`: bytes that no edge tells apart have one class. */
  readonly #classes: Uint8Array
  readonly #classCount: number
  /** One byte of each class. */
  readonly #sample: Uint8Array
  /** By place: whether the end can be reached. */
  readonly #isLive: Uint8Array
  readonly #states: State[] = []
  /** `[states, classes]`, with room for more states: where a byte leads. */
  #next: Int32Array
  readonly #byPlaces = new Map<string, number>()
  /** `[places]`: the round in which a place was met. */
  readonly #met: Int32Array
  #round = 0

  /** @param dropsFirstSpace Whether a space at the very beginning is no part of the text. */
  constructor(graph: ByteGraph, dropsFirstSpace: boolean) {
    this.#edges = graph.edges
    this.#free = graph.free
    this.#end = graph.end
    const { classes, sample } = byteClasses(graph.edges, dropsFirstSpace)
    this.#classes = classes
    this.#sample = sample
    this.#classCount = sample.length
    this.#next = new Int32Array(64 * sample.length)
    this.#met = new Int32Array(graph.edges.length)
    this.#isLive = this.liveAlong(() => true)
    const start = this.#stateOf([graph.start])
    this.start = dropsFirstSpace && start !== dead ? this.#afterSpace(start) : start
  }

  /** The state after one more byte. */
  next(state: number, byte: number): number {
    if (state === dead) return dead
    const known = this.#next[state * this.#classCount + this.#classes[byte]]
    return known === unknown ? this.#step(state, this.#classes[byte]) : known
  }

  /** Whether the text that has led to a state matches as it is. */
  accepts(state: number): boolean {
    return state !== dead && this.#states[state].accepts
  }

  /** The places of a state. */
  placesOf(state: number): Int32Array {
    return this.#states[state].places
  }

  /** By place: whether the end can be reached along edges that take a byte of those that may come. */
  liveAlong(mayCome: (edge: ByteEdge) => boolean): Uint8Array {
    const before: number[][] = Array.from(this.#edges, () => [])
    this.#edges.forEach((edges, place) => {
      for (const edge of edges) if (mayCome(edge)) before[edge.target].push(place)
    })
    this.#free.forEach((targets, place) => {
      for (const target of targets) before[target].push(place)
    })
    const live = new Uint8Array(before.length)
    live[this.#end] = 1
    const waiting = [this.#end]
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      for (const earlier of before[place]) {
        if (live[earlier] === 1) continue
        live[earlier] = 1
        waiting.push(earlier)
      }
    }
    return live
  }

  #step(state: number, byteClass: number): number {
    const { places } = this.#states[state]
    const byte = this.#sample[byteClass]
    const targets: number[] = []
    for (const place of places) {
      for (const { from, to, target } of this.#edges[place]) {
        if (from <= byte && byte <= to) targets.push(target)
      }
    }
    const found = this.#stateOf(targets)
    this.#next[state * this.#classCount + byteClass] = found
    return found
  }

  /** A state that goes on as another does, but for a space that leads there. */
  #afterSpace(state: number): number {
    const after = this.#add(this.#states[state])
    this.#next[after * this.#classCount + this.#classes[0x20]] = state
    return after
  }

  #add(state: State): number {
    const begin = this.#states.length * this.#classCount
    if (begin === this.#next.length) {
      const larger = new Int32Array(2 * begin)
      larger.set(this.#next)
      this.#next = larger
    }
    this.#next.fill(unknown, begin, begin + this.#classCount)
    return this.#states.push(state) - 1
  }

  /** The state of these places and all that can be reached from them without a byte. */
  #stateOf(targets: number[]): number {
    const round = ++this.#round
    const places: number[] = []
    while (targets.length > 0) {
      const place = targets.pop()!
      if (this.#met[place] === round || this.#isLive[place] === 0) continue
      this.#met[place] = round
      if (this.#edges[place].length > 0 || place === this.#end) places.push(place)
      for (const target of this.#free[place]) targets.push(target)
    }
    if (places.length === 0) return dead
    const sorted = Int32Array.from(places).sort()
    const key = sorted.join()
    const known = this.#byPlaces.get(key)
    if (known !== undefined) return known
    this.#byPlaces.set(key, this.#states.length)
    return this.#add({ places: sorted, accepts: this.#met[this.#end] === round })
  }
}

/** Bytes that have one class where no edge tells them apart; a space may have its own. */
function byteClasses(edges: readonly (readonly ByteEdge[])[], dropsFirstSpace: boolean) {
  const begins = new Uint8Array(257)
  begins[0] = 1
  if (dropsFirstSpace) begins.fill(1, 0x20, 0x22)
  for (const { from, to } of edges.flat()) {
    begins[from] = 1
    begins[to + 1] = 1
  }
  const classes = new Uint8Array(256)
  const sample: number[] = []
  for (let byte = 0; byte < 256; byte++) {
    if (begins[byte] === 1) sample.push(byte)
    classes[byte] = sample.length - 1
  }
  return { classes, sample: Uint8Array.from(sample) }
}
