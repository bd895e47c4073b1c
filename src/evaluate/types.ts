/** What a measurement of guidance takes and gives. */
import type { Generation, Prompt } from "../decode/types.ts"
import type { Estimate, EstimateOptions } from "./estimate.ts"

/**
 * A number for a text, such as how cheerful it is.
 *
 * @param text The continuation, without the prompt.
 * @param generation Where the text comes from, with its tokens.
 * @param prompt What it goes on from.
 */
export type Measure = (
  text: string,
  generation: Generation,
  prompt: Prompt,
) => number | PromiseLike<number>

/** What is measured. */
export interface GuidanceOptions extends EstimateOptions {
  /** What the texts go on from. */
  readonly prompts: readonly Prompt[]
  /** Texts for each prompt and setting; 1 where absent. */
  readonly samples?: number
  /**
   * The settings, one for each row: weights by the names of the rewards. A reward that is left out
   * keeps the graph's weight.
   */
  readonly weights: readonly Readonly<Record<string, number>>[]
  /** Tokens of a text at most; 256 where absent. */
  readonly maxTokens?: number
  /**
   * A uint32; 0 where absent. Every setting draws its texts with the same seeds, and the
   * intervals with it too.
   */
  readonly seed?: number
  /** Further figures, by name. */
  readonly measures?: Readonly<Record<string, Measure>>
  /** Hears how far it is, every few dozen texts. */
  readonly onProgress?: (progress: GuidanceProgress) => void
  /** Aborts between two tokens. */
  readonly signal?: AbortSignal
}

/** How far a measurement is. */
export interface GuidanceProgress {
  /** Texts written, of all settings. */
  readonly done: number
  /** Texts to write. */
  readonly total: number
  /** The setting under way. */
  readonly weights: Readonly<Record<string, number>>
}

/** One text with its figures. */
export interface GuidedText {
  /** What it goes on from. */
  readonly prompt: Prompt
  /** The continuation. */
  readonly text: string
  /** Its ids, the end token included. */
  readonly ids: readonly number[]
  /** Why it ended. */
  readonly stopReason: Generation["stopReason"]
  /** The seed it was drawn with. */
  readonly seed: number
  /** Sums over its tokens, natural log. */
  readonly logprob: { readonly base: number; readonly guided: number }
  /** Each reward's sum over its tokens, natural log, before its weight. */
  readonly rewards: Readonly<Record<string, number>>
  /** What each measure gave. */
  readonly measures: Readonly<Record<string, number>>
}

/** What one setting did. Every figure is over all its texts, with its interval over texts. */
export interface GuidanceRow {
  /** The setting. */
  readonly weights: Readonly<Record<string, number>>
  /** Texts written. */
  readonly continuations: number
  /** Each reward before its weight, natural log: a token's mean, and a text's. */
  readonly rewards: Readonly<
    Record<string, { readonly perToken: Estimate; readonly perText: Estimate }>
  >
  /** The mean of each measure. */
  readonly measures: Readonly<Record<string, Estimate>>
  /**
   * KL(guided || base) in nats per token, estimated from the tokens drawn as the mean of
   * log guided - log base. See `isUnbiased`.
   */
  readonly kl: Estimate
  /**
   * Whether every token was drawn from the guided distribution itself, as at temperature 1 without
   * truncation. Then `kl` estimates without bias; otherwise it is the mean log-ratio of the tokens
   * drawn, which a lower temperature makes greater.
   */
  readonly isUnbiased: boolean
  /** distinct-1, -2 and -3. */
  readonly distinct: {
    readonly words: readonly [Estimate, Estimate, Estimate]
    readonly tokens: readonly [Estimate, Estimate, Estimate]
  }
  /** Of the texts under the base: exp of minus the mean log-probability of a token. */
  readonly perplexity: Estimate
  /** Tokens of a text, the end token included. */
  readonly length: Estimate
  /** The share of texts that an end token ended. */
  readonly ended: Estimate
  /** The texts, prompt by prompt: text `i` of every row has the same prompt and seed. */
  readonly texts: readonly GuidedText[]
}
