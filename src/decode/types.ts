/** What goes into a pipeline and what comes out. */
import type { ChatMessage } from "../files/tokenizer.ts"
import type { Weight } from "../graph/graph.ts"

/**
 * What the model goes on from: text, which gets the beginning-of-sequence token where the tokenizer
 * adds one; token ids, which go unchanged to every model; or a conversation.
 */
export type Prompt = string | readonly number[] | readonly ChatMessage[]

/** How much is recorded of each token. */
export type Trace = "sampled" | "none" | {
  /** Record so many of the likeliest tokens too, by the guided distribution. */
  readonly top: number
}

/** Options of one request. */
export interface GenerateOptions {
  /** Tokens at most, 256 where absent; the models' context may end a text earlier. */
  readonly maxTokens?: number
  /**
   * A uint32 that fixes all random choices; drawn where absent, and returned. Consecutive seeds are
   * independent.
   */
  readonly seed?: number
  /** Strings that end the text, beside the graph's. */
  readonly stop?: readonly string[]
  /** Aborts the request between two steps. */
  readonly signal?: AbortSignal
  /** Weights in place of the graph's, by the names of the rewards. */
  readonly weights?: Readonly<Record<string, Weight>>
  /** Samples of each prompt, for `generateAll`; 1 where absent. */
  readonly n?: number
  /**
   * `"sampled"`, the default, records the log-probabilities of each chosen token. `"none"` saves the
   * time: `logprob.guided` is NaN, and the generation lists no tokens.
   */
  readonly trace?: Trace
}

/** Natural-log probabilities of one token. */
export interface TokenLogProbabilities {
  /** By the base model alone. */
  readonly base: number
  /** By softmax(base + sum of weighted rewards), before temperature and truncation. */
  readonly guided: number
  /** After temperature and truncation: with which it was drawn; 0 for a greedy choice. */
  readonly sampled: number
}

/** One of the likeliest tokens of a step. */
export interface TopToken {
  /** Its id. */
  readonly id: number
  /** The text of this token alone. */
  readonly text: string
  /** Natural log, as in `TokenLogProbabilities`. */
  readonly logprob: { readonly base: number; readonly guided: number }
  /** The score each reward gave it, before its weight. */
  readonly rewards: Readonly<Record<string, number>>
}

/** One token as it is written. */
export interface TokenEvent {
  /** The token's id. */
  readonly id: number
  /**
   * The text that is certain after this token: nothing while a character or a stop string may be
   * half written, nothing for an end token. The last event brings what was still held back.
   */
  readonly text: string
  /** How likely it was. */
  readonly logprob: TokenLogProbabilities
  /**
   * The score each reward gave this token, before its weight: for an ARM log pi_r. `NaN` where a
   * strategy chose a token that a reward with the weight 0, which looks at the likeliest alone, did not.
   */
  readonly rewards: Readonly<Record<string, number>>
  /** The weights in force. */
  readonly weights: Readonly<Record<string, number>>
  /** With `trace: { top }`, the likeliest tokens of the step. */
  readonly top?: readonly TopToken[]
}

/** A finished text. */
export interface Generation {
  /** The continuation, without the prompt and without the string that stopped it. */
  readonly text: string
  /** The ids written, the end token included. */
  readonly ids: readonly number[]
  /** One event for each id; none with `trace: "none"`. */
  readonly tokens: readonly TokenEvent[]
  /** An end token, the limit of tokens or context, or a stop string. */
  readonly stopReason: "eos" | "length" | "stop"
  /** The seed it was drawn with. */
  readonly seed: number
}

/** One token of a scored text. */
export interface ScoredToken {
  /** Its id. */
  readonly id: number
  /** Natural log, as in `TokenLogProbabilities`. */
  readonly logprob: { readonly base: number; readonly guided: number }
  /** The score each reward gave it, before its weight. */
  readonly rewards: Readonly<Record<string, number>>
  /** The weights in force. */
  readonly weights: Readonly<Record<string, number>>
}

/** What a graph says of a given continuation; all sums run over its tokens. */
export interface Score {
  /** The continuation's ids. */
  readonly ids: readonly number[]
  /** One entry for each id. */
  readonly tokens: readonly ScoredToken[]
  /** `sum_t log pi_base(y_t | x, y_<t)`, natural log. */
  readonly base: number
  /** The same by the guided distribution. */
  readonly guided: number
  /**
   * Each reward's total: for an ARM `r(x, y) = sum_t log pi_r(y_t | x, y_<t)`; what it gives the text,
   * where it judges texts.
   */
  readonly rewards: Readonly<Record<string, number>>
}
