/**
 * Texts of the base's ids in the ids of another tokenizer. Where each of that one's tokens is one byte,
 * there is one way to spell a text, and a longer text begins as the shorter one does. Other tokenizers
 * spell each word by itself, so that a text has the same ids whenever it is asked about; bytes that are no
 * whole character yet are left out.
 */
import { type Candidates, GenArmError, type SequenceInfo, type TextModel } from "genarm/plugin"
import { heldText, nothingHeld } from "./_held_text.ts"
import { tokenBytes } from "./_known_tokens.ts"
import { bytesOf, joined } from "./_token_bytes.ts"

/** Ids that a text has in another tokenizer. */
export interface Respelling {
  /** Ids of what has been written; none of what the other tokenizer cannot spell. */
  written(ids: readonly number[]): readonly number[]
  /** Ids of the same with one more token; none where the other tokenizer cannot spell it. */
  candidate(written: readonly number[], id: number): readonly number[] | undefined
}

/** How a model's tokenizer spells what the base writes. */
export function respelling(sequence: SequenceInfo, model: TextModel): Respelling {
  const base = tokenBytes(sequence)
  const spell = byteSpelling(model) ?? wordSpelling(model)
  let last: { readonly written: readonly number[]; readonly spelled: Spelled } | undefined
  // All candidates of a step follow the same list.
  const spelledOf = (written: readonly number[]): Spelled => {
    if (last?.written === written) return last.spelled
    const spelled = spell(joined(written.map((id) => bytesOf(base, id))))
    last = { written, spelled }
    return spelled
  }
  return {
    written: (ids) => spelledOf(ids).ids ?? [],
    candidate(written, id) {
      const { ids, followedBy } = spelledOf(written)
      if (sequence.eos.includes(id)) {
        const [end] = model.eos
        return end === undefined || ids === undefined ? undefined : [...ids, end]
      }
      const bytes = bytesOf(base, id)
      return bytes.length === 0 ? undefined : followedBy(bytes)
    },
  }
}

/** The candidates of a step in the ids of another tokenizer. */
export interface SpelledCandidates {
  /** What was written before, and then each candidate that can be spelled. */
  readonly texts: readonly (readonly number[])[]
  /** How many ids all of them begin with. */
  readonly shared: number
  /** A score for each candidate from one for each of its texts; what cannot be spelled is ruled out. */
  readonly scores: (ofCandidates: readonly number[], minus: number) => number[]
}

/** Spells the candidates of a step. */
export function spelledCandidates(
  spelling: Respelling,
  { ids, written }: Pick<Candidates, "ids" | "written">,
): SpelledCandidates {
  const before = spelling.written(written)
  const spelled = ids.map((id) => spelling.candidate(written, id))
  const texts = [before, ...spelled.filter((text) => text !== undefined)]
  const shared = texts.reduce((least, text) => {
    let length = 0
    while (length < least && length < text.length && text[length] === before[length]) length++
    return length
  }, before.length)
  return {
    texts,
    shared,
    scores(ofCandidates, minus) {
      let next = 0
      return spelled.map((text) => text === undefined ? -Infinity : ofCandidates[next++] - minus)
    },
  }
}

/** Bytes in the ids of a tokenizer. */
interface Spelled {
  /** None where the tokenizer cannot spell them. */
  readonly ids: readonly number[] | undefined
  /** The ids of the same with more bytes. */
  readonly followedBy: (bytes: Uint8Array) => readonly number[] | undefined
}

type Spell = (bytes: Uint8Array) => Spelled

/** One id for each byte; none where the tokenizer is no such one. */
function byteSpelling({ vocabularySize, token, decode }: TextModel): Spell | undefined {
  const tokens = tokenBytes({ vocabularySize, token, decode })
  const idOf = new Map<number, number>()
  for (let id = 0; id < vocabularySize; id++) {
    const bytes = bytesOf(tokens, id)
    if (bytes.length > 1) return undefined
    if (bytes.length === 1 && !idOf.has(bytes[0])) idOf.set(bytes[0], id)
  }
  if (idOf.size === 0) return undefined
  const idsOf = (bytes: Uint8Array) => {
    const ids = Array.from(bytes, (byte) => idOf.get(byte))
    return ids.includes(undefined) ? undefined : ids as number[]
  }
  return (bytes) => {
    const ids = idsOf(bytes)
    return {
      ids,
      followedBy: (more) => {
        const added = idsOf(more)
        return ids && added && [...ids, ...added]
      },
    }
  }
}

/** Words whose ids are kept. */
const mostKept = 4096

/** Word by word, each with the space before it, as most tokenizers cut a text themselves. */
function wordSpelling({ encode }: TextModel): Spell {
  const known = new Map<string, readonly number[] | undefined>()
  const idsOf = (word: string) => {
    if (known.has(word)) return known.get(word)
    const ids = spellingOf(word, encode)
    if (known.size >= mostKept) known.clear()
    known.set(word, ids)
    return ids
  }
  return (bytes) => {
    const { text, held } = heldText(nothingHeld, bytes)
    const words = wordsOf(text)
    // What follows may go on with the last word, and changes no other.
    const last = words.pop() ?? ""
    const before = allOf(words.map(idsOf))
    const withLast = (more: string) => {
      const ids = allOf(wordsOf(last + more).map(idsOf))
      return before && ids && [...before, ...ids]
    }
    return { ids: withLast(""), followedBy: (more) => withLast(heldText(held, more).text) }
  }
}

/** The ids of a word; none where the tokenizer has none for it, and no unknown token either. */
function spellingOf(word: string, encode: TextModel["encode"]): readonly number[] | undefined {
  try {
    return encode(word)
  } catch (error) {
    if (error instanceof GenArmError && error.reason._tag === "InvalidPrompt") return undefined
    throw error
  }
}

/** The ids of all parts; none where one has none. */
function allOf(parts: readonly (readonly number[] | undefined)[]): readonly number[] | undefined {
  const spelled = parts.filter((ids) => ids !== undefined)
  return spelled.length === parts.length ? spelled.flat() : undefined
}

function wordsOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? []
}
