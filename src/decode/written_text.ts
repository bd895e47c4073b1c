/** What the tokens of one sequence say so far, and whether they have ended it. */
import type { Tokenizer } from "../files/tokenizer.ts"
import type { GuidedSequence } from "../plugin/strategy.ts"
import { StopMatcher } from "./stop_matcher.ts"
import { TextStream } from "./text_stream.ts"

/** What a text is written with. */
export interface TextRules {
  readonly tokenizer: Tokenizer
  readonly promptIds: readonly number[]
  /** Ids that end a text. */
  readonly eos: readonly number[]
  /** Strings that end it. */
  readonly stop: readonly string[]
  /** Tokens at most. */
  readonly limit: number
}

/** Tokens as text, in pieces that are certain. */
export class WrittenText {
  readonly ids: number[] = []
  /** Tokens at most. */
  readonly limit: number
  ended: GuidedSequence["ended"]
  readonly #rules: TextRules
  #stream: TextStream
  #stops: StopMatcher

  constructor(rules: TextRules) {
    this.#rules = rules
    this.limit = rules.limit
    this.#stream = new TextStream(rules.tokenizer, rules.promptIds)
    this.#stops = new StopMatcher(rules.stop)
  }

  /** Appends a token; gives the text that is certain after it. */
  push(id: number): string {
    this.ids.push(id)
    const isEnd = this.#rules.eos.includes(id)
    const piece = this.#stops.push(isEnd ? this.#stream.flush() : this.#stream.push(id))
    if (!isEnd && !piece.stopped && this.ids.length < this.limit) return piece.text
    let { text, stopped } = piece
    if (!stopped) {
      const rest = this.#stops.push(isEnd ? "" : this.#stream.flush())
      text += rest.text
      stopped = rest.stopped
      if (!stopped) text += this.#stops.flush()
    }
    this.ended = stopped ? "stop" : isEnd ? "eos" : "length"
    return text
  }

  /** Forgets the last `count` tokens. */
  rewind(count: number): void {
    const kept = this.ids.slice(0, this.ids.length - count)
    this.ids.length = 0
    this.ended = undefined
    this.#stream = new TextStream(this.#rules.tokenizer, this.#rules.promptIds)
    this.#stops = new StopMatcher(this.#rules.stop)
    for (const id of kept) this.push(id)
  }

  /** A copy that goes on by itself. */
  fork(): WrittenText {
    const copy = new WrittenText(this.#rules)
    for (const id of this.ids) copy.push(id)
    return copy
  }
}
