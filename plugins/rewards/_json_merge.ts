/**
 * Two JSON Schemas as one, whose values are valid against both. What stands inside of both is put under
 * `allOf` in its place, to be merged when it is read; so schemas that refer to themselves come to an end.
 */
import {
  isObject,
  isStrings,
  type JsonObject,
  type Path,
  problem,
  remarks,
  typesOf,
} from "./_json_keywords.ts"
import type { PatternJson } from "./_json_values.ts"

/**
 * The merged schema.
 *
 * @param one Without `$ref` and `allOf` at its top, as `other` is.
 * @param path Where they are put together, for problems.
 */
export function both(one: PatternJson, other: PatternJson, path: Path): PatternJson {
  if (one === false || other === false) return false
  if (one === true) return other
  if (other === true) return one
  if (!isObject(one) || !isObject(other)) {
    throw problem(path, "expected schemas: objects, true or false", isObject(one) ? other : one)
  }
  for (const keyword of ["anyOf", "oneOf"]) {
    for (const [choosing, next] of [[one, other], [other, one]]) {
      const { [keyword]: options, ...rest } = choosing
      // Each option with all that stands beside them: what is exactly one of them still is.
      if (Array.isArray(options)) {
        return { [keyword]: options.map((option) => ({ allOf: [option, rest, next] })) }
      }
    }
  }
  const merged: Record<string, PatternJson> = {}
  for (const keyword of new Set([...Object.keys(one), ...Object.keys(other)])) {
    if (remarks.includes(keyword)) continue
    const [left, right] = [one[keyword], other[keyword]]
    if (right === undefined) merged[keyword] = left
    else if (left === undefined) merged[keyword] = right
    else merged[keyword] = mergeKeyword(keyword, left, right, path)
  }
  if (one.type !== undefined && other.type !== undefined) {
    const common = commonTypes(typesOf(one, path)!, typesOf(other, path)!)
    if (common.length === 0) return false
    merged.type = common
  }
  return mergeValues(mergeProperties(merged, one, other, path), one, other)
}

/** Types of values that have one of each. */
export function commonTypes(one: readonly string[], other: readonly string[]): string[] {
  const has = (types: readonly string[], type: string) =>
    types.includes(type) || (type === "integer" && types.includes("number"))
  return [...new Set([...one, ...other])].filter((type) => has(one, type) && has(other, type))
}

function mergeKeyword(
  keyword: string,
  left: PatternJson,
  right: PatternJson,
  path: Path,
): PatternJson {
  if (/^(exclusiveM|m)in/.test(keyword)) return pick(Math.max, left, right)
  if (/^(exclusiveM|m)ax/.test(keyword)) return pick(Math.min, left, right)
  if (keyword === "items") return { allOf: [left, right] }
  if (keyword === "pattern" && left !== right) {
    throw problem(path, `expected one pattern, since two are not supported: /${left}/`, right)
  }
  return left
}

/** What is no number is left to fail where it is read. */
function pick(of: (a: number, b: number) => number, a: PatternJson, b: PatternJson): PatternJson {
  return typeof a !== "number" ? a : typeof b !== "number" ? b : of(a, b)
}

function mergeProperties(
  merged: Record<string, PatternJson>,
  one: JsonObject,
  other: JsonObject,
  path: Path,
): JsonObject {
  const schemas = [one, other]
  if (
    schemas.every(({ properties, additionalProperties: more }) => !properties && more === undefined)
  ) {
    return mergeRequired(merged, one, other)
  }
  const [left, right] = schemas.map(({ properties = {} }) => {
    if (isObject(properties)) return properties
    throw problem([...path, "properties"], "expected schemas by name", properties)
  })
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])]
  const of = (own: JsonObject, { additionalProperties = true }: JsonObject, name: string) =>
    Object.hasOwn(own, name) ? own[name] : additionalProperties
  const properties = names.map((name) =>
    [name, allOf(of(left, one, name), of(right, other, name))] as const
  )
  const { additionalProperties: more = true } = one
  const { additionalProperties: others = true } = other
  return mergeRequired(
    {
      ...merged,
      properties: Object.fromEntries(properties),
      additionalProperties: allOf(more, others),
    },
    one,
    other,
  )
}

function allOf(one: PatternJson, other: PatternJson): PatternJson {
  if (one === false || other === false) return false
  return one === true ? other : other === true ? one : { allOf: [one, other] }
}

function mergeRequired(merged: JsonObject, one: JsonObject, other: JsonObject): JsonObject {
  if (!isStrings(one.required) || !isStrings(other.required)) return merged
  return { ...merged, required: [...new Set([...one.required, ...other.required])] }
}

/** What both list, where both list values. */
function mergeValues(merged: JsonObject, one: JsonObject, other: JsonObject): PatternJson {
  const [left, right] = [listed(one), listed(other)]
  if (left === undefined || right === undefined) return merged
  const common = left.filter((value) => right.some((same) => areEqual(value, same)))
  if (common.length === 0) return false
  const { const: _, enum: __, ...rest } = merged
  return { ...rest, enum: common }
}

/** The values that a schema lists, by `const` or `enum`; none where it lists none. */
export function listed(schema: JsonObject): readonly PatternJson[] | undefined {
  if (Object.hasOwn(schema, "const")) return [schema.const]
  return Array.isArray(schema.enum) ? schema.enum : undefined
}

/** Whether two values are the same, whatever the order of names. */
export function areEqual(one: PatternJson, other: PatternJson): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, i) => areEqual(item, other[i]))
  }
  if (!isObject(one) || !isObject(other)) return one === other
  const names = Object.keys(one)
  return names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && areEqual(one[name], other[name]))
}
