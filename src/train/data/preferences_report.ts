/** What became of the pairs of a data set: kept, cut or dropped, and why. */

/** Why a pair is not trained on. */
export type DropReason =
  /** The two transcripts of an HH-RLHF row share no turn of the assistant's. */
  | "no common prompt"
  /** The scores of an UltraFeedback row are closer than `minScoreGap`. */
  | "scores too close"
  /** Both responses are the same text. */
  | "equal responses"
  /** A response has no text but white space. */
  | "empty response"
  /** The prompt has no token, not even one that begins a text, from which to predict the next. */
  | "no prompt tokens"
  /** A response has no token, or none is left after the cut. */
  | "no response tokens"
  /** The responses differ as texts and not as tokens. */
  | "equal tokens"
  /** The responses differ only in what was cut off. */
  | "equal after truncation"

/** The pairs dropped for one reason. */
export interface Dropped {
  /** Why. */
  readonly reason: DropReason
  /** How many. */
  readonly count: number
  /** Where the first of them are, such as `line 17` or `pair 3`, counted from 1. */
  readonly first: readonly string[]
}

/** What became of the pairs given to `tokenizePreferences`. */
export interface PreferenceReport {
  /** Pairs in all, those that the reader of a file dropped included. */
  readonly pairs: number
  /** Pairs to train on. */
  readonly kept: number
  /** By reason, the most frequent first. */
  readonly dropped: readonly Dropped[]
  /** Kept pairs whose prompt lost tokens. */
  readonly cutPrompts: number
  /** Kept pairs of which a response, or both, lost tokens. */
  readonly cutResponses: number
  /** Tokens of the longest prompt with its response, of those kept. */
  readonly longest: number
  /** Tokens of all kept responses: what the loss is computed on. */
  readonly responseTokens: number
}

/** Places kept of each reason. */
const placesKept = 5

/** Counts what is dropped. */
export class DropTally {
  readonly #places = new Map<DropReason, { count: number; first: string[] }>()

  /** Counts one; `place` says which. */
  add(reason: DropReason, place: string): void {
    const entry = this.#places.get(reason) ?? { count: 0, first: [] }
    this.#places.set(reason, entry)
    entry.count++
    if (entry.first.length < placesKept) entry.first.push(place)
  }

  /** What has been counted, the most frequent reason first. */
  list(): readonly Dropped[] {
    return [...this.#places]
      .map(([reason, { count, first }]) => ({ reason, count, first: [...first] }))
      .sort((a, b) => b.count - a.count)
  }
}

/**
 * A report as a few lines of text.
 *
 * @example
 * ```ts
 * import { printPreferenceReport } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 *
 * const text = printPreferenceReport({
 *   pairs: 100,
 *   kept: 98,
 *   dropped: [{ reason: "equal responses", count: 2, first: ["pair 3", "pair 17"] }],
 *   cutPrompts: 4,
 *   cutResponses: 0,
 *   longest: 256,
 *   responseTokens: 9800,
 * })
 * assertEquals(
 *   text,
 *   `kept 98 of 100 pairs: 9800 response tokens, the longest text 256
 * cut: 4 prompts, responses of 0 pairs
 * dropped 2: equal responses (pair 3, pair 17)`,
 * )
 * ```
 */
export function printPreferenceReport(report: PreferenceReport): string {
  const { pairs, kept, dropped, cutPrompts, cutResponses, longest, responseTokens } = report
  return [
    `kept ${kept} of ${pairs} pairs: ${responseTokens} response tokens, the longest text ${longest}`,
    `cut: ${cutPrompts} prompts, responses of ${cutResponses} pairs`,
    ...dropped.map(({ reason, count, first }) =>
      `dropped ${count}: ${reason} (${first.join(", ")}${count > first.length ? ", ..." : ""})`
    ),
  ].join("\n")
}
