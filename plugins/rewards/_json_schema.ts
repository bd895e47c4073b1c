/**
 * A JSON Schema as the texts of the values it allows. What is written is JSON without white space but
 * for at most one space after `:` and `,`, properties in the order of the schema; every value so
 * written is valid, though not every valid value is written so. What nests without end (`$ref` to
 * what encloses it, any value at all) goes down to a given depth.
 */
import { anchored } from "./_anchors.ts"
import {
  anyText,
  choice,
  type Expression,
  literal,
  PatternProblem,
  sequence,
} from "./_expression.ts"
import {
  anyValue,
  colon,
  comma,
  integer,
  list,
  mapping,
  nothing,
  number,
  type PatternJson,
  quoted,
  written,
} from "./_json_values.ts"
import { parseRegex } from "./_parse_regex.ts"

type JsonObject = { readonly [key: string]: PatternJson }
type Path = readonly (string | number)[]

/** Keywords that say nothing about values. */
const remarks = [
  ...["$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default"],
  ...["examples", "deprecated", "readOnly", "writeOnly"],
]

/** Keywords that each type takes. */
const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  null: [],
  boolean: [],
  integer: [],
  number: [],
  string: ["minLength", "maxLength", "pattern"],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
}

const types = Object.keys(keywordsOf)

/**
 * The texts of the values that a schema allows.
 *
 * @param depth How often a reference is followed into itself, and how deep any value nests.
 * @throws {PatternProblem} With the path of a keyword that is not supported, or not right.
 */
export function jsonTexts(schema: PatternJson, depth: number): Expression {
  return new Reader(schema, depth).read(schema, [], [])
}

class Reader {
  readonly #root: PatternJson
  readonly #depth: number

  constructor(root: PatternJson, depth: number) {
    this.#root = root
    this.#depth = depth
  }

  /** @param followed The references that lead here. */
  read(schema: PatternJson, path: Path, followed: readonly string[]): Expression {
    if (schema === true) return anyValue(this.#depth)
    if (schema === false) return nothing
    if (!isObject(schema)) {
      throw problem(path, "expected a schema: an object, true or false", schema)
    }
    for (const keyword of ["$ref", "anyOf", "const", "enum"]) {
      if (!Object.hasOwn(schema, keyword)) continue
      const allowed = ["const", "enum"].includes(keyword) ? [keyword, "type"] : [keyword]
      this.#refuseOthers(schema, path, allowed, `beside "${keyword}"`)
      return this.#readWhole(keyword, schema, path, followed)
    }
    const named = this.#typesOf(schema, path)
    const keywords = (named ?? types).flatMap((type) => keywordsOf[type])
    this.#refuseOthers(
      schema,
      path,
      ["type", ...keywords],
      `for ${named === undefined ? "a schema" : `the type ${named.join(" or ")}`}`,
    )
    // An integer is a number: written once.
    const distinct = (named ?? types).filter((type, _, all) =>
      type !== "integer" || !all.includes("number")
    )
    return choice(...distinct.map((type) => this.#readType(type, schema, path, followed)))
  }

  #readWhole(
    keyword: string,
    schema: JsonObject,
    path: Path,
    followed: readonly string[],
  ): Expression {
    const value = schema[keyword]
    const at = [...path, keyword]
    if (keyword === "$ref") return this.#follow(value, at, followed)
    if (keyword !== "const" && (!Array.isArray(value) || value.length === 0)) {
      throw problem(at, "expected a list that is not empty", value)
    }
    if (keyword === "anyOf") {
      return choice(
        ...(value as readonly PatternJson[]).map((option, i) =>
          this.read(option, [...at, i], followed)
        ),
      )
    }
    const named = this.#typesOf(schema, path)
    const values = (keyword === "const" ? [value] : value as readonly PatternJson[])
      .filter((value) => named === undefined || named.some((type) => isOfType(value, type)))
    return choice(...values.map(written))
  }

  #readType(
    type: string,
    schema: JsonObject,
    path: Path,
    followed: readonly string[],
  ): Expression {
    switch (type) {
      case "null":
        return literal("null")
      case "boolean":
        return choice(literal("true"), literal("false"))
      case "integer":
        return integer
      case "number":
        return number
      case "string":
        return this.#readString(schema, path)
      case "array":
        return this.#readArray(schema, path, followed)
      default:
        return this.#readObject(schema, path, followed)
    }
  }

