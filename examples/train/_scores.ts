/** What texts are ranked by to make preferences: cheer by a word list, and talk by quotation marks. */
import { type Lexicon, valencesOf } from "./_vader.ts"

/** Scores a text; higher is preferred. */
export type TextScore = (text: string) => number

/** Sentences, roughly: what ends in a stop. */
export function sentencesIn(text: string): number {
  return Math.max(1, text.match(/[.!?]+(?=["”]?\s|["”]?$)/g)?.length ?? 0)
}

/** How cheerful a sentence is on the mean, by the lexicon: the sum of valences over the sentences. */
export function cheerfulness(lexicon: Lexicon): TextScore {
  return (text) =>
    valencesOf(text, lexicon).reduce((sum, valence) => sum + valence, 0) / sentencesIn(text)
}

/** The share of the text that stands between quotation marks. */
export function dialogue(text: string): number {
  const spoken = text.replaceAll(/[“”]/g, '"').match(/"[^"\n]*"/g) ?? []
  return spoken.reduce((sum, { length }) => sum + length, 0) / Math.max(1, text.length)
}

/** How plain a text is: the mean length of its sentences in words, negative. */
export function plainness(text: string): number {
  return -(text.match(/\S+/g)?.length ?? 0) / sentencesIn(text)
}
