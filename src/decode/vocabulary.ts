/** Which ids the base and a reward's model share: both must mean the same by an id. */
import { GenArmError } from "../errors.ts"
import type { OpenModel } from "../runtime/runtime.ts"

/** The ids that a term can score. */
export interface SharedVocabulary {
  /** Ids below this may be shared; the base's ids from here on are not. */
  readonly size: number
  /** Ids below `size` that the base names and the term's models do not. */
  readonly missing: readonly number[]
}

/**
 * Compares the base with the models of a term. Names that differ for one id are an error, and so is a model
 * that knows fewer than half of the base's tokens: vocabularies of different sizes may begin alike, as the
 * bytes of all byte-level ones do.
 */
export function shareVocabulary(
  base: OpenModel,
  models: readonly OpenModel[],
  term: string,
): SharedVocabulary {
  const size = models.reduce(
    (least, { tokenizer }) => Math.min(least, tokenizer.size),
    base.engine.vocabularySize,
  )
  const missing = new Set<number>()
  const others = models.filter(({ tokenizer }) => tokenizer !== base.tokenizer)
  for (const { tokenizer } of others) {
    for (let id = 0; id < size; id++) {
      const expected = base.tokenizer.token(id)
      const found = tokenizer.token(id)
      if (expected === found || expected === undefined) continue
      if (found !== undefined) throw mismatch(term, otherName(term, id, expected, found))
      missing.add(id)
    }
  }
  if (others.length === 0) return { size, missing: [] }
  const named = idsNamed(base)
  const known = named.filter((id) => id < size && !missing.has(id))
  if (2 * known.length < named.length) {
    throw mismatch(term, `"${term}" knows ${known.length} of the base's ${named.length} tokens`)
  }
  return { size, missing: [...missing] }
}

/** Whether a model means the same as the base by every id that the base names. */
export function readsIdsOf(base: OpenModel, { tokenizer }: OpenModel): boolean {
  if (tokenizer === base.tokenizer) return true
  for (let id = 0; id < base.engine.vocabularySize; id++) {
    const name = base.tokenizer.token(id)
    if (name !== undefined && name !== tokenizer.token(id)) return false
  }
  return true
}

/** Rows of the base that no tokenizer names: padding, which must never be chosen. */
export function unnamedIds(base: OpenModel): number[] {
  return idsWhere(base, (name) => name === undefined)
}

function idsNamed(base: OpenModel): number[] {
  return idsWhere(base, (name) => name !== undefined)
}

function idsWhere(
  { engine, tokenizer }: OpenModel,
  holds: (name: string | undefined) => boolean,
): number[] {
  const ids: number[] = []
  for (let id = 0; id < engine.vocabularySize; id++) {
    if (holds(tokenizer.token(id))) ids.push(id)
  }
  return ids
}

function otherName(term: string, id: number, expected: string, found: string): string {
  const [ofBase, ofTerm] = [expected, found].map((name) => JSON.stringify(name))
  return `id ${id} is ${ofBase} to the base and ${ofTerm} to "${term}"`
}

function mismatch(term: string, difference: string): GenArmError {
  return new GenArmError(
    { _tag: "VocabularyMismatch", term },
    `the base and the model of "${term}" must have the same tokenizer: ${difference}; a reward with ` +
      "another one guides through crossTokenizer({ of: ... })",
  )
}
