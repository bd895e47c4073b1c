/** The keywords of JSON Schema that are known, and what a schema may be made of. */
import { PatternProblem } from "./_expression.ts"
import type { PatternJson } from "./_json_values.ts"

/** A schema that is neither true nor false. */
export type JsonObject = { readonly [key: string]: PatternJson }

/** Where something stands in a schema. */
export type Path = readonly (string | number)[]

/** Keywords that say nothing about values. */
export const remarks: readonly string[] = [
  ...["$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default"],
  ...["examples", "deprecated", "readOnly", "writeOnly"],
]

const bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]

/** Keywords that each type takes. */
export const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  null: [],
  boolean: [],
  integer: bounds,
  number: bounds,
  string: ["minLength", "maxLength", "pattern"],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
}

/** The types of values; an integer is a number too. */
export const types: readonly string[] = Object.keys(keywordsOf)

/** Whether a value has a type. */
export function isOfType(value: PatternJson, type: string): boolean {
  if (type === "null") return value === null
  if (type === "array") return Array.isArray(value)
  if (type === "object") return isObject(value)
  if (type === "integer") return Number.isInteger(value)
  const kind = typeof value
  return kind === type
}

/** Whether it is an object. */
export function isObject(value: PatternJson | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** Whether it is a list of texts. */
export function isStrings(value: PatternJson | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string")
}

/** The types that a schema names; none where it names none. */
export function typesOf({ type }: JsonObject, path: Path): readonly string[] | undefined {
  if (type === undefined) return undefined
  const named = typeof type === "string" ? [type] : type
  if (isStrings(named) && named.length > 0 && named.every((name) => types.includes(name))) {
    return named
  }
  throw problem([...path, "type"], `expected ${types.join(", ")}, or a list of these`, type)
}

/** The numbers that a schema allows, exclusive bounds apart; `undefined` where it bounds none. */
export interface NumberBounds {
  readonly minimum: number
  readonly maximum: number
  readonly exclusiveMinimum: number
  readonly exclusiveMaximum: number
}

/** The bounds of numbers; those that are absent are infinite. */
export function boundsOf(schema: JsonObject, path: Path): NumberBounds | undefined {
  if (bounds.every((keyword) => schema[keyword] === undefined)) return undefined
  const of = (keyword: string, without: number): number => {
    const value = schema[keyword]
    if (value === undefined) return without
    if (typeof value === "number") return value
    throw problem([...path, keyword], "expected a number", value)
  }
  return {
    minimum: of("minimum", -Infinity),
    maximum: of("maximum", Infinity),
    exclusiveMinimum: of("exclusiveMinimum", -Infinity),
    exclusiveMaximum: of("exclusiveMaximum", Infinity),
  }
}

/** The least and the greatest length that a schema allows, of a string or a list. */
export function lengthsOf(
  schema: JsonObject,
  path: Path,
  least: string,
  most: string,
): [min: number, max: number] {
  for (const keyword of [least, most]) {
    const value = schema[keyword]
    if (value === undefined || Number.isInteger(value) && (value as number) >= 0) continue
    throw problem([...path, keyword], "expected an integer from 0 on", value)
  }
  return [(schema[least] ?? 0) as number, (schema[most] ?? Infinity) as number]
}

/** Something is wrong at a place. */
export function problem(
  path: Path,
  expected: string,
  found: PatternJson | undefined,
): PatternProblem {
  const text = JSON.stringify(found) ?? "nothing"
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text
  return new PatternProblem(`${expected}, found ${short}`, path)
}
