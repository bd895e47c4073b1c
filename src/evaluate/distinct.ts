/**
 * Variety: distinct-n of Li et al. 2016 (https://arxiv.org/abs/1510.03055), the share of n-grams
 * that are not repeats, over all texts together. It falls as texts grow in number and length, so
 * compare it between sets of like size.
 *
 * Its interval comes from leaving out each text in turn (the jackknife): drawing texts with
 * replacement, as the bootstrap does, would itself make repeats.
 */
import { GenArmError } from "../errors.ts"
import { normalQuantile } from "./_normal.ts"
import { type Estimate, type EstimateOptions, estimateOptions } from "./estimate.ts"

/**
 * The words of a text, in lower case, without punctuation; an apostrophe inside is part of a word.
 *
 * @example
 * ```ts
 * import { wordsOf } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(wordsOf('"It\'s fun!" said Tim.'), ["it's", "fun", "said", "tim"])
 * ```
 */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().replaceAll("’", "'").match(/[\p{L}\p{N}]+(?:'\p{L}+)*/gu) ?? []
}

/**
 * The share of n-grams that are not repeats, over all texts together.
 *
 * @param texts Each as a list of words, or of token ids.
 * @param n Words or tokens of an n-gram.
 * @returns NaN throughout when every text is shorter than `n`.
 * @throws {GenArmError} Reason `InvalidOption` when `n` is not a positive integer.
 *
 * @example
 * ```ts
 * import { distinct, wordsOf } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * const texts = ["the cat sat", "the cat ran"].map(wordsOf)
 * assertEquals(distinct(texts, 1).value, 4 / 6)
 * assertEquals(distinct(texts, 2).value, 3 / 4)
 * ```
 */
export function distinct(
  texts: readonly (readonly (string | number)[])[],
  n: number,
  options: Pick<EstimateOptions, "level"> = {},
): Estimate {
  const { value, without } = distinctWithout(texts, n)
  return jackknife(value, without, options)
}

/** Distinct-n of all texts, and of all but each one. */
export function distinctWithout(
  texts: readonly (readonly (string | number)[])[],
  n: number,
): { readonly value: number; readonly without: readonly number[] } {
  if (!(Number.isInteger(n) && n > 0)) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["n"] },
      `expected n-grams of one or more, found ${n}`,
    )
  }
  // Numbers for words: a separator could be part of a word.
  const numbers = new Map<string | number, number>()
  const numberOf = (word: string | number) => {
    const number = numbers.get(word) ?? numbers.size
    numbers.set(word, number)
    return number
  }
  // The text that alone has an n-gram; -1 where several have it.
  const owner = new Map<string, number>()
  const totals = texts.map((text, i) => {
    const count = Math.max(0, text.length - n + 1)
    const row = text.map(numberOf)
    for (let at = 0; at < count; at++) {
      const gram = row.slice(at, at + n).join()
      const known = owner.get(gram)
      if (known === undefined) owner.set(gram, i)
      else if (known !== i) owner.set(gram, -1)
    }
    return count
  })
  const own = new Array<number>(texts.length).fill(0)
  for (const i of owner.values()) if (i >= 0) own[i]++
  const total = totals.reduce((sum, count) => sum + count, 0)
  return {
    value: owner.size / total,
    without: totals.map((count, i) => (owner.size - own[i]) / (total - count)),
  }
}

/** The interval of a figure from its values with each text left out. */
export function jackknife(
  value: number,
  without: readonly number[],
  options: Pick<EstimateOptions, "level"> = {},
): Estimate {
  const { level } = estimateOptions(options)
  const count = without.length
  if (Number.isNaN(value)) return { value, low: NaN, high: NaN }
  if (count === 1 || without.some(Number.isNaN)) return { value, low: -Infinity, high: Infinity }
  const mean = without.reduce((sum, other) => sum + other, 0) / count
  const squares = without.reduce((sum, other) => sum + (other - mean) ** 2, 0)
  const half = normalQuantile((1 + level) / 2) * Math.sqrt((count - 1) / count * squares)
  return { value, low: value - half, high: value + half }
}