  #readString(schema: JsonObject, path: Path): Expression {
    const [min, max] = this.#range(schema, path, "minLength", "maxLength")
    if (!Object.hasOwn(schema, "pattern")) return quoted(anyText, min, max)
    const { pattern } = schema
    const at = [...path, "pattern"]
    if (typeof pattern !== "string") throw problem(at, "expected a regular expression", pattern)
    try {
      return quoted(anchored(parseRegex(pattern), anyText), min, max)
    } catch (error) {
      if (error instanceof PatternProblem) throw new PatternProblem(error.message, at)
      throw error
    }
  }

  #readArray(schema: JsonObject, path: Path, followed: readonly string[]): Expression {
    const [min, max] = this.#range(schema, path, "minItems", "maxItems")
    const item = Object.hasOwn(schema, "items")
      ? this.read(schema.items, [...path, "items"], followed)
      : anyValue(this.#depth - 1)
    return list(item, min, max)
  }

  #readObject(schema: JsonObject, path: Path, followed: readonly string[]): Expression {
    const { properties = {}, required = [], additionalProperties = true } = schema
    if (!isObject(properties)) {
      throw problem([...path, "properties"], "expected schemas by name", properties)
    }
    if (!isStrings(required)) {
      throw problem([...path, "required"], "expected names of properties", required)
    }
    const missing = required.findIndex((name) => !Object.hasOwn(properties, name))
    if (missing >= 0) {
      throw problem(
        [...path, "required", missing],
        "expected one of the properties, since no others are written",
        required[missing],
      )
    }
    const names = Object.keys(properties)
    const at = [...path, "additionalProperties"]
    if (typeof additionalProperties !== "boolean" && names.length > 0) {
      throw problem(
        at,
        "expected true or false beside `properties`, since no others are written",
        additionalProperties,
      )
    }
    if (names.length === 0 && additionalProperties !== false) {
      const value = additionalProperties === true
        ? anyValue(this.#depth - 1)
        : this.read(additionalProperties, at, followed)
      return mapping(value)
    }
    const items = names.map((name) => ({
      item: sequence(
        written(name),
        colon,
        this.read(properties[name], [...path, "properties", name], followed),
      ),
      isOptional: !required.includes(name),
    }))
    return sequence(literal("{"), { type: "members", items, separator: comma }, literal("}"))
  }

  #follow(reference: PatternJson, path: Path, followed: readonly string[]): Expression {
    if (typeof reference !== "string" || !/^#(\/|$)/.test(reference)) {
      throw problem(path, 'expected a place in this schema, such as "#/$defs/name"', reference)
    }
    const times = followed.filter((other) => other === reference).length
    if (times > this.#depth) return nothing
    const keys = decodeURIComponent(reference.slice(1)).split("/").slice(1)
      .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
    let target: PatternJson | undefined = this.#root
    for (const key of keys) {
      const holds: boolean = typeof target === "object" && target !== null &&
        Object.hasOwn(target, key)
      target = holds ? (target as JsonObject)[key] : undefined
      if (target === undefined) throw problem(path, "expected a place that is there", reference)
    }
    // A reference that leads to itself, with nothing in between, would never end.
    return this.read(target, keys, [...followed, reference])
  }

  #typesOf({ type }: JsonObject, path: Path): readonly string[] | undefined {
    if (type === undefined) return undefined
    const named = typeof type === "string" ? [type] : type
    if (isStrings(named) && named.length > 0 && named.every((name) => types.includes(name))) {
      return named
    }
    throw problem([...path, "type"], `expected ${types.join(", ")}, or a list of these`, type)
  }

  #range(schema: JsonObject, path: Path, least: string, most: string): [number, number] {
    for (const keyword of [least, most]) {
      const value = schema[keyword]
      if (value === undefined || Number.isInteger(value) && (value as number) >= 0) continue
      throw problem([...path, keyword], "expected an integer from 0 on", value)
    }
    const [min, max] = [(schema[least] ?? 0) as number, (schema[most] ?? Infinity) as number]
    if (min > max) throw problem([...path, most], `expected at least ${least}, ${min}`, max)
    return [min, max]
  }

  #refuseOthers(
    schema: JsonObject,
    path: Path,
    allowed: readonly string[],
    where: string,
  ): void {
    for (const keyword of Object.keys(schema)) {
      if (allowed.includes(keyword) || remarks.includes(keyword)) continue
      const advice = keyword === "oneOf" ? "; anyOf is" : ""
      throw new PatternProblem(
        `the keyword "${keyword}" is not supported ${where}${advice}: expected ${
          allowed.join(", ")
        }`,
        [...path, keyword],
      )
    }
  }
}

function isOfType(value: PatternJson, type: string): boolean {
  if (type === "null") return value === null
  if (type === "array") return Array.isArray(value)
  if (type === "object") return isObject(value)
  if (type === "integer") return Number.isInteger(value)
  const kind = typeof value
  return kind === type
}

function isObject(value: PatternJson): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isStrings(value: PatternJson): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string")
}

function problem(path: Path, expected: string, found: PatternJson | undefined): PatternProblem {
  const text = JSON.stringify(found) ?? "nothing"
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text
  return new PatternProblem(`${expected}, found ${short}`, path)
}
