/**
 * Next-token rules that look random and are not: whole-number weights from a hash of the last few
 * tokens, so that every machine writes the same texts.
 */

/** A rule as a written-down model takes it. */
export type Rule = (ids: readonly number[]) => number[]

/** A uint32 that depends on all of its arguments. */
function hash(...values: readonly number[]): number {
  let x = 0x9e3779b9
  for (const value of values) {
    x = Math.imul(x ^ value + 1, 0x85ebca6b)
    x = Math.imul(x ^ x >>> 13, 0xc2b2ae35)
    x ^= x >>> 16
  }
  return x >>> 0
}

/** Weights 1 to 97 for each id, fixed by `salt` and the last `order` tokens. */
export function markov(salt: number, order: number, size: number): Rule {
  return (ids) => {
    const context = ids.slice(-order)
    return Array.from({ length: size }, (_, id) => 1 + hash(salt, id, ...context) % 97)
  }
}

/** What is likely becomes unlikely, and the other way round. */
export function reversed(rule: Rule): Rule {
  return (ids) => rule(ids).map((weight) => 1 / weight ** 2)
}

/** One rule, and another after every `period` tokens or so. */
export function mostly(rule: Rule, other: Rule, period: number): Rule {
  return (ids) => (hash(...ids) % period === 0 ? other : rule)(ids)
}

/** The product of rules, each to its power: what guidance makes of them. */
export function product(...parts: readonly (readonly [rule: Rule, power: number])[]): Rule {
  return (ids) => {
    const rows = parts.map(([rule]) => rule(ids))
    return rows[0].map((_, id) =>
      parts.reduce((weight, [, power], i) => weight * rows[i][id] ** power, 1)
    )
  }
}

/** All weight on the likeliest id, or nearly all. */
export function sharp(rule: Rule, power = 8): Rule {
  return (ids) => rule(ids).map((weight) => weight ** power)
}
