/**
 * What a word is: letters, marks, digits and apostrophes in a row, without the apostrophes at its
 * ends. `Don't` is one word, and so is each side of a hyphen.
 */

const apostrophes = /['\u2019]/g

/** Stretches of a text that are words or lie between two, in turn. */
export function stretches(text: string): string[] {
  return text.match(/[\p{L}\p{M}\p{N}'\u2019]+|[^\p{L}\p{M}\p{N}'\u2019]+/gu) ?? []
}

/** Whether a stretch is a word's. */
export function isOfWord(stretch: string): boolean {
  return /^[\p{L}\p{M}\p{N}'\u2019]/u.test(stretch)
}

/** A word without the apostrophes at its end. */
export function trimEnd(word: string): string {
  return word.replace(/'+$/, "")
}

/** A word without the apostrophes before it. */
export function trimStart(word: string): string {
  return word.replace(/^'+/, "")
}

/**
 * Text as words are compared: one kind of apostrophe, and small letters where case does not count,
 * character by character, so that a part of a word becomes a part of what the word becomes.
 */
export function fold(text: string, caseSensitive: boolean): string {
  const straight = text.replace(apostrophes, "'")
  if (caseSensitive) return straight
  if (/^[\0-\x7f]*$/.test(straight)) return straight.toLowerCase()
  return [...straight].map((letter) => letter.toLowerCase()).join("").replaceAll("ς", "σ")
}
