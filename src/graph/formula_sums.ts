/** Adding and multiplying the sums of a formula; what has no meaning fails at its place. */
import {
  constantSum,
  isConstant,
  printAtom,
  type ScheduleData,
  type Sum,
  type Term,
} from "./formula_terms.ts"

/** A sum, or a schedule that waits for the sum it is to be multiplied with. */
export type Value = Sum | { readonly schedule: ScheduleData; readonly at: number }

/** Makes the error of a position. */
export type Fail = (at: number, what: string) => Error

const scheduleAlone = "a schedule cannot be multiplied with a number, nor subtracted: " +
  "put the factor into its options"

/** `a * b`; `at` is where the sign stands. */
export function times(a: Value, b: Value, at: number, fail: Fail): Sum {
  if ("schedule" in a || "schedule" in b) {
    if ("schedule" in a && "schedule" in b) {
      throw fail(at, "a schedule cannot be multiplied with another")
    }
    return "schedule" in a
      ? scheduled(a.schedule, b as Sum, at, fail)
      : scheduled((b as { readonly schedule: ScheduleData }).schedule, a as Sum, at, fail)
  }
  if (!isConstant(a) && !isConstant(b)) {
    throw fail(at, "two rewards cannot be multiplied: one side must be a number")
  }
  const [by, sum] = isConstant(a) ? [a.constant, b] : [b.constant, a]
  if (by !== 1 && [...sum.terms.values()].some(({ schedule }) => schedule !== undefined)) {
    throw fail(at, scheduleAlone)
  }
  // Adding 0 makes -0 a 0.
  const scaled = (value: number) => finite(value * by, at, fail) + 0
  return {
    base: scaled(sum.base),
    baseAt: sum.baseAt,
    constant: scaled(sum.constant),
    terms: mapTerms(sum, (term) => ({ ...term, factor: scaled(term.factor) })),
  }
}

/** `-a`. */
export function negative(a: Value, at: number, fail: Fail): Sum {
  return times(a, constantSum(-1), at, fail)
}

/** `a + b`; equal rewards become one term. */
export function plus(a: Sum, b: Sum, fail: Fail): Sum {
  const terms = new Map(a.terms)
  for (const [key, term] of b.terms) {
    const before = terms.get(key)
    if (before !== undefined && (before.schedule !== undefined || term.schedule !== undefined)) {
      const name = printAtom(term.atom)
      throw fail(term.atom.at, `${name} stands twice, with a schedule: only numbers add up`)
    }
    const factor = finite(term.factor + (before?.factor ?? 0), term.atom.at, fail)
    terms.set(key, { ...term, atom: before?.atom ?? term.atom, factor })
  }
  return {
    base: a.base + b.base,
    baseAt: b.base === 0 ? a.baseAt : b.baseAt,
    constant: a.constant + b.constant,
    terms,
  }
}

/** A value that is to be a sum as it stands. */
export function asSum(value: Value, fail: Fail): Sum {
  if (!("schedule" in value)) return value
  throw fail(
    value.at,
    "expected a schedule to be multiplied with a reward, as in linear(...)*kind",
  )
}

/** A number that is one. */
export function finite(value: number, at: number, fail: Fail): number {
  if (Number.isFinite(value)) return value
  throw fail(at, "the number is too large")
}

function scheduled(schedule: ScheduleData, sum: Sum, at: number, fail: Fail): Sum {
  if (sum.base !== 0) throw fail(sum.baseAt, "base cannot have a schedule: it has weight 1")
  if (sum.constant !== 0 || sum.terms.size === 0) throw fail(at, scheduleAlone)
  for (const term of sum.terms.values()) {
    if (term.schedule !== undefined) throw fail(at, "a schedule cannot be multiplied with another")
    if (term.factor !== 1) throw fail(at, scheduleAlone)
  }
  return { ...sum, terms: mapTerms(sum, (term) => ({ ...term, schedule })) }
}

function mapTerms({ terms }: Sum, map: (term: Term) => Term): Map<string, Term> {
  return new Map([...terms].map(([key, term]) => [key, map(term)]))
}
