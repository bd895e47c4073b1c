/**
 * What becomes of beams that have ended, and when no better one is to be expected: the rules of Hugging
 * Face's `GenerationMixin._beam_search` (Hugging Face transformers).
 */

/** When a search ends, once as many texts as beams have ended: see `BeamSearchOptions`. */
export type EarlyStopping = boolean | "never"

/** A text that has ended. */
export interface Hypothesis<Text> {
  readonly text: Text
  /** Its log-probability over its length to the power of the length penalty. */
  readonly score: number
}

/** How ended texts are judged. */
export interface HypothesesRule {
  /** How many are kept. */
  readonly width: number
  readonly lengthPenalty: number
  readonly earlyStopping: EarlyStopping
  /** Tokens that a text may have. */
  readonly longest: number
}

/** The best texts that have ended. */
export class Hypotheses<Text> {
  readonly #rule: HypothesesRule
  readonly #kept: Hypothesis<Text>[] = []

  constructor(rule: HypothesesRule) {
    this.#rule = rule
  }

  get isFull(): boolean {
    return this.#kept.length === this.#rule.width
  }

  /** The best of all; the first of equals. */
  get best(): Text | undefined {
    return this.#kept[0]?.text
  }

  /** All that are kept but the best. */
  get others(): Text[] {
    return this.#kept.slice(1).map(({ text }) => text)
  }

  /** Keeps a text of `length` tokens, if it is among the best; gives the one that goes, if one does. */
  add(text: Text, logProbability: number, length: number): Text | undefined {
    const score = logProbability / length ** this.#rule.lengthPenalty
    const after = this.#kept.findIndex((other) => other.score < score)
    this.#kept.splice(after < 0 ? this.#kept.length : after, 0, { text, score })
    return this.#kept.length > this.#rule.width ? this.#kept.pop()?.text : undefined
  }

  /** Whether a search whose likeliest beam has `length` tokens is at its end. */
  isDone(logProbability: number, length: number): boolean {
    const { lengthPenalty, earlyStopping, longest } = this.#rule
    if (!this.isFull) return false
    if (earlyStopping === true) return true
    // A penalty above 0 favours length: a beam may yet be worth most at the end.
    const reached = earlyStopping === "never" && lengthPenalty > 0 ? longest : length
    return logProbability / reached ** lengthPenalty <= this.#kept[this.#kept.length - 1].score
  }
}
