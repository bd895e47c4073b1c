import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { areDisjoint } from "../../../plugins/rewards/_json_disjoint.ts"
import { both } from "../../../plugins/rewards/_json_merge.ts"
import { jsonTexts } from "../../../plugins/rewards/_json_schema.ts"
import type { PatternJson } from "../../../plugins/rewards/pattern.ts"
import { isValid } from "./_json_validator.ts"
import { drawing } from "./_sequences.ts"
import { drawText, matching } from "./_texts.ts"

type Bounds = Readonly<Record<string, number>>

const draw = drawing(11)

/** Random bounds, of one side or both, near each other or not. */
function randomBounds(unit: number): Bounds {
  const size = 10 ** (1 + draw(4))
  const low = (draw(2 * size) - size) / unit
  const high = low + draw(draw(2) === 0 ? 12 : 2 * size) / unit
  return {
    ...draw(6) > 0 && { [draw(2) === 0 ? "minimum" : "exclusiveMinimum"]: low },
    ...draw(6) > 0 && { [draw(2) === 0 ? "maximum" : "exclusiveMaximum"]: high },
  }
}

/** Whether something is between the bounds at all. */
const isEmpty = ({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Bounds) =>
  Math.max(minimum ?? -Infinity, exclusiveMinimum ?? -Infinity) >
    Math.min(maximum ?? Infinity, exclusiveMaximum ?? Infinity)

/** Numbers at and around the bounds, and others. */
function numbersNear(bounds: Bounds, step: number): number[] {
  const near = Object.values(bounds).flatMap((bound) =>
    [-11, -10, -9, -2, -1, 0, 1, 2, 9, 10, 11].map((by) => bound + by * step)
  )
  const others = Array.from({ length: 40 }, () => (draw(20_000) - 10_000) * step)
  return [...near, ...others, 0, 1, -1, 9, 10, 99, 100, -9, -10, -99, -100, 1e14, -1e14]
    // As decimals, without what adding has left behind.
    .map((value) => Number(value.toFixed(6)))
}

describe("numbers within bounds", () => {
  it("are the integers that are valid, and no others", () => {
    for (let round = 0; round < 60; round++) {
      const schema: PatternJson = { type: "integer", ...randomBounds(round % 3 === 0 ? 4 : 1) }
      if (isEmpty(schema as Bounds)) continue
      const isText = matching(jsonTexts(schema, 0))
      const { type: _, ...bounds } = schema
      for (const value of numbersNear(bounds as Bounds, 1)) {
        assertEquals(
          isText(`${value}`),
          isValid(value, schema),
          `${value} ${JSON.stringify(schema)}`,
        )
      }
      for (const text of ["-0", "007", "1e1", "1.0", "+1", ""]) assert(!isText(text), text)
    }
  })

  it("are the decimals that are valid, and no others", () => {
    for (let round = 0; round < 60; round++) {
      const unit = [1, 8, 1000][round % 3]
      const schema: PatternJson = { type: "number", ...randomBounds(unit) }
      if (isEmpty(schema as Bounds) || Object.keys(schema).length === 1) continue
      const isText = matching(jsonTexts(schema, 0))
      const { type: _, ...bounds } = schema
      for (const value of numbersNear(bounds as Bounds, 1 / unit)) {
        const valid = isValid(value, schema)
        const note = `${value} ${JSON.stringify(schema)}`
        const text = value.toString().includes("e") ? value.toFixed(6) : `${value}`
        assertEquals(isText(text), valid, note)
        // Zeros at the end change nothing.
        const padded = text.includes(".") ? `${text}000` : `${text}.0`
        assertEquals(isText(padded), valid, note)
      }
      for (const text of ["1.", ".5", "01.5", "1e1", "-", "-.5"]) assert(!isText(text), text)
    }
  })

  it("are read as valid ones whatever is drawn", () => {
    for (let round = 0; round < 80; round++) {
      const type = round % 2 === 0 ? "integer" : "number"
      const schema: PatternJson = { type, ...randomBounds([1, 8, 1000][round % 3]) }
      if (isEmpty(schema as Bounds)) continue
      const expression = jsonTexts(schema, 0)
      if (expression.type === "choice" && expression.options.length === 0) continue
      for (let i = 0; i < 12; i++) {
        const text = drawText(expression, draw)
        if (text === "") continue
        assert(isValid(JSON.parse(text), schema), `${text} ${JSON.stringify(schema)}`)
      }
    }
  })

  it("keep to bounds that no decimal of fifteen places is, and to exclusive ones", () => {
    const tenth = matching(jsonTexts({ type: "number", exclusiveMinimum: 0.1 }, 0))
    assertEquals(["0.1", "0.100", "0.100000000000001", "0.11"].map(tenth), [
      false,
      false,
      true,
      true,
    ])
    const third = matching(jsonTexts({ type: "number", minimum: 1 / 3, maximum: 1 / 3 + 1e-9 }, 0))
    assertEquals(["0.333333333333333", "0.333333333333334", "0.3333333344"].map(third), [
      ...[false, true, false],
    ])
    const zero = matching(
      jsonTexts({ type: "number", exclusiveMinimum: -1, exclusiveMaximum: 0 }, 0),
    )
    assertEquals(["0", "-0.5", "-0.000000000000001", "-0", "-1"].map(zero), [
      ...[false, true, true, false, false],
    ])
    const wide = matching(jsonTexts({ type: "integer", minimum: -1e300, maximum: 1e300 }, 0))
    assertEquals(["999999999999999", "-999999999999999", "1000000000000000"].map(wide), [
      ...[true, true, false],
    ])
  })
})

describe("schemas without a common value", () => {
  const disjoint = (one: PatternJson, other: PatternJson) => {
    const plain = (schema: PatternJson): PatternJson =>
      typeof schema === "object" && schema !== null && "allOf" in schema
        ? (schema.allOf as readonly PatternJson[]).reduce((a, b) => both(a, b, []))
        : schema
    const found = areDisjoint(one, other, plain)
    assertEquals(areDisjoint(other, one, plain), found)
    return found
  }

  it("are known by types, values, bounds and lengths", () => {
    const pairs: readonly (readonly [PatternJson, PatternJson, boolean])[] = [
      [{ type: "string" }, { type: ["null", "integer"] }, true],
      [{ type: "number" }, { type: "integer" }, false],
      [{ const: 1 }, { const: 2 }, true],
      [{ const: { a: 1, b: 2 } }, { enum: [{ b: 2, a: 1 }] }, false],
      [{ enum: [1, 2] }, { enum: ["1", 3] }, true],
      [{ enum: [1, "a"] }, { type: "string" }, false],
      [{ enum: [1, "a"], type: "integer" }, { type: "string" }, true],
      [{ const: 4 }, { type: "integer", maximum: 3 }, true],
      [{ const: 4 }, { type: "integer", maximum: 4 }, false],
      [{ const: 4 }, { type: "integer", exclusiveMaximum: 4 }, true],
      [{ const: "abc" }, { minLength: 4 }, true],
      [{ minimum: 4, type: "number" }, { type: "integer", exclusiveMaximum: 4 }, true],
      [{ minimum: 4, type: "number" }, { type: "integer", maximum: 4 }, false],
      [{ minimum: 4 }, { maximum: 3 }, false], // a text is valid against both
      [{ type: "string", maxLength: 3 }, { type: "string", minLength: 4 }, true],
      [{ type: "array", maxItems: 3 }, { type: "array", minItems: 3 }, false],
      [
        { type: "array", minItems: 1, items: { const: 1 } },
        { type: "array", minItems: 1, items: { const: 2 } },
        true,
      ],
      [{ type: "array", items: { const: 1 } }, { type: "array", items: { const: 2 } }, false],
      [true, { type: "string" }, false],
      [false, true, true],
    ]
    for (const [one, other, expected] of pairs) {
      assertEquals(disjoint(one, other), expected, JSON.stringify([one, other]))
    }
  })

  it("are known by a property that one needs", () => {
    const object = (properties: PatternJson, more: Readonly<Record<string, PatternJson>> = {}) => ({
      type: "object",
      properties,
      ...more,
    })
    const a = object({ kind: { const: "a" } }, { required: ["kind"] })
    assert(disjoint(a, object({ kind: { const: "b" } })))
    assert(!disjoint(object({ kind: { const: "a" } }), object({ kind: { const: "b" } })))
    assert(!disjoint(a, object({})))
    assert(disjoint(a, object({}, { additionalProperties: false })))
    assert(disjoint(a, object({ kind: { anyOf: [{ const: "b" }, { type: "number" }] } })))
  })

  it("have none that is valid against both", () => {
    const schemas: PatternJson[] = [
      ...[{ type: "integer", minimum: 2 }, { type: "number", maximum: 1.5 }, {
        enum: [1, "a", null],
      }],
      ...[{ type: "string", minLength: 2 }, { type: "string", maxLength: 1 }, { const: "ab" }],
      ...[{ minimum: 3 }, { maxLength: 1 }, { type: ["null", "boolean"] }, { type: "array" }],
      { type: "object", properties: { a: { const: 1 } }, required: ["a"] },
      { type: "object", properties: { a: { type: "string" } } },
      { type: "object", additionalProperties: false },
      { anyOf: [{ type: "string" }, { type: "integer", minimum: 9 }] },
    ]
    const values = [
      ...[null, true, 0, 1, 1.5, 2, 3, 9, "", "a", "ab", "abc", [], [1], {}, { a: 1 }, { a: "x" }],
    ]
    let found = 0
    for (const one of schemas) {
      for (const other of schemas) {
        if (!disjoint(one, other)) continue
        found++
        for (const value of values) {
          const note = JSON.stringify([one, other, value])
          assert(!(isValid(value, one) && isValid(value, other)), note)
        }
      }
    }
    assert(found > 60, `${found}`)
  })
})
