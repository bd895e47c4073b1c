/**
 * How many tokens to draft. A draft of `k` tokens, each accepted with probability `a`, gives
 * `(1 - a^(k + 1)) / (1 - a)` tokens on average (https://arxiv.org/abs/2211.17192) and costs
 * `1 + k * (draft + verify)` steps: the `k` that gives most for its cost is taken, none where plain
 * steps are the cheapest. `a` is what was met so far, with the past fading.
 *
 * Only counts decide, never the clock, so that one seed gives one text.
 */

/** What tokens cost, in steps of the guided text. */
export interface DraftCosts {
  /** Drafting one token. */
  readonly draft: number
  /** Running one drafted token along with a step. */
  readonly verify: number
}

/** Acceptances and rejections that stand for what is not known at the start. */
const prior = { accepted: 3.5, rejected: 1.5 }

/** What each round leaves of the past. */
const memory = 0.95

/** What a draft must promise over plain steps, as costs are only estimates. */
const worthwhile = 1.05

/** Plain steps after which a draft that does not pay is tried again, at most and at first. */
const [longestRest, shortestRest] = [128, 32]

/** Decides by what has been accepted. */
export class DraftLength {
  readonly #most: number
  readonly #perToken: number
  #accepted = prior.accepted
  #rejected = prior.rejected
  /** Plain steps still to take, and how many there were to take in all. */
  #rest = 0
  #longest = shortestRest

  /** @param most Tokens to draft at most. */
  constructor(most: number, { draft, verify }: DraftCosts) {
    this.#most = most
    this.#perToken = draft + verify
  }

  /** Tokens to draft for the next round: 0 for a plain step. */
  next(): number {
    if (this.#rest > 0) {
      this.#rest--
      return 0
    }
    const best = this.#best()
    if (best > 0) {
      this.#longest = shortestRest
      return best
    }
    // Even a draft that is always right would not pay.
    if (this.#perToken >= 1) return 0
    // What is never tried would never be seen to have become better.
    this.#rest = this.#longest
    this.#longest = Math.min(longestRest, 2 * this.#longest)
    return 1
  }

  /** Hears what became of a draft. */
  record(drafted: number, accepted: number): void {
    if (drafted === 0) return
    this.#accepted = memory * this.#accepted + accepted
    this.#rejected = memory * this.#rejected + (accepted < drafted ? 1 : 0)
    // A draft that was tried and was right may have become good: the next try comes at once.
    if (accepted === drafted) this.#rest = 0
  }

  #best(): number {
    const rate = this.#accepted / (this.#accepted + this.#rejected)
    let best = 0
    let bestGain = worthwhile
    let tokens = 1
    let chance = 1
    for (let k = 1; k <= this.#most; k++) {
      chance *= rate
      tokens += chance
      const gain = tokens / (1 + k * this.#perToken)
      if (gain > bestGain) [best, bestGain] = [k, gain]
    }
    return best
  }
}
