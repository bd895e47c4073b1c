/**
 * Token ids to text while they come, never half a character: bytes of one character may be spread
 * over tokens. Ids are decoded in a short window that begins before the new token, because a
 * tokenizer may treat the first token of a text differently.
 */
import type { Tokenizer } from "../files/tokenizer.ts"

/** Tokens of the prompt that the window begins with. */
const promptTail = 6

/** Tokens that may be held back: more than one character is made of, so their bytes are none. */
const heldTokens = 16

/** Tokens that the window may grow to while none of them adds text. */
const windowTokens = 64

/** What a decoder writes for bytes that are no character yet. */
const incomplete = "\uFFFD"

/** The text of one sequence. */
export class TextStream {
  readonly #tokenizer: Tokenizer
  #window: number[]
  /** How many ids of the window have been told. */
  #told: number

  constructor(tokenizer: Tokenizer, promptIds: readonly number[]) {
    this.#tokenizer = tokenizer
    this.#window = promptIds.slice(-promptTail)
    this.#told = this.#window.length
  }

  /** The text that a token adds: empty while a character is incomplete. */
  push(id: number): string {
    this.#window.push(id)
    const before = this.#tokenizer.decode(this.#window.slice(0, this.#told))
    const after = this.#tokenizer.decode(this.#window)
    const held = this.#window.length - this.#told
    if (after.endsWith(incomplete) && held < heldTokens) return ""
    const text = added(before, after)
    // A token without text (a special one) cannot stand for what precedes the next.
    if (text !== "" || this.#window.length > windowTokens) {
      this.#window = this.#window.slice(this.#told)
    }
    this.#told = this.#window.length
    return text
  }

  /** What was held back, as it is: bytes that never became a character are U+FFFD. */
  flush(): string {
    const before = this.#tokenizer.decode(this.#window.slice(0, this.#told))
    const after = this.#tokenizer.decode(this.#window)
    this.#told = this.#window.length
    return added(before, after)
  }
}

/** What `after` says beyond `before`, of which the last bytes may have become a character. */
function added(before: string, after: string): string {
  let same = 0
  while (same < before.length && before[same] === after[same]) same++
  return after.slice(same)
}
