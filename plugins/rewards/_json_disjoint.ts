/**
 * Whether two JSON Schemas have no value in common, as far as it is plain to see: by their types, by the
 * values they list, by bounds of numbers and lengths, or by a property that one of them needs and whose
 * values the other does not allow. `oneOf` is read as `anyOf` where that holds for every two options.
 */
import {
  boundsOf,
  isObject,
  isOfType,
  isStrings,
  type JsonObject,
  lengthsOf,
  type NumberBounds,
  types,
  typesOf,
} from "./_json_keywords.ts"
import { areEqual, commonTypes, listed } from "./_json_merge.ts"
import type { PatternJson } from "./_json_values.ts"

/** A schema with its `$ref` and `allOf` worked out. */
export type Plain = (schema: PatternJson) => PatternJson

/** How deep properties of properties are looked at. */
const deepest = 4

/** Whether it is plain that no value is valid against both. */
export function areDisjoint(
  left: PatternJson,
  right: PatternJson,
  plain: Plain,
  depth = 0,
): boolean {
  if (depth > deepest) return false
  const [one, other] = [plain(left), plain(right)]
  if (one === false || other === false) return true
  if (!isObject(one) || !isObject(other)) return false
  for (const [choosing, next] of [[one, other], [other, one]]) {
    for (const keyword of ["anyOf", "oneOf"]) {
      const { [keyword]: options, ...rest } = choosing
      if (!Array.isArray(options)) continue
      return options.every((option) =>
        areDisjoint({ allOf: [option, rest] }, next, plain, depth + 1)
      )
    }
  }
  for (const [listing, next] of [[one, other], [other, one]]) {
    const values = listed(listing)?.filter((value) => hasType(listing, value))
    if (values !== undefined) return values.every((value) => excludes(next, value))
  }
  const common = commonTypes(typesOf(one, []) ?? types, typesOf(other, []) ?? types)
  return common.every((type) => areDisjointAs(type, one, other, plain, depth))
}

function areDisjointAs(
  type: string,
  one: JsonObject,
  other: JsonObject,
  plain: Plain,
  depth: number,
): boolean {
  switch (type) {
    case "integer":
    case "number":
      return isAbove(boundsOf(one, []), boundsOf(other, [])) ||
        isAbove(boundsOf(other, []), boundsOf(one, []))
    case "string":
      return areApart(one, other, "minLength", "maxLength")
    case "array": {
      const haveItems = [one, other].every((schema) => lengthsOf(schema, [], "minItems", "")[0] > 0)
      return areApart(one, other, "minItems", "maxItems") ||
        haveItems && areDisjoint(one.items ?? true, other.items ?? true, plain, depth + 1)
    }
    case "object": {
      const needed = [one, other].flatMap(({ required }) => isStrings(required) ? required : [])
      return needed.some((name) =>
        areDisjoint(propertyOf(one, name), propertyOf(other, name), plain, depth + 1)
      )
    }
    default:
      return false
  }
}

/** Whether the least number of one is greater than all of another. */
function isAbove(one: NumberBounds | undefined, other: NumberBounds | undefined): boolean {
  if (one === undefined || other === undefined) return false
  const [least, most] = [
    Math.max(one.minimum, one.exclusiveMinimum),
    Math.min(other.maximum, other.exclusiveMaximum),
  ]
  return least > most ||
    least === most && (least === one.exclusiveMinimum || most === other.exclusiveMaximum)
}

function areApart(one: JsonObject, other: JsonObject, least: string, most: string): boolean {
  const [[from, to], [start, end]] = [one, other].map((schema) =>
    lengthsOf(schema, [], least, most)
  )
  return from > end || start > to
}

/** What a property may be. */
function propertyOf(
  { properties, additionalProperties = true }: JsonObject,
  name: string,
): PatternJson {
  return isObject(properties) && Object.hasOwn(properties, name)
    ? properties[name]
    : additionalProperties
}

function hasType(schema: JsonObject, value: PatternJson): boolean {
  return typesOf(schema, [])?.some((type) => isOfType(value, type)) ?? true
}

/** Whether it is plain that a value is not valid. */
function excludes(schema: JsonObject, value: PatternJson): boolean {
  const values = listed(schema)
  if (values !== undefined && !values.some((same) => areEqual(value, same))) return true
  if (!hasType(schema, value)) return true
  if (typeof value === "number") {
    const only = {
      minimum: value,
      maximum: value,
      exclusiveMinimum: -Infinity,
      exclusiveMaximum: Infinity,
    }
    const bounds = boundsOf(schema, [])
    return isAbove(only, bounds) || isAbove(bounds, only)
  }
  if (typeof value !== "string") return false
  const [min, max] = lengthsOf(schema, [], "minLength", "maxLength")
  const { length } = [...value]
  return length < min || length > max
}
