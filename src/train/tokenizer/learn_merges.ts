/**
 * Byte-pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909): merge the pair of
 * neighbouring tokens that occurs most often, and again. All words lie in one array as linked lists;
 * a merge visits only the places of its pair and changes the counts of the neighbours there, so the
 * whole training costs about as much as the places it visits.
 */
import { type Pair, PairHeap } from "./pair_heap.ts"

/** Ids of the two tokens that become one. Ids below 256 are bytes; merge `i` makes `256 + i`. */
export type Merge = readonly [left: number, right: number]

/**
 * The merges of words, one at a time for as long as they are asked for; it ends when no pair is
 * left that occurs `minimumCount` times. Of pairs that occur equally often, the one with the lowest
 * left id is first, then the one with the lowest right id.
 *
 * @param words well-formed words and how often each occurs.
 */
export function* learnMerges(
  words: ReadonlyMap<string, number>,
  minimumCount: number,
): Generator<Merge, void> {
  const { tokens, previous, next, wordOf, counts } = layOut(words)
  const pairs = new Map<number, Pair>()
  const heap = new PairHeap()
  let found: Pair[] = []

  const keyAt = (place: number) => tokens[place] * idLimit + tokens[next[place]]
  const add = (place: number) => {
    const key = keyAt(place)
    let pair = pairs.get(key)
    if (pair === undefined) {
      const [left, right] = [tokens[place], tokens[next[place]]]
      pairs.set(key, pair = { left, right, count: 0, queued: 0, places: [] })
      found.push(pair)
    }
    pair.count += counts[wordOf[place]]
    pair.places.push(place)
  }
  const remove = (place: number) => {
    const pair = pairs.get(keyAt(place))
    if (pair !== undefined) pair.count -= counts[wordOf[place]]
  }
  // Pairs come up only together with one of their tokens: after that step no count rises any more.
  const queueFound = () => {
    for (const pair of found) {
      if (pair.count >= minimumCount) heap.push(pair)
      else pairs.delete(pair.left * idLimit + pair.right)
    }
    found = []
  }

  for (let place = 0; place < tokens.length; place++) if (next[place] !== none) add(place)
  queueFound()
  for (let id = 256;; id++) {
    const pair = heap.pop(minimumCount)
    if (pair === undefined) return
    const { left, right, places } = pair
    pairs.delete(left * idLimit + right)
    for (const place of places) {
      const taken = next[place]
      // Other merges have changed some places, and this one has: "aaa" holds "aa" at two.
      if (tokens[place] !== left || taken === none || tokens[taken] !== right) continue
      const [before, after] = [previous[place], next[taken]]
      if (before !== none) remove(before)
      if (after !== none) remove(taken)
      tokens[place] = id
      tokens[taken] = none
      next[place] = after
      if (after !== none) previous[after] = place
      if (before !== none) add(before)
      if (after !== none) add(place)
    }
    queueFound()
    yield [left, right]
  }
}

/** Above every id, and small enough for a pair of ids to be one exact number. */
const idLimit = 1 << 24

const none = -1

/** All words one after the other, a place for each byte. */
interface Places {
  /** The token that begins at a place; `none` where one goes on. */
  readonly tokens: Int32Array
  /** Where the token before and after begins; `none` at the ends of a word. */
  readonly previous: Int32Array
  readonly next: Int32Array
  readonly wordOf: Int32Array
  /** By word. */
  readonly counts: Float64Array
}

function layOut(words: ReadonlyMap<string, number>): Places {
  const encoder = new TextEncoder()
  let length = 0
  for (const word of words.keys()) length += encoder.encode(word).length
  const tokens = new Int32Array(length)
  const previous = new Int32Array(length)
  const next = new Int32Array(length)
  const wordOf = new Int32Array(length)
  let [begin, index] = [0, 0]
  for (const word of words.keys()) {
    const bytes = encoder.encode(word)
    const end = begin + bytes.length
    tokens.set(bytes, begin)
    wordOf.fill(index++, begin, end)
    for (let place = begin; place < end; place++) {
      previous[place] = place === begin ? none : place - 1
      next[place] = place === end - 1 ? none : place + 1
    }
    begin = end
  }
  return { tokens, previous, next, wordOf, counts: Float64Array.from(words.values()) }
}
