/**
 * Texts of the base's ids in the ids of another tokenizer. Where each of that one's tokens is one byte,
 * there is one way to spell a text, and a longer text begins as the shorter one does. Other tokenizers
 * spell each word by itself, so that a text has the same ids whenever it is asked about; bytes that are no
 * whole character yet are left out.
 */
import type { SequenceInfo, TextModel } from "genarm/plugin"
import { heldText, nothingHeld } from "./_held_text.ts"
import { tokenBytes } from "./_known_tokens.ts"
import { bytesOf, joined } from "./_token_bytes.ts"

/** Ids that a text has in another tokenizer. */
export interface Respelling {
  /** Ids of what has been written. */
  written(ids: readonly number[]): readonly number[]
  /** Ids of the same with one more token; none where the other tokenizer cannot spell it. */
  candidate(written: readonly number[], id: number): readonly number[] | undefined
}

/** How a model's tokenizer spells what the base writes. */
export function respelling(sequence: SequenceInfo, model: TextModel): Respelling {
  const base = tokenBytes(sequence)
  const spell = byteSpelling(model) ?? wordSpelling(model)
  const bytesIn = (ids: readonly number[]) => joined(ids.map((id) => bytesOf(base, id)))
  return {
    written: (ids) => spell(bytesIn(ids)) ?? [],
    candidate(written, id) {
      if (sequence.eos.includes(id)) {
        const [end] = model.eos
        return end === undefined ? undefined : [...spell(bytesIn(written)) ?? [], end]
      }
      return bytesOf(base, id).length === 0 ? undefined : spell(bytesIn([...written, id]))
    },
  }
}

type Spell = (bytes: Uint8Array) => number[] | undefined

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
  return (bytes) => {
    const ids = Array.from(bytes, (byte) => idOf.get(byte))
    return ids.includes(undefined) ? undefined : ids as number[]
  }
}

/** Words whose ids are kept. */
const mostKept = 4096

/** Word by word, each with the space before it, as most tokenizers cut a text themselves. */
function wordSpelling({ encode }: TextModel): Spell {
  const known = new Map<string, readonly number[]>()
  return (bytes) => {
    const words = heldText(nothingHeld, bytes).text.match(/\s*\S+|\s+$/g) ?? []
    return words.flatMap((word) => {
      const ids = known.get(word) ?? encode(word)
      if (known.size >= mostKept) known.clear()
      known.set(word, ids)
      return ids
    })
  }
}
