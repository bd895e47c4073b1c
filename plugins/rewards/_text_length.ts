/**
 * How long a text is as it grows, in tokens, words or sentences: as long as it would be if it ended
 * here. And how much longer each token makes it, at least.
 */
import { heldText, isWhole, nothingHeld } from "./_held_text.ts"
import { bytesOf, type TokenBytes } from "./_token_bytes.ts"
import { fold, isOfWord, stretches, trimEnd } from "./_words.ts"

/** What a length is counted in. */
export type LengthUnit = "tokens" | "words" | "sentences"

/** A text by its length. */
export interface MeasuredText {
  /** Units, that at the end included. */
  readonly length: number
  /** What may still change the last unit: a word, or the text since the last sentence. */
  readonly open: string
  readonly held: Uint8Array
}

/** No text. */
export const noText: MeasuredText = { length: 0, open: "", held: nothingHeld }

/** Counts in one unit. */
export interface TextLength {
  /** The text after one more token. */
  readonly accept: (text: MeasuredText, id: number) => MeasuredText
  /** Writes `-Infinity` for tokens that would make a text longer than `max` units. */
  readonly ruleOut: (text: MeasuredText, max: number, out: Float32Array) => void
}

/** Counts tokens, words, or sentences. */
export function textLength(unit: LengthUnit, tokens: TokenBytes): TextLength {
  if (unit === "tokens") return countTokens
  return unit === "words" ? countWords(tokens) : countSentences(tokens)
}

const countTokens: TextLength = {
  accept: (text) => ({ ...text, length: text.length + 1 }),
  ruleOut: ({ length }, max, out) => {
    if (length >= max) out.fill(-Infinity)
  },
}

function countWords(tokens: TokenBytes): TextLength {
  const accept = (before: MeasuredText, id: number): MeasuredText => {
    const { text, held } = heldText(before.held, bytesOf(tokens, id))
    let { length, open } = before
    for (const stretch of stretches(fold(text, true))) {
      if (isOfWord(stretch)) {
        const wasWord = trimEnd(open) !== ""
        open += stretch
        if (!wasWord && trimEnd(open) !== "") length++
      } else {
        open = ""
      }
    }
    return { length, open, held }
  }
  const inside = { ...noText, open: "a" }
  // Words that a token begins, where it follows a word and where it does not.
  const added = Int32Array.from({ length: tokens.count }, (_, id) => accept(noText, id).length)
  const addedInside = Int32Array.from(
    { length: tokens.count },
    (_, id) => accept(inside, id).length,
  )
  const parts = Array.from({ length: tokens.count }, (_, id) => id)
    .filter((id) => bytesOf(tokens, id).length > 0 && !isWhole(bytesOf(tokens, id)))
  return {
    accept,
    ruleOut: (text, max, out) => {
      const goesOn = text.held.length === 0 && trimEnd(text.open) !== ""
      const more = goesOn ? addedInside : added
      const left = max - text.length
      for (let id = 0; id < out.length; id++) if (more[id] > left) out[id] = -Infinity
      for (const id of parts) out[id] = accept(text, id).length > max ? -Infinity : 0
    },
  }
}

/** Closing signs: quotes and brackets that belong to the sentence before them. */
const closing = "[\"'\u201d\u2019)\\]]*"
const ended = new RegExp(
  `[\\p{L}\\p{N}][^]*?(?:[.!?\u2026]+${closing}(?=\\s)|[\u3002\uff01\uff1f]+)`,
  "u",
)
const endsHere = new RegExp(`[\\p{L}\\p{N}][^]*[.!?\u2026]${closing}$`, "u")
const signs = /[.!?\u2026\u3002\uff01\uff1f]+/g

function countSentences(tokens: TokenBytes): TextLength {
  const accept = (before: MeasuredText, id: number): MeasuredText => {
    const { text, held } = heldText(before.held, bytesOf(tokens, id))
    let open = before.open + text
    let length = before.length - (endsHere.test(before.open) ? 1 : 0)
    for (let found = ended.exec(open); found !== null; found = ended.exec(open)) {
      length++
      open = open.slice(found.index + found[0].length)
    }
    return { length: length + (endsHere.test(open) ? 1 : 0), open, held }
  }
  const utf8 = new TextDecoder()
  // A token with one sign ends one sentence at most.
  const several = Array.from({ length: tokens.count }, (_, id) => id)
    .filter((id) => (utf8.decode(bytesOf(tokens, id)).match(signs)?.length ?? 0) > 1)
  return {
    accept,
    ruleOut: (text, max, out) => {
      if (text.length >= max) out.fill(-Infinity)
      for (const id of several) if (accept(text, id).length > max) out[id] = -Infinity
    },
  }
}
