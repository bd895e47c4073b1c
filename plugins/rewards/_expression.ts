/**
 * What a text may be, as a tree: what regular expressions and JSON Schemas are read into, and what an
 * automaton is built from.
 */
import {
  anyCharacter,
  charactersOf,
  type CodePoints,
  complement,
  intersection,
} from "./_code_points.ts"

/** A set of texts. */
export type Expression =
  /** One character of a set. */
  | { readonly type: "set"; readonly points: CodePoints }
  /** One after the other; the empty text where there is none. */
  | { readonly type: "sequence"; readonly items: readonly Expression[] }
  /** One of several; no text at all where there is none. */
  | { readonly type: "choice"; readonly options: readonly Expression[] }
  /** `min` to `max` times, with a separator between two. */
  | {
    readonly type: "repeat"
    readonly item: Expression
    readonly min: number
    readonly max: number
    readonly separator?: Expression
  }
  /** Each item once or, where it may be absent, not at all, in this order; separated. */
  | {
    readonly type: "members"
    readonly items: readonly { readonly item: Expression; readonly isOptional: boolean }[]
    readonly separator: Expression
  }
  /** Texts of an expression that have `min` to `max` characters, each written as JSON strings do. */
  | {
    readonly type: "content"
    readonly item: Expression
    readonly min: number
    readonly max: number
  }
  /** Where the text begins, and where it ends: `anchored` takes these away. */
  | { readonly type: "anchor"; readonly at: "start" | "end"; readonly position: number }

/** Something is wrong with a pattern; `path` leads to the place in a schema. */
export class PatternProblem extends Error {
  /** From the root of the schema. */
  readonly path: readonly (string | number)[]

  constructor(message: string, path: readonly (string | number)[] = []) {
    super(message)
    this.path = path
  }
}

/** One character of a set. */
export function oneOf(points: CodePoints): Expression {
  return { type: "set", points }
}

/** One after the other. */
export function sequence(...items: Expression[]): Expression {
  return items.length === 1 ? items[0] : { type: "sequence", items }
}

/** One of several. */
export function choice(...options: Expression[]): Expression {
  return options.length === 1 ? options[0] : { type: "choice", options }
}

/** `min` to `max` times. */
export function repeat(item: Expression, min: number, max: number): Expression {
  return { type: "repeat", item, min, max }
}

/** A text itself. */
export function literal(text: string): Expression {
  return sequence(...[...text].map((letter) => oneOf(charactersOf(letter))))
}

/** The empty text. */
export const empty: Expression = { type: "sequence", items: [] }

/** Any text. */
export const anyText: Expression = repeat(oneOf(anyCharacter), 0, Infinity)

const controls: CodePoints = [[0, 0x1f]]
const plain = complement([...controls, ...charactersOf('"'), ...charactersOf("\\")])
const escapes: readonly (readonly [character: string, letter: string])[] = [
  ...[['"', '"'], ["\\", "\\"], ["\b", "b"], ["\f", "f"], ["\n", "n"]] as const,
  ...[["\r", "r"], ["\t", "t"]] as const,
]

const written = new WeakMap<CodePoints, Expression>()

/** One character of a set, as `JSON.stringify` writes it inside a string. */
export function inJson(points: CodePoints): Expression {
  const known = written.get(points) ?? writeInJson(points)
  written.set(points, known)
  return known
}

function writeInJson(points: CodePoints): Expression {
  const options: Expression[] = []
  const unescaped = intersection(points, plain)
  if (unescaped.length > 0) options.push(oneOf(unescaped))
  for (const [character, letter] of escapes) {
    const has = intersection(points, charactersOf(character)).length > 0
    if (has) options.push(literal(`\\${letter}`))
  }
  for (const [from, to] of intersection(points, controls)) {
    for (let point = from; point <= to; point++) {
      if (escapes.some(([character]) => character.charCodeAt(0) === point)) continue
      options.push(literal(`\\u${point.toString(16).padStart(4, "0")}`))
    }
  }
  return choice(...options)
}
