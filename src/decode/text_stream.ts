/**
 * Token ids to text while they come, never half a character: bytes of one character may be spread
 * over tokens. Ids are decoded in a short window that begins before the new token, because a
 * tokenizer may treat the first token of a text differently.
 */
import type { Tokenizer } from "../files/tokenizer.ts"
import { commonLength } from "./common_length.ts"
import { promptTail } from "./text_after.ts"

/** Tokens that may be held back: more than one character is made of, so their bytes are none. */
const heldTokens = 16

/** Tokens that the window may grow to while none of them adds text. */
const windowTokens = 64

/** What a decoder writes for bytes that are no character yet. */
const incomplete = "\uFFFD"

/**
 * What tokens add to a text under way, as met so far: there a token's text depends on its neighbours
 * only where they share a character. Decoding two windows costs ten times a lookup.
 */
const knownTexts = new WeakMap<Tokenizer, Map<number, string>>()

/** The text of one sequence. */
export class TextStream {
  readonly #tokenizer: Tokenizer
  readonly #known: Map<number, string>
  #window: number[]
  /** How many ids of the window have been told. */
  #told: number
  /** Some text has been told, all in whole characters, and nothing is held back. */
  #isUnderWay = false

  constructor(tokenizer: Tokenizer, promptIds: readonly number[]) {
    this.#tokenizer = tokenizer
    this.#window = promptIds.slice(-promptTail)
    this.#told = this.#window.length
    this.#known = knownTexts.get(tokenizer) ?? new Map()
    knownTexts.set(tokenizer, this.#known)
  }

  /** The text that a token adds: empty while a character is incomplete. */
  push(id: number): string {
    const wasUnderWay = this.#isUnderWay
    const known = wasUnderWay ? this.#known.get(id) : undefined
    if (known !== undefined) {
      this.#window = [id]
      this.#told = 1
      return known
    }
    this.#window.push(id)
    const before = this.#tokenizer.decode(this.#window.slice(0, this.#told))
    const after = this.#tokenizer.decode(this.#window)
    const held = this.#window.length - this.#told
    const isWhole = !after.endsWith(incomplete)
    if (!isWhole && held < heldTokens) {
      this.#isUnderWay = false
      return ""
    }
    const text = added(before, after)
    // A token without text (a special one) cannot stand for what precedes the next.
    if (text !== "" || this.#window.length > windowTokens) {
      this.#window = this.#window.slice(this.#told)
      this.#isUnderWay = isWhole
    }
    this.#told = this.#window.length
    if (wasUnderWay && isWhole && text !== "") this.#known.set(id, text)
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
  return after.slice(commonLength(before, after))
}
