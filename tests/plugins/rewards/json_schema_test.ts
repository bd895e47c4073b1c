import { assert, assertEquals, assertThrows } from "@std/assert"
import { GenArmError } from "genarm/plugin"
import { describe, it } from "node:test"
import { PatternProblem } from "../../../plugins/rewards/_expression.ts"
import { jsonTexts } from "../../../plugins/rewards/_json_schema.ts"
import { pattern, type PatternJson, type PatternSchema } from "../../../plugins/rewards/pattern.ts"
import { isValid } from "./_json_validator.ts"
import { drawing, openReward, scoresOf, sequenceIn, tokenizers } from "./_sequences.ts"
import { drawText, matching } from "./_texts.ts"

const schemas: Record<string, PatternSchema> = {
  "a string": { type: "string" },
  "a string with limits": { type: "string", minLength: 2, maxLength: 4 },
  "a string with a pattern": { type: "string", pattern: '^[a-c"\\\\\\n\\u0001é]+$' },
  "a string with a pattern anywhere in it": { type: "string", pattern: "x|^y", maxLength: 5 },
  "a string with a pattern and limits": {
    type: "string",
    pattern: "^(ab)*c?$",
    minLength: 3,
    maxLength: 6,
  },
  "a number": { type: "number" },
  "an integer": { type: "integer" },
  "null, true or false": { type: ["null", "boolean"] },
  "one of some values": { enum: ["a", 'b"', 1, null, { k: [1, "x"] }, []] },
  "one of those of a type": { type: "string", enum: ["a", 1] },
  "one value": { const: { a: [1.5, "two"] } },
  "a list": { type: "array", items: { type: "boolean" } },
  "a list with limits": { type: "array", items: { type: "integer" }, minItems: 1, maxItems: 3 },
  "a list from a length on": { type: "array", items: { type: "null" }, minItems: 2 },
  "an empty list": { type: "array", maxItems: 0 },
  "an object": {
    type: "object",
    properties: { name: { type: "string", maxLength: 5 }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  },
  "an object with properties that may be absent": {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "what says nothing of the values",
    type: "object",
    properties: { a: { const: 1 }, b: { const: 2 }, "c\n": { const: 3 }, d: { const: 4 } },
    required: ["b"],
  },
  "an empty object": { type: "object", additionalProperties: false },
  "an object of any names": { type: "object", additionalProperties: { type: "boolean" } },
  "one of several": { anyOf: [{ type: "integer" }, { type: "array", items: { const: "x" } }] },
  "a definition": { $ref: "#/$defs/a~1b", $defs: { "a/b": { type: "string", maxLength: 2 } } },
  "a tree": {
    type: "object",
    properties: {
      value: { type: "integer" },
      children: { type: "array", items: { $ref: "#" }, maxItems: 2 },
    },
    required: ["value"],
  },
  "an integer with bounds": { type: "integer", minimum: -12, exclusiveMaximum: 340 },
  "a number with bounds": { type: "number", exclusiveMinimum: -0.25, maximum: 17.5 },
  "a number with one bound": { type: "number", exclusiveMinimum: 0 },
  "one of several that differ by type": {
    oneOf: [{ type: "integer", minimum: 5 }, { type: "string" }, { type: "number", maximum: 2 }],
  },
  "one of several that differ by a property": {
    type: "object",
    oneOf: [
      {
        properties: { kind: { const: "circle" }, radius: { type: "number", minimum: 0 } },
        required: ["kind", "radius"],
      },
      {
        properties: { kind: { enum: ["square", "cube"] }, side: { $ref: "#/$defs/side" } },
        required: ["kind"],
      },
    ],
    $defs: { side: { type: "integer", minimum: 1, maximum: 9 } },
  },
  "all of several": {
    allOf: [{ type: ["number", "string"], minimum: 2 }, { type: ["integer", "null"], maximum: 30 }],
    maximum: 20,
  },
  "all of several objects": {
    allOf: [
      { $ref: "#/$defs/named" },
      { properties: { age: { type: "integer", minimum: 0 } }, required: ["age"] },
      { type: "object", properties: { name: { type: "string", maxLength: 3 } } },
    ],
    $defs: {
      named: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    },
  },
  "a definition and more": {
    $ref: "#/$defs/list",
    maxItems: 2,
    $defs: { list: { type: "array", items: { $ref: "#/$defs/item" } }, item: { type: "boolean" } },
  },
  "one of several beside keywords": {
    type: "integer",
    minimum: 3,
    anyOf: [{ maximum: 5 }, { minimum: 100, maximum: 101 }],
  },
  "any value": true,
  "a list of any values": { type: "array", maxItems: 3 },
}

/** Whether a value is written where it is valid: objects need all the properties that are named. */
const isWritten = (value: PatternJson) => typeof value !== "object" || Array.isArray(value)

describe("a JSON Schema", () => {
  for (const [name, schema] of Object.entries(schemas)) {
    it(`becomes texts of valid values: ${name}`, () => {
      const expression = jsonTexts(schema as PatternJson, 1)
      const draw = drawing(2)
      for (let round = 0; round < 25; round++) {
        const text = drawText(expression, draw)
        assert(isValid(JSON.parse(text), schema), text)
      }
    })
  }

  const accepts = (schema: PatternJson, depth = 3) => matching(jsonTexts(schema, depth))

  it("has every valid value, as it is written without spaces", () => {
    const values: readonly [
      schema: string,
      valid: readonly unknown[],
      invalid: readonly unknown[],
    ][] = [
      ["a string", ["", 'a"\\\n\u0007é🙂'], [1, null]],
      ["a string with limits", ["🙂🙂", '\n\t\\"'], ["a", "abcde"]],
      ["a string with a pattern", ['"', "\n\u0001"], ["d", ""]],
      ["a string with a pattern anywhere in it", ["x", "y", "aax", "yab"], ["ay", "xxxxxx"]],
      ["a string with a pattern and limits", ["abc", "ababab", "ababc"], ["ab", "abababc", "aba"]],
      ["a number", [0, -1.5, 12e20, 1e-7, 123456789012345], ["1", null]],
      ["an integer", [0, -7, 10], [1.5]],
      ["one of some values", ["a", 'b"', 1, null, { k: [1, "x"] }, []], ["b", { k: [1] }]],
      ["one of those of a type", ["a"], [1]],
      ["a list", [[], [true], [true, false, true]], [[null]]],
      ["a list with limits", [[1], [1, 2, 3]], [[], [1, 2, 3, 4]]],
      ["a list from a length on", [[null, null], [null, null, null, null]], [[], [null]]],
      ["an object", [{ name: "x", age: 3 }], [{ name: "x" }, { age: 3, name: "x" }, {}]],
      [
        "an object with properties that may be absent",
        [{ b: 2 }, { a: 1, b: 2 }, { b: 2, d: 4 }, { a: 1, b: 2, "c\n": 3, d: 4 }],
        [{}, { a: 1 }, { a: 1, d: 4 }, { b: 2, b2: 2 }],
      ],
      ["an integer with bounds", [-12, -1, 0, 9, 10, 99, 100, 339], [-13, -100, 340, 1000, 0.5]],
      ["a number with bounds", [-0.125, -1e-6, 0, 17, 17.5, 9.999], [
        -0.25,
        -1,
        17.500001,
        18,
        170,
      ]],
      ["a number with one bound", [1e-6, 0.5, 1, 123456789012345], [0, -1, -0.5]],
      ["one of several that differ by type", [5, "", 2, -0.5, 100], [3, 4, 2.5, null]],
      [
        "one of several that differ by a property",
        [{ kind: "circle", radius: 0.5 }, { kind: "square" }, { kind: "cube", side: 9 }],
        [{ kind: "circle" }, { kind: "circle", side: 1 }, { kind: "cube", side: 10 }, {}],
      ],
      ["all of several", [2, 19, 20], [1, 21, 2.5, "a", null]],
      [
        "all of several objects",
        [{ name: "abc", age: 0 }, { name: "", age: 30 }],
        [{ name: "abcd", age: 1 }, { name: "a" }, { age: 1 }, { name: "a", age: -1 }],
      ],
      ["a definition and more", [[], [true], [true, false]], [[true, true, true], [1]]],
      ["one of several beside keywords", [3, 5, 100, 101], [2, 6, 99, 102, "a"]],
      ["an object of any names", [{}, { x: true }, { "": true, '"': false }], [{ x: 1 }]],
    ]
    for (const [name, valid, invalid] of values) {
      const isText = accepts(schemas[name] as PatternJson)
      for (const value of valid) assert(isText(JSON.stringify(value)), JSON.stringify(value))
      for (const value of invalid) assert(!isText(JSON.stringify(value)), JSON.stringify(value))
    }
  })

  it("has of two schemas the values that are valid against both", () => {
    const ab = (a: PatternJson, b: PatternJson, more = {}) => ({
      type: "object",
      properties: { a, b },
      ...more,
    })
    const parts: readonly PatternJson[] = [
      ...[true, false, { type: ["integer", "string", "object"] }, {
        enum: [1, "ab", { a: 1 }, null],
      }],
      ...[{ minimum: 1 }, { maximum: 2, minLength: 1 }, { exclusiveMinimum: 1, maxLength: 2 }],
      ...[{ type: "number", exclusiveMaximum: 2 }, { type: "string", pattern: "b" }, { const: 1 }],
      ...[{ minItems: 1 }, { type: "array", items: { type: "integer" } }, {
        items: { minimum: 1 },
      }],
      ab({ type: "integer" }, { type: "string" }, { required: ["a"] }),
      ab({ minimum: 1 }, true, { additionalProperties: false }),
      ab(true, false),
      ab({ anyOf: [{ type: "null" }, { type: "integer" }] }, { minLength: 1 }, { required: ["b"] }),
      { anyOf: [{ type: "integer", minimum: 2 }, { type: "string" }, ab(true, { const: "x" })] },
      {
        oneOf: [{ type: "number", maximum: 1 }, { type: ["string", "null"] }, {
          minItems: 1,
          type: "array",
        }],
      },
      { $ref: "#/$defs/short" },
    ]
    const values: readonly PatternJson[] = [
      ...[null, true, 0, 1, 1.5, 2, 3, "", "a", "b", "ab", "abc", [], [0], [1, 2], ["x"]],
      ...[{}, { a: 1 }, { a: 0 }, { a: "x" }, { a: null }, { b: "" }, { b: "x" }, { a: 1, b: "x" }],
    ]
    const $defs = { short: { anyOf: [{ type: "string", maxLength: 2 }, { type: "integer" }] } }
    let [merged, accepted] = [0, 0]
    for (const one of parts) {
      for (const other of parts) {
        const schema: PatternJson = { allOf: [one, other], $defs }
        let isText: (text: string) => boolean
        try {
          isText = accepts(schema, 2)
        } catch (error) {
          assert(error instanceof PatternProblem, `${error}`)
          assert(/not supported/.test(error.message), `${error.message} ${JSON.stringify(schema)}`)
          continue
        }
        merged++
        for (const value of values) {
          const note = `${JSON.stringify(value)} ${JSON.stringify([one, other])}`
          const found = isText(JSON.stringify(value))
          if (found) accepted++
          if (!isValid(value, schema)) assert(!found, note)
          else if (isWritten(value)) assert(found, note)
        }
      }
    }
    assert(merged > 200 && accepted > 1_000, `${merged}, ${accepted}`)
  })

  it("takes one space after a colon and a comma, and no other", () => {
    const isText = accepts(schemas["an object"] as PatternJson)
    assert(isText('{"name": "x", "age": 3}'))
    for (
      const text of ['{"name":  "x","age":3}', '{ "name":"x","age":3}', '{"name":"x" ,"age":3}']
    ) {
      assert(!isText(text), text)
    }
  })

  it("nests as deep as asked for", () => {
    const tree = (depth: number): PatternJson =>
      depth === 0 ? { value: 1 } : { value: 1, children: [tree(depth - 1)] }
    const lists = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
    for (const depth of [0, 1, 2]) {
      const isTree = accepts(schemas["a tree"] as PatternJson, depth)
      assertEquals([0, 1, 2, 3, 4].map((deep) => isTree(JSON.stringify(tree(deep)))), [
        ...[true, true, depth > 0, depth > 1, false],
      ])
      const isAny = accepts(true, depth)
      assertEquals([1, 2, 3].map((deep) => isAny(lists(deep))), [depth > 0, depth > 1, false])
    }
  })

  it("is refused with the path of what is not supported, or not right", () => {
    const problem = (jsonSchema: unknown) => {
      const error = assertThrows(() => pattern({ jsonSchema } as never), GenArmError)
      assert(error.reason._tag === "InvalidOption")
      return `${error.reason.path.slice(1).join(".")}: ${error.message}`
    }
    const problems: readonly (readonly [schema: unknown, start: string])[] = [
      [
        { type: "text" },
        "type: expected null, boolean, integer, number, string, array, object, or",
      ],
      [
        { type: "string", format: "date" },
        'format: the keyword "format" is not supported for the type',
      ],
      [
        { type: "integer", multipleOf: 3 },
        'multipleOf: the keyword "multipleOf" is not supported for the type integer: expected type, mi',
      ],
      [{ type: "number", minimum: "1" }, 'minimum: expected a number, found "1"'],
      [
        { type: "number", exclusiveMinimum: 3, maximum: 2 },
        "maximum: expected at least the minimum, 3, found 2",
      ],
      [
        { type: "integer", minimum: 1.2, maximum: 1.8 },
        ": no text matches: expected one that does",
      ],
      [{ oneOf: [] }, "oneOf: expected a list that is not empty, found []"],
      [
        { oneOf: [{ type: "null" }, { type: "number" }, { type: "integer", minimum: 3 }] },
        "oneOf: it is not plain that no value is valid against both option 1 and option 2",
      ],
      [
        { allOf: [{ type: "string", pattern: "a" }, { type: "string", pattern: "b" }] },
        ": expected one pattern, since two are not supported: /a/, found",
      ],
      [{ allOf: [{ type: "string" }, { type: "null" }] }, ": no text matches"],
      [{ allOf: [{ type: "string" }, { format: "date" }] }, 'format: the keyword "format" is not'],
      [{ allOf: [{ type: "string" }, { type: "text" }] }, "type: expected null, boolean"],
      [{ allOf: [{ type: "array", items: [1] }] }, "allOf.0.items: expected a schema"],
      [{ allOf: [{ $ref: "#" }] }, ": no text matches"],
      [{ type: "string", maxLength: -1 }, "maxLength: expected an integer from 0 on, found -1"],
      [{ type: "string", minLength: 3, maxLength: 1 }, "maxLength: expected at least minLength, 3"],
      [{ type: "string", pattern: "a(?=b)" }, 'pattern: lookahead "(?=" is not supported'],
      [{ anyOf: [] }, "anyOf: expected a list that is not empty"],
      [{ enum: 3 }, "enum: expected a list that is not empty, found 3"],
      [
        { const: 1, minLength: 1 },
        'minLength: the keyword "minLength" is not supported beside "const"',
      ],
      [{ type: "array", items: [true] }, "items: expected a schema"],
      [
        { type: "object", properties: { a: { type: "array", items: { not: {} } } } },
        'properties.a.items.not: the keyword "not" is not supported',
      ],
      [{ type: "object", required: ["a"] }, "required.0: expected one of the properties"],
      [
        { type: "object", properties: { a: true }, additionalProperties: {} },
        "additionalProperties: expected true or false beside `properties`",
      ],
      [{ $ref: "other.json" }, '$ref: expected a place in this schema, such as "#/$defs/name"'],
      [{ $ref: "#/$defs/a" }, "$ref: expected a place that is there"],
      [{ $ref: "#" }, ": no text matches: expected one that does"],
      [false, ": no text matches: expected one that does"],
    ]
    for (const [schema, start] of problems) {
      assert(problem(schema).startsWith(start), `${JSON.stringify(schema)}: ${problem(schema)}`)
    }
  })

  for (const [path, options] of tokenizers) {
    it(`is held with the tokens of ${path.split("/").at(-1)}`, options, async () => {
      const sequence = await sequenceIn(path)
      const opening = sequence.decode(sequence.promptIds)
      const draw = drawing(5)
      const closing = new Set([...'"]}'].flatMap((sign) => sequence.encode(sign)))
      let finished = 0
      for (const schema of Object.values(schemas)) {
        const state = openReward(pattern({ jsonSchema: schema, depth: 1 }), sequence)
        const ids: number[] = []
        let hasEnded = false
        while (!hasEnded && ids.length < 100) {
          const scores = scoresOf(state, sequence)
          const allowed = [...scores.keys()].filter((id) => scores[id] === 0)
          assert(allowed.length > 0)
          const [end] = allowed.filter((id) => sequence.eos.includes(id))
          const closers = allowed.filter((id) => closing.has(id))
          const from = closers.length > 0 && draw(3) === 0 ? closers : allowed
          const id = end ?? from[draw(from.length)]
          hasEnded = id === end
          if (!hasEnded) ids.push(id)
          state.accept!(id)
        }
        if (!hasEnded) continue
        finished++
        const text = sequence.decode([...sequence.promptIds, ...ids]).slice(opening.length)
        assert(isValid(JSON.parse(text), schema), text)
      }
      assert(finished > 20, `${finished} came to an end`)
    })
  }
})
