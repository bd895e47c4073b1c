/**
 * Sentiment of a text by a word list in the format of VADER (Hutto and Gilbert 2014): a word, a tab,
 * its mean valence from -4 to 4, and more that is not read. A negation among the three words before
 * turns a valence round.
 */
import { readFileSync } from "node:fs"

/** Valences, -4 to 4, by word in lower case. */
export type Lexicon = ReadonlyMap<string, number>

/** Reads a lexicon. */
export function readLexicon(file: string): Lexicon {
  const lexicon = new Map<string, number>()
  readFileSync(file, "utf8").split("\n").forEach((line, i) => {
    if (line.trim() === "") return
    const [word, valence] = line.split("\t")
    if (valence === undefined || !Number.isFinite(Number(valence))) {
      throw new Error(`expected a word, a tab and a number in line ${i + 1} of ${file}: ${line}`)
    }
    lexicon.set(word.trim().toLowerCase(), Number(valence))
  })
  return lexicon
}

/** The words of a text in lower case; an apostrophe or hyphen inside is part of a word. */
export function words(text: string): string[] {
  return text.toLowerCase().replaceAll("’", "'").match(/[a-z]+(?:['-][a-z]+)*/g) ?? []
}

const negations = new Set(
  "no not never none nobody nothing neither nor nowhere without cannot hardly rarely".split(" "),
)

/** The valences of a text's words that have one, negations considered. */
export function valencesOf(text: string, lexicon: Lexicon): number[] {
  const all = words(text)
  return all.flatMap((word, i) => {
    const valence = lexicon.get(word)
    if (valence === undefined) return []
    const isNegated = all.slice(Math.max(0, i - 3), i).some((before) =>
      negations.has(before) || before.endsWith("n't")
    )
    // The factor by which VADER's authors found a negation to weaken and turn a word.
    return [isNegated ? -0.74 * valence : valence]
  })
}
