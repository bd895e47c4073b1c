/**
 * A JSON Schema as the texts of the values it allows. What is written is JSON without white space but
 * for at most one space after `:` and `,`, properties in the order of the schema; every value so
 * written is valid, though not every valid value is written so. What nests without end (`$ref` to
 * what encloses it, any value at all) goes down to a given depth. `allOf`, and what stands beside
 * `$ref`, `anyOf` and `oneOf`, is merged before it is read.
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
import { areDisjoint } from "./_json_disjoint.ts"
import {
  isObject,
  isOfType,
  isStrings,
  type JsonObject,
  keywordsOf,
  type Path,
  problem,
  remarks,
  types,
  typesOf,
} from "./_json_keywords.ts"
import { both } from "./_json_merge.ts"
import { lengthsWithin, type Ranged, readNumber } from "./_json_ranges.ts"
import {
  anyValue,
  colon,
  comma,
  list,
  mapping,
  nothing,
  type PatternJson,
  quoted,
  written,
} from "./_json_values.ts"
import { parseRegex } from "./_parse_regex.ts"

/** A schema, where it stands, and the references that lead there. */
interface Place {
  readonly schema: PatternJson
  readonly path: Path
  readonly followed: readonly string[]
  /** Made of several: bounds that leave nothing are then no mistake. */
  readonly isMerged?: boolean
}

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
    return this.#readPlain(this.#plain({ schema, path, followed }))
  }

  #readPlain({ schema, path, followed, isMerged = false }: Place): Expression {
    if (schema === true) return anyValue(this.#depth)
    if (schema === false) return nothing
    if (!isObject(schema)) {
      throw problem(path, "expected a schema: an object, true or false", schema)
    }
    for (const keyword of ["anyOf", "oneOf"]) {
      if (Object.hasOwn(schema, keyword)) return this.#readOptions(keyword, schema, path, followed)
    }
    for (const keyword of ["const", "enum"]) {
      if (Object.hasOwn(schema, keyword)) return this.#readValues(keyword, schema, path)
    }
    const named = typesOf(schema, path)
    const keywords = (named ?? types).flatMap((type) => keywordsOf[type])
    this.#refuseOthers(
      schema,
      path,
      ["type", ...new Set(keywords)],
      `for ${named === undefined ? "a schema" : `the type ${named.join(" or ")}`}`,
    )
    // An integer is a number: written once.
    const distinct = (named ?? types).filter((type, _, all) =>
      type !== "integer" || !all.includes("number")
    )
    const range = { schema, path, isMerged }
    return choice(...distinct.map((type) => this.#readType(type, range, followed)))
  }

  /** The same schema with its `$ref` and `allOf` worked out. */
  #plain({ schema, path, followed }: Place): Place {
    if (!isObject(schema)) return { schema, path, followed }
    const { $ref, allOf, ...rest } = schema
    const parts: Place[] = []
    if (Object.keys(rest).some((keyword) => !remarks.includes(keyword))) {
      parts.push({ schema: rest, path, followed })
    }
    if ($ref !== undefined) parts.push(this.#plain(this.#follow($ref, [...path, "$ref"], followed)))
    if (allOf !== undefined) {
      const at = [...path, "allOf"]
      listOf(allOf, at).forEach((schema, i) =>
        parts.push(this.#plain({ schema, path: [...at, i], followed }))
      )
    }
    if (parts.length === 0) return { schema: true, path, followed }
    return parts.reduce((one, other) => ({
      schema: both(one.schema, other.schema, path),
      path,
      followed: [...one.followed, ...other.followed.slice(followed.length)],
      isMerged: true,
    }))
  }

  /** One of several, each with what stands beside them. */
  #readOptions(
    keyword: string,
    schema: JsonObject,
    path: Path,
    followed: readonly string[],
  ): Expression {
    const { [keyword]: given, ...rest } = schema
    const at = [...path, keyword]
    const isAlone = Object.keys(rest).every((other) => remarks.includes(other))
    const options = listOf(given, at).map((option) => isAlone ? option : { allOf: [option, rest] })
    if (keyword === "oneOf") this.#refuseCommon(options, at, followed)
    return choice(...options.map((option, i) => this.read(option, [...at, i], followed)))
  }

  /** Fails where two options of `oneOf` may be valid at once: what is written must be valid for one. */
  #refuseCommon(options: readonly PatternJson[], path: Path, followed: readonly string[]): void {
    const plain = (schema: PatternJson) => this.#plain({ schema, path, followed }).schema
    for (let other = 1; other < options.length; other++) {
      for (let one = 0; one < other; one++) {
        if (areDisjoint(options[one], options[other], plain)) continue
        throw new PatternProblem(
          `it is not plain that no value is valid against both option ${one} and option ${other}: ` +
            "expected other types, values, bounds, or a required property with other values in each; " +
            "or anyOf",
          path,
        )
      }
    }
  }

  #readValues(keyword: string, schema: JsonObject, path: Path): Expression {
    this.#refuseOthers(schema, path, [keyword, "type"], `beside "${keyword}"`)
    const value = schema[keyword]
    const named = typesOf(schema, path)
    const values = (keyword === "const" ? [value] : listOf(value, [...path, keyword]))
      .filter((value) => named === undefined || named.some((type) => isOfType(value, type)))
    return choice(...values.map(written))
  }

  #readType(type: string, ranged: Ranged, followed: readonly string[]): Expression {
    switch (type) {
      case "null":
        return literal("null")
      case "boolean":
        return choice(literal("true"), literal("false"))
      case "integer":
      case "number":
        return readNumber(type, ranged)
      case "string":
        return this.#readString(ranged)
      case "array":
        return this.#readArray(ranged, followed)
      default:
        return this.#readObject(ranged.schema, ranged.path, followed)
    }
  }

  #readString(ranged: Ranged): Expression {
    const { schema, path } = ranged
    const lengths = lengthsWithin(ranged, "minLength", "maxLength")
    if (lengths === undefined) return nothing
    if (!Object.hasOwn(schema, "pattern")) return quoted(anyText, ...lengths)
    const { pattern } = schema
    const at = [...path, "pattern"]
    if (typeof pattern !== "string") throw problem(at, "expected a regular expression", pattern)
    try {
      return quoted(anchored(parseRegex(pattern), anyText), ...lengths)
    } catch (error) {
      if (error instanceof PatternProblem) throw new PatternProblem(error.message, at)
      throw error
    }
  }

  #readArray(ranged: Ranged, followed: readonly string[]): Expression {
    const { schema, path } = ranged
    const lengths = lengthsWithin(ranged, "minItems", "maxItems")
    if (lengths === undefined) return nothing
    const item = Object.hasOwn(schema, "items")
      ? this.read(schema.items, [...path, "items"], followed)
      : anyValue(this.#depth - 1)
    return list(item, ...lengths)
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

  #follow(reference: PatternJson, path: Path, followed: readonly string[]): Place {
    if (typeof reference !== "string" || !/^#(\/|$)/.test(reference)) {
      throw problem(path, 'expected a place in this schema, such as "#/$defs/name"', reference)
    }
    const times = followed.filter((other) => other === reference).length
    // A reference that leads to itself, with nothing in between, would never end.
    if (times > this.#depth) return { schema: false, path, followed }
    const keys = decodeURIComponent(reference.slice(1)).split("/").slice(1)
      .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
    let target: PatternJson | undefined = this.#root
    for (const key of keys) {
      const holds: boolean = typeof target === "object" && target !== null &&
        Object.hasOwn(target, key)
      target = holds ? (target as JsonObject)[key] : undefined
      if (target === undefined) throw problem(path, "expected a place that is there", reference)
    }
    return { schema: target, path: keys, followed: [...followed, reference] }
  }

  #refuseOthers(
    schema: JsonObject,
    path: Path,
    allowed: readonly string[],
    where: string,
  ): void {
    for (const keyword of Object.keys(schema)) {
      if (allowed.includes(keyword) || remarks.includes(keyword)) continue
      throw new PatternProblem(
        `the keyword "${keyword}" is not supported ${where}: expected ${allowed.join(", ")}`,
        [...path, keyword],
      )
    }
  }
}

function listOf(value: PatternJson, path: Path): readonly PatternJson[] {
  if (Array.isArray(value) && value.length > 0) return value
  throw problem(path, "expected a list that is not empty", value)
}
