/**
 * The score of a text by a lexicon, as a sum that a text's parts add to: that of its complete words,
 * and what the word at its end is worth so far.
 */
import { GenArmError } from "genarm/plugin"
import { heldText, nothingHeld } from "./_held_text.ts"
import { fold, isOfWord, stretches, trimEnd, trimStart } from "./_words.ts"

/** The end of a text: a word that may go on, and bytes that are no character yet. */
export interface TextEnd {
  readonly word: string
  readonly held: Uint8Array
}

/** The end of no text. */
export const beginning: TextEnd = { word: "", held: nothingHeld }

/** The words of a lexicon. */
export class LexiconScores {
  readonly caseSensitive: boolean
  /** What complete words are worth. */
  readonly words: ReadonlyMap<string, number>
  /** What words and, where the score is spread, their beginnings are worth. */
  readonly beginnings: ReadonlyMap<string, number>
  /** The keys of `beginnings` in order. */
  readonly #sorted: readonly string[]

  constructor(
    words: Readonly<Record<string, number>> | readonly string[],
    caseSensitive: boolean,
    spread: boolean,
  ) {
    this.caseSensitive = caseSensitive
    const isList = Array.isArray(words)
    const entries = isList
      ? words.map((word: string): [string, number] => [word, 1])
      : Object.entries(words as Readonly<Record<string, number>>)
    const exact = new Map<string, number>()
    entries.forEach(([word, score], i) => {
      const folded = trimEnd(trimStart(fold(word, caseSensitive)))
      const path = ["words", isList ? i : word]
      if (stretches(folded).length !== 1 || !isOfWord(folded)) {
        throw invalid(
          path,
          `expected one word of letters and digits, found ${JSON.stringify(word)}`,
        )
      }
      if ((exact.get(folded) ?? score) !== score) {
        throw invalid(path, `"${word}" has another score in another case: expected one for both`)
      }
      exact.set(folded, score)
    })
    this.words = exact
    this.beginnings = spread ? withBeginnings(exact) : exact
    this.#sorted = [...this.beginnings.keys()].sort()
  }

  /** What a complete word is worth. */
  ofWord(word: string): number {
    return word === "" ? 0 : this.words.get(trimEnd(trimStart(word))) ?? 0
  }

  /** What a word is worth so far. */
  ofBeginning(word: string): number {
    return word === "" ? 0 : this.beginnings.get(trimEnd(trimStart(word))) ?? 0
  }

  /** The words and beginnings that go on from a text. */
  *after(begin: string): Iterable<string> {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = low + high >> 1
      if (this.#sorted[middle] < begin) low = middle + 1
      else high = middle
    }
    for (let i = low; this.#sorted[i]?.startsWith(begin); i++) {
      if (this.#sorted[i].length > begin.length) yield this.#sorted[i]
    }
  }

  /** The end of a text after more bytes, and what the words are worth that they complete. */
  advance(end: TextEnd, bytes: Uint8Array): { readonly end: TextEnd; readonly completed: number } {
    const { text, held } = heldText(end.held, bytes)
    const { word, completed } = this.read(end.word, stretches(fold(text, this.caseSensitive)))
    return { end: { word, held }, completed }
  }

  /** The word at the end after more text, and what the words are worth that it completes. */
  read(
    word: string,
    text: readonly string[],
  ): { readonly word: string; readonly completed: number } {
    let completed = 0
    for (const stretch of text) {
      if (isOfWord(stretch)) {
        word += stretch
      } else {
        completed += this.ofWord(word)
        word = ""
      }
    }
    return { word, completed }
  }
}

/** The share of a word's score that each of its beginnings has: the largest of all words'. */
function withBeginnings(words: ReadonlyMap<string, number>): Map<string, number> {
  const all = new Map<string, number>()
  for (const [word, score] of words) {
    const letters = [...word]
    for (let count = 1; count < letters.length; count++) {
      const begin = letters.slice(0, count).join("")
      const share = score * count / letters.length
      if (Math.abs(share) > Math.abs(all.get(begin) ?? 0)) all.set(begin, share)
    }
  }
  for (const [word, score] of words) all.set(word, score)
  return all
}

function invalid(path: readonly (string | number)[], message: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path }, `lexicon: ${message}`)
}
