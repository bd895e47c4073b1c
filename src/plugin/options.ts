/** Checking plain data against a schema, with errors that lead to the place. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"

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
  const standard = Schema.toStandardSchemaV1(schema as Schema.Codec<A, unknown>, {
    parseOptions: { errors: "all", onExcessProperty: "error" },
  })
  const result = standard["~standard"].validate(value)
  if (result instanceof Promise) throw new TypeError("internal: expected a synchronous schema")
  if (result.issues === undefined) return result.value
  const problems = result.issues.map((issue) => {
    const inside = (issue.path ?? []).map((key) =>
      (typeof key === "object" ? key.key : key) as string | number
    )
    const at = [...path, ...inside]
    const found = inside.reduce<unknown>(
      (data, key) => (data as Record<string | number, unknown> | undefined)?.[key],
      value,
    )
    return {
      at,
      text: `${issue.message}, found ${printValue(found)}, at ${printPath(at) || "root"}`,
    }
  })
  throw new GenArmError(
    { _tag: tag, path: problems[0].at },
    problems.map(({ text }) => text).join("; "),
  )
}

/** The keys of a schema's object, for a key that stands at its top and is not among them. */
function known(schema: object, inside: Path): string | undefined {
  if (inside.length !== 1 || !("fields" in schema)) return undefined
  return `no key but ${Object.keys(schema.fields as object).join(", ")}`
}

function printValue(value: unknown): string {
  if (typeof value === "function") return "a function"
  if (typeof value === "number") return String(value) // JSON has no NaN
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
