/**
 * The first step of a tokenizer: a text is cut into words, and no token goes across a cut. Training
 * needs each word once, with how often it occurs, which is what keeps it fast and small.
 */

/**
 * The words, for `tokenizer.json`: a contraction after an apostrophe, letters or punctuation with
 * the space before them, single digits, and white space, line breaks apart. Every character is in
 * one. Spelled so that the regular expressions of JavaScript and of Oniguruma agree: their `\s` is
 * not the same.
 */
export const wordPattern: string = [
  String.raw`['’](?:[sdmt]|ll|ve|re)(?![\p{L}\p{M}])`,
  String.raw` ?[\p{L}\p{M}]+`,
  String.raw` ?\p{N}`,
  String.raw` ?[^\p{White_Space}\p{L}\p{M}\p{N}]+`,
  String.raw`\p{White_Space}*[\r\n]+`,
  // Of several spaces, the last goes with the word that follows.
  String.raw`\p{White_Space}+(?!\P{White_Space})`,
  String.raw`\p{White_Space}+`,
].join("|")

/** Counts words over texts; special tokens inside a text are no words, and end them. */
export class WordCounter {
  /** Words and how often they occur, in the order in which they came up. */
  readonly counts: Map<string, number> = new Map()
  readonly #words = new RegExp(wordPattern, "gu")
  readonly #special: RegExp

  constructor(specialTokens: readonly string[]) {
    // Of two that begin alike the longer one is meant.
    const sorted = [...specialTokens].sort((a, b) => b.length - a.length)
    const escaped = sorted.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"))
    this.#special = new RegExp(escaped.join("|"), "u")
  }

  /** Adds the words of a text; half of a surrogate pair counts as U+FFFD. */
  add(text: string): void {
    for (const part of text.toWellFormed().split(this.#special)) {
      for (const [word] of part.matchAll(this.#words)) {
        const count = this.counts.get(word)
        // A word cut from a text would hold on to the text: what is kept is a copy.
        if (count === undefined) this.counts.set(copyOf(word), 1)
        else this.counts.set(word, count + 1)
      }
    }
  }
}

function copyOf(word: string): string {
  return decoder.decode(encoder.encode(word))
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
