/** Two responses to one prompt, of which one is preferred: as text, and as token ids. */
import type { ChatMessage } from "../../files/tokenizer.ts"

/** A preference as text. */
export interface PreferencePair {
  /** What both answer: a text, which may be empty, or a conversation that ends before the answer. */
  readonly prompt: string | readonly ChatMessage[]
  /** The preferred response. */
  readonly chosen: string
  /** The other one. */
  readonly rejected: string
}

/** A preference as token ids. */
export interface TokenPair {
  /** At least one id; begins with BOS where the tokenizer adds one. */
  readonly prompt: readonly number[]
  /** Ends in EOS, unless it was cut. */
  readonly chosen: readonly number[]
  /** Ends in EOS, unless it was cut. */
  readonly rejected: readonly number[]
}
