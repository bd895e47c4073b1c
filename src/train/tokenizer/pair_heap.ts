/** Two tokens that stand beside each other, and a heap that gives the pair to merge next. */

/** A pair of token ids over all words. */
export interface Pair {
  readonly left: number
  readonly right: number
  /** Occurrences now, words weighed by theirs. It only falls once the pair is in a heap. */
  count: number
  /** The count when it was last put into the heap. */
  queued: number
  /** Where the left token has stood, ascending; some of these are gone. */
  readonly places: number[]
}

/** A binary heap: the highest queued count first, of equal ones the lowest ids. */
export class PairHeap {
  readonly #pairs: Pair[] = []

  /** Adds a pair that is not in it, at its count of now. */
  push(pair: Pair): void {
    pair.queued = pair.count
    const pairs = this.#pairs
    let at = pairs.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(pair, pairs[parent])) break
      pairs[at] = pairs[parent]
      at = parent
    }
    pairs[at] = pair
  }

  /**
   * Takes the pair of the highest count out; `undefined` when none occurs `minimumCount` times. One
   * whose count has fallen since it was queued goes back to where it belongs now.
   */
  pop(minimumCount: number): Pair | undefined {
    for (let pair = this.#take(); pair !== undefined; pair = this.#take()) {
      if (pair.count < minimumCount) continue
      if (pair.count === pair.queued) return pair
      this.push(pair)
    }
    return undefined
  }

  #take(): Pair | undefined {
    const pairs = this.#pairs
    const first = pairs[0]
    const last = pairs.pop()
    if (last === undefined || pairs.length === 0) return first
    let at = 0
    for (let child = 1; child < pairs.length; child = 2 * at + 1) {
      if (child + 1 < pairs.length && isBefore(pairs[child + 1], pairs[child])) child++
      if (!isBefore(pairs[child], last)) break
      pairs[at] = pairs[child]
      at = child
    }
    pairs[at] = last
    return first
  }
}

function isBefore(a: Pair, b: Pair): boolean {
  if (a.queued !== b.queued) return a.queued > b.queued
  return a.left !== b.left ? a.left < b.left : a.right < b.right
}
