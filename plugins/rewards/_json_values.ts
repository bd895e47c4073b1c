/**
 * JSON values as texts: without white space but for at most one space after `:` and `,`, and with
 * strings as `JSON.stringify` writes them.
 */
import {
  anyText,
  choice,
  type Expression,
  literal,
  oneOf,
  repeat,
  sequence,
} from "./_expression.ts"

/** JSON data. */
export type PatternJson =
  | null
  | boolean
  | number
  | string
  | readonly PatternJson[]
  | { readonly [key: string]: PatternJson }

/** A JSON Schema, as JSON data. */
export type PatternSchema = boolean | { readonly [keyword: string]: PatternJson }

const space = repeat(literal(" "), 0, 1)
/** What stands between two values. */
export const comma: Expression = sequence(literal(","), space)
/** What stands after a name. */
export const colon: Expression = sequence(literal(":"), space)
/** No value. */
export const nothing: Expression = choice()

const digit = oneOf([[0x30, 0x39]])
const natural = sequence(oneOf([[0x31, 0x39]]), repeat(digit, 0, 14))
const sign = repeat(literal("-"), 0, 1)

/** An integer of up to fifteen digits, which a double always holds. */
export const integer: Expression = choice(literal("0"), sequence(sign, natural))

/** A number of up to fifteen digits before the point and after it. */
export const number: Expression = sequence(
  sequence(sign, choice(literal("0"), natural)),
  repeat(sequence(literal("."), repeat(digit, 1, 15)), 0, 1),
  repeat(
    sequence(
      oneOf([[0x45, 0x45], [0x65, 0x65]]),
      repeat(oneOf([[0x2b, 0x2b], [0x2d, 0x2d]]), 0, 1),
      repeat(digit, 1, 2),
    ),
    0,
    1,
  ),
)

/** A string whose text is one of `item`, of `min` to `max` characters. */
export function quoted(item: Expression, min: number, max: number): Expression {
  return sequence(literal('"'), { type: "content", item, min, max }, literal('"'))
}

const anyString = quoted(anyText, 0, Infinity)

/** A list of `min` to `max` items. */
export function list(item: Expression, min: number, max: number): Expression {
  return sequence(
    literal("["),
    { type: "repeat", item, min, max, separator: comma },
    literal("]"),
  )
}

/** An object with any names. */
export function mapping(value: Expression): Expression {
  const item = sequence(anyString, colon, value)
  return sequence(
    literal("{"),
    { type: "repeat", item, min: 0, max: Infinity, separator: comma },
    literal("}"),
  )
}

/** A value as it is written. */
export function written(value: PatternJson): Expression {
  if (typeof value !== "object" || value === null) return literal(JSON.stringify(value))
  const isList = Array.isArray(value)
  const items = isList
    ? value.map(written)
    : Object.entries(value).map(([key, inner]) => sequence(written(key), colon, written(inner)))
  return sequence(
    literal(isList ? "[" : "{"),
    {
      type: "members",
      items: items.map((item) => ({ item, isOptional: false })),
      separator: comma,
    },
    literal(isList ? "]" : "}"),
  )
}

/** Any JSON whose lists and objects nest `depth` deep. */
export function anyValue(depth: number): Expression {
  const plain = [literal("null"), literal("true"), literal("false"), number, anyString]
  if (depth <= 0) return choice(...plain)
  const inner = anyValue(depth - 1)
  return choice(...plain, list(inner, 0, Infinity), mapping(inner))
}
