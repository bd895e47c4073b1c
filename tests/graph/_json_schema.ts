/** A validator of as much of JSON Schema as the schemas of graphs use; it fails on anything else. */
type Schema = Readonly<Record<string, unknown>>

/** Paths of `data` that the schema refuses; none where it is valid. */
export function invalidPaths(schema: Schema, data: unknown, root: Schema = schema): string[] {
  return check(schema, data, "", root)
}

const annotations = ["$schema", "title", "description", "$defs"]

function check(schema: Schema, data: unknown, at: string, root: Schema): string[] {
  const wrong: string[] = []
  const object = typeof data === "object" && data !== null && !Array.isArray(data)
    ? data as Record<string, unknown>
    : undefined
  const inner = (schema: unknown, data: unknown, at: string) =>
    check(schema as Schema, data, at, root)
  const expect = (holds: boolean) => holds || wrong.push(at)
  for (const [keyword, value] of Object.entries(schema)) {
    switch (keyword) {
      case "type":
        expect([value].flat().some((type) => isOf(type as string, data)))
        break
      case "const":
        expect(data === value)
        break
      case "enum":
        expect((value as unknown[]).includes(data))
        break
      case "minLength":
        expect(typeof data !== "string" || [...data].length >= (value as number))
        break
      case "pattern":
        expect(typeof data !== "string" || new RegExp(value as string, "u").test(data))
        break
      case "minimum":
        expect(typeof data !== "number" || data >= (value as number))
        break
      case "maximum":
        expect(typeof data !== "number" || data <= (value as number))
        break
      case "exclusiveMinimum":
        expect(typeof data !== "number" || data > (value as number))
        break
      case "exclusiveMaximum":
        expect(typeof data !== "number" || data < (value as number))
        break
      case "minItems":
        expect(!Array.isArray(data) || data.length >= (value as number))
        break
      case "maxItems":
        expect(!Array.isArray(data) || data.length <= (value as number))
        break
      case "items":
        if (Array.isArray(data)) {
          wrong.push(...data.flatMap((item, i) => inner(value, item, `${at}[${i}]`)))
        }
        break
      case "prefixItems":
        if (Array.isArray(data)) {
          const first = (value as unknown[]).slice(0, data.length)
          wrong.push(...first.flatMap((item, i) => inner(item, data[i], `${at}[${i}]`)))
        }
        break
      case "required":
        for (const key of value as string[]) if (object) expect(Object.hasOwn(object, key))
        break
      case "properties":
        for (const [key, property] of Object.entries(value as Schema)) {
          if (object && Object.hasOwn(object, key)) {
            wrong.push(...inner(property, object[key], `${at}.${key}`))
          }
        }
        break
      case "additionalProperties":
        for (const [key, property] of Object.entries(object ?? {})) {
          if (Object.hasOwn(schema.properties ?? {}, key)) continue
          if (value === false) wrong.push(`${at}.${key}`)
          else if (value !== true) wrong.push(...inner(value, property, `${at}.${key}`))
        }
        break
      case "anyOf":
        expect((value as unknown[]).some((option) => inner(option, data, at).length === 0))
        break
      case "allOf":
        wrong.push(...(value as unknown[]).flatMap((part) => inner(part, data, at)))
        break
      case "not":
        expect(inner(value, data, at).length > 0)
        break
      case "if": {
        const branch = inner(value, data, at).length === 0 ? schema.then : schema.else
        if (branch !== undefined) wrong.push(...inner(branch, data, at))
        break
      }
      case "$ref": {
        const target = (value as string).split("/").slice(1)
          .reduce<unknown>((place, key) => (place as Schema)[key], root)
        wrong.push(...inner(target, data, at))
        break
      }
      case "then":
      case "else":
        break
      default:
        if (!annotations.includes(keyword)) throw new Error(`the keyword ${keyword} is not known`)
    }
  }
  return wrong
}

function isOf(type: string, data: unknown): boolean {
  if (type === "null") return data === null
  if (type === "array") return Array.isArray(data)
  if (type === "integer") return Number.isInteger(data)
  if (type === "object") return typeof data === "object" && data !== null && !Array.isArray(data)
  const found: string = typeof data
  return found === type
}
