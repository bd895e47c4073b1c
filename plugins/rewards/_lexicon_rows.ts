/**
 * What every token adds to the score of a text: mostly the same wherever it stands, but for the word
 * that it completes or goes on with.
 */
import { isWhole } from "./_held_text.ts"
import { beginning, type LexiconScores, type TextEnd } from "./_lexicon_scores.ts"
import { bytesOf, type TokenBytes } from "./_token_bytes.ts"
import { fold, isOfWord, stretches, trimEnd, trimStart } from "./_words.ts"

type IdsOf = Map<string, number[]>

/** Rows over a vocabulary. */
export class LexiconRows {
  readonly #scores: LexiconScores
  readonly #tokens: TokenBytes
  /** `[vocabulary]`: what a token adds after a word has ended. */
  readonly #fresh: Float32Array
  /** `[vocabulary]`: what a token adds beyond the first word's part in it. */
  readonly #rest: Float32Array
  /** `[vocabulary]`: 1 where a token ends the word before it, and adds nothing to it. */
  readonly #ends: Uint8Array
  /** Tokens that are part of one word, by what they add to it. */
  readonly #inside: IdsOf = new Map()
  /** Tokens that complete a word, by what they add to it. */
  readonly #heads: IdsOf = new Map()
  /** Tokens of which parts of characters, or apostrophes, make exceptions. */
  readonly #irregular: number[] = []
  /** Tokens that add nothing, whatever precedes them. */
  readonly #textless: number[] = []
  readonly #eos: readonly number[]

  constructor(scores: LexiconScores, tokens: TokenBytes, eos: readonly number[]) {
    this.#scores = scores
    this.#tokens = tokens
    this.#eos = eos
    this.#fresh = new Float32Array(tokens.count)
    this.#rest = new Float32Array(tokens.count)
    this.#ends = new Uint8Array(tokens.count)
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
    for (let id = 0; id < tokens.count; id++) {
      const bytes = bytesOf(tokens, id)
      if (bytes.length === 0) {
        this.#textless.push(id)
        continue
      }
      if (!isWhole(bytes)) {
        this.#fresh[id] = this.#gain(beginning, bytes)
        this.#irregular.push(id)
        continue
      }
      const parts = stretches(fold(utf8.decode(bytes), scores.caseSensitive))
      const { word, completed } = scores.read("", parts)
      this.#fresh[id] = completed + scores.ofBeginning(word)
      const head = isOfWord(parts[0]) ? parts[0] : ""
      const added = trimEnd(head)
      if (parts.length === 1 && head !== "") {
        if (added === "") this.#irregular.push(id)
        else addTo(this.#inside, added, id)
        continue
      }
      this.#rest[id] = this.#fresh[id] - scores.ofWord(head)
      if (added === "") this.#ends[id] = 1
      else addTo(this.#heads, added, id)
    }
  }

  /** The end of a text after one more token. */
  accept(end: TextEnd, id: number): TextEnd {
    return this.#scores.advance(end, bytesOf(this.#tokens, id)).end
  }

  /** Writes what every id adds to a text. */
  writeInto({ word, held }: TextEnd, out: Float32Array): void {
    const before = this.#scores.ofBeginning(word)
    const whole = this.#scores.ofWord(word)
    const begin = trimStart(word)
    if (begin === "" || held.length > 0) {
      // Bytes that will be no character end the word.
      const ended = whole - before
      if (ended === 0) out.set(this.#fresh)
      else for (let id = 0; id < out.length; id++) out[id] = this.#fresh[id] + ended
    } else {
      const rest = this.#rest
      const ends = this.#ends
      if (before === 0 && whole === 0) out.set(rest)
      else for (let id = 0; id < out.length; id++) out[id] = rest[id] + ends[id] * whole - before
      for (const key of this.#scores.after(begin)) {
        const added = key.slice(begin.length)
        const asWord = this.#scores.words.get(key) ?? 0
        const soFar = this.#scores.beginnings.get(key)!
        for (const id of this.#heads.get(added) ?? []) out[id] += asWord
        for (const id of this.#inside.get(added) ?? []) out[id] += soFar
      }
    }
    for (const id of this.#irregular) {
      out[id] = this.#gain({ word, held }, bytesOf(this.#tokens, id))
    }
    for (const id of this.#textless) out[id] = 0
    for (const id of this.#eos) if (id < out.length) out[id] = whole - before
  }

  #gain(before: TextEnd, bytes: Uint8Array): number {
    const { end, completed } = this.#scores.advance(before, bytes)
    return completed + this.#scores.ofBeginning(end.word) - this.#scores.ofBeginning(before.word)
  }
}

function addTo(ids: IdsOf, key: string, id: number): void {
  const known = ids.get(key)
  if (known === undefined) ids.set(key, [id])
  else known.push(id)
}
