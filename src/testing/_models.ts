/**
 * The made-up models by their names: `values:good,bad` is a value head with these labels, `bytes:any` a
 * language model that reads byte by byte, and any other a language model with the world's vocabulary.
 */
import type { TableModel, TableValueModel } from "../runtime/table_model.ts"
import { madeUpProbabilities, madeUpValues } from "./_made_up.ts"
import { bos, eos, padding, vocabulary } from "./_vocabulary.ts"

/** How many of the last ids a distribution depends on. */
const memory = 3

/** The special tokens that begin and end a text, and each byte. */
const bytes = [
  ...["<s>", "</s>"],
  ...Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`),
]

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0")
}

/** The model of a name; an adapter's name is a part of it, as it is another model. */
export function madeUpModel(name: string): TableModel | TableValueModel {
  const recent = (ids: readonly number[]) => ids.slice(-memory)
  const [, labels] = /^values:([^+]*)/.exec(name) ?? []
  if (labels !== undefined) {
    const names = labels === "" ? ["LABEL_0"] : labels.split(",")
    const values = (ids: readonly number[]) => madeUpValues(name, recent(ids), names.length)
    return { vocabulary, bos, eos, padding, labels: names, values }
  }
  if (name.startsWith("bytes:")) {
    const next = (ids: readonly number[]) => madeUpProbabilities(name, recent(ids), bytes.length)
    return { vocabulary: bytes, bos: 0, eos: [1], next }
  }
  const size = vocabulary.length + padding
  const next = (ids: readonly number[]) => madeUpProbabilities(name, recent(ids), size)
  return { vocabulary, bos, eos, padding, next }
}
