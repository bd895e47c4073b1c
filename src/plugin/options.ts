/** Checking plain data against a schema, with errors that lead to the place. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import { hint } from "./nearest.ts"

/** Keys from the root of some data to a place in it. */
export type Path = readonly (string | number)[]

/** `["rewards", "kind", 0]` as `rewards.kind[0]`. */
export function printPath(path: Path): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`,
    "",
  )
}

type Validator<A> = ReturnType<typeof makeValidator<A>>

/** One validator for each schema: making one takes longer than using it. */
const validators = new WeakMap<object, Validator<unknown>>()

function makeValidator<A>(schema: Schema.ConstraintDecoder<A>) {
  const standard = Schema.toStandardSchemaV1(schema as Schema.Codec<A, unknown>, {
    parseOptions: { errors: "all", onExcessProperty: "error" },
  })
  return standard["~standard"].validate
}

function validatorOf<A>(schema: Schema.ConstraintDecoder<A>): Validator<A> {
  const known = validators.get(schema) ?? makeValidator(schema)
  validators.set(schema, known as Validator<unknown>)
  return known as Validator<A>
}

/**
 * Decodes `value`, defaults filled in. Throws with all problems in the message and the path of the
 * first in the reason; `path` is where the value itself stands.
 */
export function decodeAt<A>(
  schema: Schema.ConstraintDecoder<A>,
  value: unknown,
  path: Path,
  tag: "InvalidGraph" | "InvalidOption",
): A {
  const result = validatorOf(schema)(value)
  if (result instanceof Promise) throw new TypeError("internal: expected a synchronous schema")
  if (result.issues === undefined) return result.value
  const problems = result.issues.map((issue) => {
    const inside = (issue.path ?? []).map((key) =>
      (typeof key === "object" ? key.key : key) as string | number | symbol
    ).map((key) => typeof key === "symbol" ? String(key) : key)
    const at = [...path, ...inside]
    const found = inside.reduce<unknown>(
      (data, key) => (data as Record<string | number, unknown> | undefined)?.[key],
      value,
    )
    const place = at.length === 0 ? "" : `, at ${printPath(at)}`
    return {
      at,
      text: issue.message === "Missing key"
        ? `Missing key: expected a value${place}`
        : `${known(schema, inside) ?? issue.message}, found ${printValue(found)}${place}`,
    }
  })
  throw new GenArmError(
    { _tag: tag, path: problems[0].at },
    problems.map(({ text }) => text).join("; "),
  )
}

/** What to say of a key that is not among those of its object, where the schema leads there. */
function known(schema: object, inside: Path): string | undefined {
  let places = unwrap(schema)
  for (const [depth, key] of inside.entries()) {
    const isLast = depth === inside.length - 1
    const fields = places.flatMap((place) => "fields" in place ? [place.fields as Fields] : [])
    if (isLast && places.length > 0 && fields.length === places.length) {
      const keys = [...new Set(fields.flatMap((field) => Object.keys(field)))]
      if (keys.includes(String(key))) return undefined
      const near = hint(String(key), keys, " (", ")")
      return `Expected no key but ${keys.join(", ") || "none"}${near}`
    }
    places = places.flatMap((place) => {
      if (!("fields" in place)) return "value" in place ? unwrap(place.value as object) : []
      const field = (place.fields as Fields)[key]
      return Object.hasOwn(place.fields as Fields, key) ? unwrap(field) : []
    })
  }
  return undefined
}

type Fields = Readonly<Record<string | number, object>>

/** The objects, arrays and records that a schema stands for: one in a key that may be missing, some in a union. */
function unwrap(schema: object): object[] {
  if ("fields" in schema || "value" in schema) return [schema]
  if ("members" in schema) return (schema.members as object[]).flatMap(unwrap)
  return "schema" in schema ? unwrap(schema.schema as object) : []
}

/** A value as it stands in a message: short, and whatever it is. */
export function printValue(value: unknown): string {
  if (typeof value === "function") return "a function"
  // JSON has no NaN, and refuses a bigint wherever it stands.
  const plain = typeof value === "number"
    ? undefined
    : JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? `${inner}n` : inner)
  const text = plain ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
