/**
 * Which tokens may come next in each state of an automaton: those whose bytes lead to a state from
 * which other tokens can complete a match. Where every byte is a token of its own, the automaton itself
 * says so; where bytes are missing, the states concerned are searched along whole tokens.
 */
import { type ByteStates, dead } from "./_byte_states.ts"
import type { TokenTrie } from "./_token_trie.ts"

/** Ids that are told apart: the fewer of those that are allowed, and of those that are not. */
interface Mask {
  readonly isAllowed: boolean
  readonly ids: Int32Array
}

/** Ids that are remembered in all masks together: 64 MB. */
const mostIds = 16_000_000

/** The masks of an automaton over the tokens of a vocabulary. */
export class TokenMasks {
  readonly #states: ByteStates
  readonly #trie: TokenTrie
  readonly #eos: readonly number[]
  readonly #size: number
  /** By place of the graph: whether single-byte tokens lead from it to the end. */
  readonly #isCertain: Uint8Array
  /** Every state is certain. */
  readonly #isComplete: boolean
  /** By state, where that does not decide. */
  readonly #isLive = new Map<number, boolean>()
  readonly #masks = new Map<number, Mask>()
  #heldIds = 0
  /** `[depth + 1]`: the states on the way to a node. */
  readonly #way: Int32Array

  /**
   * @param eos Ids that end a text.
   * @param size Ids that are scored.
   */
  constructor(states: ByteStates, trie: TokenTrie, eos: readonly number[], size: number) {
    this.#states = states
    this.#trie = trie
    this.#eos = [...new Set(eos)].filter((id) => id < size)
    this.#size = size
    this.#way = new Int32Array(trie.depth + 1)
    this.#isCertain = states.liveAlong(({ from, to }) =>
      trie.isToken.subarray(from, to + 1).includes(1)
    )
    this.#isComplete = states.liveAlong(() => true).every((live, i) => live === this.#isCertain[i])
  }

  /** Whether tokens lead from a state to a match. */
  isLive(state: number): boolean {
    if (state === dead) return false
    if (this.#isComplete || this.#isLive.get(state)) return true
    if (this.#isLive.has(state)) return false
    if (this.#isCertainAt(state)) this.#isLive.set(state, true)
    else this.#search(state)
    return this.#isLive.get(state)!
  }

  /** Writes 0 for ids that may come next, and `-Infinity` for the others. */
  writeInto(state: number, out: Float32Array): void {
    const { isAllowed, ids } = this.#maskOf(state)
    out.fill(isAllowed ? -Infinity : 0)
    const value = isAllowed ? 0 : -Infinity
    for (let i = 0; i < ids.length; i++) out[ids[i]] = value
  }

  #isCertainAt(state: number): boolean {
    return this.#states.placesOf(state).some((place) => this.#isCertain[place] === 1)
  }

  #maskOf(state: number): Mask {
    const known = this.#masks.get(state)
    if (known !== undefined) return known
    const mask = this.#make(state)
    this.#masks.set(state, mask)
    this.#heldIds += mask.ids.length
    for (const [oldest, { ids }] of this.#masks) {
      if (this.#heldIds <= mostIds || oldest === state) break
      this.#masks.delete(oldest)
      this.#heldIds -= ids.length
    }
    return mask
  }

  #make(state: number): Mask {
    const may = new Uint8Array(this.#size)
    const { firstIds, ids } = this.#trie
    let count = 0
    this.#walk(state, (node, after) => {
      if (!this.isLive(after)) return
      for (let i = firstIds[node]; i < firstIds[node + 1]; i++) may[ids[i]] = 1
      count += firstIds[node + 1] - firstIds[node]
    })
    if (this.#states.accepts(state)) {
      for (const id of this.#eos) may[id] = 1
      count += this.#eos.length
    }
    const isAllowed = count * 2 <= this.#size
    const told = new Int32Array(isAllowed ? count : this.#size - count)
    const wanted = isAllowed ? 1 : 0
    for (let id = 0, at = 0; id < may.length; id++) if (may[id] === wanted) told[at++] = id
    return { isAllowed, ids: told }
  }

  /** Visits the nodes with tokens that the automaton lets pass, with the state after each. */
  #walk(state: number, visit: (node: number, after: number) => void): void {
    const { bytes, depths, ends, firstIds } = this.#trie
    // A visit may walk too, from another state.
    const way = this.#way.slice()
    way[0] = state
    for (let node = 0; node < bytes.length;) {
      const depth = depths[node]
      const after = this.#states.next(way[depth], bytes[node])
      if (after === dead) {
        node = ends[node]
        continue
      }
      way[depth + 1] = after
      if (firstIds[node] < firstIds[node + 1]) visit(node, after)
      node++
    }
  }

  /** Decides for a state, and for all that tokens lead to from it without one that is known. */
  #search(state: number): void {
    const before = new Map<number, Set<number>>([[state, new Set()]])
    const waiting = [state]
    const live: number[] = []
    for (let from = waiting.pop(); from !== undefined; from = waiting.pop()) {
      const origin = from
      const met = new Set<number>()
      this.#walk(origin, (_, after) => met.add(after))
      for (const after of met) {
        const isLive = this.#isLive.get(after) ?? this.#isCertainAt(after)
        if (isLive) live.push(origin)
        if (isLive || this.#isLive.has(after)) continue
        if (!before.has(after)) {
          before.set(after, new Set())
          waiting.push(after)
        }
        before.get(after)!.add(origin)
      }
    }
    for (const other of before.keys()) this.#isLive.set(other, false)
    for (let known = live.pop(); known !== undefined; known = live.pop()) {
      if (this.#isLive.get(known)) continue
      this.#isLive.set(known, true)
      live.push(...before.get(known)!)
    }
  }
}
