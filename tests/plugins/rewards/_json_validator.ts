/** Whether a value is valid against a schema, for the keywords that `pattern` takes. */
import type { PatternJson } from "../../../plugins/rewards/pattern.ts"

type Keywords = { readonly [keyword: string]: PatternJson }

/** Whether a value is valid. */
export function isValid(value: unknown, schema: PatternJson, root: PatternJson = schema): boolean {
  if (typeof schema === "boolean") return schema
  const keywords = schema as Keywords
  const {
    $ref,
    anyOf,
    type,
    minLength = 0,
    maxLength = Infinity,
    minItems = 0,
    maxItems = Infinity,
  } = keywords
  if (typeof $ref === "string") {
    const target = $ref.split("/").slice(1)
      .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
      .reduce<PatternJson>((place, key) => (place as Keywords)[key], root)
    if (!isValid(value, target, root)) return false
  }
  const { allOf, oneOf } = keywords
  if (Array.isArray(allOf) && !allOf.every((part) => isValid(value, part, root))) return false
  if (Array.isArray(oneOf) && oneOf.filter((part) => isValid(value, part, root)).length !== 1) {
    return false
  }
  if (Array.isArray(anyOf) && !anyOf.some((option) => isValid(value, option, root))) return false
  if ("const" in keywords && JSON.stringify(value) !== JSON.stringify(keywords.const)) return false
  const { enum: values } = keywords
  if (
    Array.isArray(values) && !values.some((one) => JSON.stringify(one) === JSON.stringify(value))
  ) {
    return false
  }
  const types = type === undefined ? [] : [type].flat()
  if (types.length > 0 && !types.some((name) => isOf(value, name as string))) return false
  if (typeof value === "number") {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = keywords
    return !(value < Number(minimum ?? NaN)) && !(value > Number(maximum ?? NaN)) &&
      !(value <= Number(exclusiveMinimum ?? NaN)) && !(value >= Number(exclusiveMaximum ?? NaN))
  }
  if (typeof value === "string") {
    const { length } = [...value]
    if (length < Number(minLength) || length > Number(maxLength)) return false
    const { pattern } = keywords
    return typeof pattern !== "string" || new RegExp(pattern, "u").test(value)
  }
  if (Array.isArray(value)) {
    if (value.length < Number(minItems) || value.length > Number(maxItems)) return false
    return value.every((item) => isValid(item, keywords.items ?? true, root))
  }
  if (typeof value !== "object" || value === null) return true
  const properties = (keywords.properties ?? {}) as Keywords
  const required = (keywords.required ?? []) as readonly string[]
  return required.every((name) => Object.hasOwn(value, name)) &&
    Object.entries(value).every(([name, inner]) =>
      isValid(inner, properties[name] ?? keywords.additionalProperties ?? true, root)
    )
}

function isOf(value: unknown, type: string): boolean {
  if (type === "null") return value === null
  if (type === "array") return Array.isArray(value)
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value)
  const kind = typeof value
  return type === "integer" ? Number.isInteger(value) : kind === type
}
