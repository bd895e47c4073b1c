import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { arm, GenArmError, type Graph, linear, live, phases } from "genarm"
import { type RandomStream, randomStream } from "genarm/math"
import { definition, type PluginNode } from "genarm/plugin"
import { describe, it } from "node:test"
import { scale } from "../../plugins/rewards/scale.ts"
import { union } from "../../plugins/rewards/union.ts"
import { parseFormula } from "../../src/graph/parse_formula.ts"
import { row, scoresOf } from "../plugins/rewards/_rows.ts"
import { define } from "./_plugins.ts"

const [a, b, c] = ["a", "b", "c"].map((model) => arm({ model }))
const rewards = { a, b, c, "x-y": arm({ model: "x-y" }), größe: arm({ model: "g" }) }

const parse = (text: string): Graph => define(parseFormula(text, { base: "m", rewards }))
const printed = (text: string): string => String(parse(text))

/** The graph without what is no data. */
const data = (graph: Graph): unknown => JSON.parse(JSON.stringify(graph))

describe("a formula", () => {
  it("names rewards and their weights", () => {
    const spec = parseFormula("base + 0.5*a - 0.2*b", { base: "m", rewards, stop: ["\n"] })
    assertEquals(spec, {
      base: "m",
      rewards: { a: { reward: a, weight: 0.5 }, b: { reward: b, weight: -0.2 } },
      stop: ["\n"],
    })
    assertEquals(String(define(spec)), "base + 0.5*a - 0.2*b")
  })

  it("may be written in many ways", () => {
    const ways: readonly (readonly [string, string])[] = [
      ["base", "base"],
      ["a + base", "base + 1.0*a"],
      [" base+2*a\n -b ", "base + 2.0*a - 1.0*b"],
      ["-a + base", "base - 1.0*a"],
      ["base + a*2", "base + 2.0*a"],
      ["base + a/4", "base + 0.25*a"],
      ["base + 2*3*a", "base + 6.0*a"],
      ["base + (a - 2*(b - a))", "base + 3.0*a - 2.0*b"],
      ["base - (a)", "base - 1.0*a"],
      ["base + a - a", "base + 0.0*a"],
      ["base - 0*a", "base + 0.0*a"],
      ["base + a + a", "base + 2.0*a"],
      ["0.5*(2*base + 2*a)", "base + 1.0*a"],
      ["base + .5*a + 1e-7*b + 1E+21*c", "base + 0.5*a + 1e-7*b + 1e+21*c"],
      ["base + x-y - größe", "base + 1.0*x-y - 1.0*größe"],
      ["base + 1 - 1", "base"],
      ["base + max(1, 2)*a", "base + 2.0*a"],
    ]
    for (const [text, expected] of ways) assertEquals(printed(text), expected, text)
  })

  it("chooses among rewards, in one term that is named by its text", () => {
    const graph = parse("base + 0.5*max(a, 2*b - c, 0) - min(a + 1, -b)")
    assertEquals(
      String(graph),
      "base + 0.5*max(a, 2.0*b - c, 0.0) - 1.0*min(a + 1.0, -b)",
    )
    const node = (plugin: string, options: unknown) => ({ plugin, options })
    const [A, B, C] = ["a", "b", "c"].map((model) => node("arm", { model }))
    const scaled = (of: unknown, by: number) => node("scale", { of, by })
    assertEquals((data(graph) as Graph).rewards, {
      "max(a, 2.0*b - c, 0.0)": {
        reward: node("union", {
          of: [
            A,
            node("sum", { of: [scaled(B, 2), scaled(C, -1)] }),
            node("constant", { value: 0 }),
          ],
        }),
        weight: 0.5,
      },
      "min(a + 1.0, -b)": {
        reward: node("intersection", {
          of: [node("sum", { of: [A, node("constant", { value: 1 })] }), scaled(B, -1)],
        }),
        weight: -1,
      },
    } as never)
    assertEquals(
      printed("base + max(a, max(b, min(a, c)))"),
      "base + 1.0*max(a, max(b, min(a, c)))",
    )
    assertEquals(printed("base + max(a,b) + 2*max(a, b)"), "base + 3.0*max(a, b)")
    assertEquals(
      graph.rewards["min(a + 1.0, -b)"].reward,
      define(parseFormula(String(graph), graph)).rewards["min(a + 1.0, -b)"].reward,
    )
  })

  it("weighs rewards by schedules, as they are printed", () => {
    const fade = linear({ from: 1, to: -1, tokens: 50 })
    const twist = phases({ phases: [{ weight: 0, tokens: 40 }, { weight: 2 }] })
    const graph = define({
      base: "m",
      rewards: { a: { reward: a, weight: fade }, b: { reward: b, weight: twist } },
    })
    const text = "base + linear(from: 1, to: -1, tokens: 50)*a + " +
      'phases(phases: [{"weight":0,"tokens":40},{"weight":2}])*b'
    assertEquals(String(graph), text)
    assertEquals(data(parse(text)), data(graph))
    assertEquals(
      printed('base + a * linear( "from" : 0,to:1, tokens:2 )'),
      "base + linear(from: 0, to: 1, tokens: 2)*a",
    )
    assertEquals(
      printed("base + linear(from: 0, to: 1, tokens: 2)*(max(a, b) + c)"),
      "base + linear(from: 0, to: 1, tokens: 2)*max(a, b) + linear(from: 0, to: 1, tokens: 2)*c",
    )
  })

  it("takes the rewards of a graph as they are, templates included", () => {
    const graph = define({
      base: { model: "m", template: "chat" },
      rewards: { a: { reward: a, weight: live(1), template: "none" }, b: { reward: b, weight: 3 } },
    })
    const again = define(parseFormula("base + 2*a", graph))
    assertEquals(again.rewards, { a: { reward: a, weight: 2, template: "none" } })
    assertEquals(again.base, graph.base)
    const both = { base: "m", rewards: { a: { reward: a, template: "chat" }, b } }
    const error = assertThrows(() => parseFormula("base + max(a, b)", both), GenArmError)
    assert(error.message.includes('one template, found "chat" and none'), error.message)
    const same = { a: { reward: a, template: "chat" }, b: { reward: b, template: "chat" } }
    const spec = parseFormula("base + max(a, b)", { base: "m", rewards: same })
    assertEquals(spec.rewards!["max(a, b)"].template, "chat")
  })

  it("leaves the checks of rewards and schedules to the graph, with their paths", () => {
    const wrong = (text: string, path: readonly (string | number)[], ...parts: string[]) => {
      const error = assertThrows(() => parse(text), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidGraph", path } as never)
      for (const part of parts) assert(error.message.includes(part), error.message)
    }
    wrong("base + linear(from: 1, too: 2, tokens: 3)*a", [
      ...["rewards", "a", "weight", "options", "too"],
    ], 'did you mean "to"')
    const spec = parseFormula("base + max(a, d)", {
      base: "m",
      rewards: { a, d: { plugin: "arm", options: { modle: "x" } } },
    })
    const error = assertThrows(() => define(spec), GenArmError, 'did you mean "model"')
    assertEquals(error.reason, {
      _tag: "InvalidGraph",
      path: ["rewards", "max(a, d)", "reward", "options", "of", 1, "options", "modle"],
    })
  })
})

describe("the error of a formula", () => {
  const wrong = (text: string, position: number, part: string): void => {
    const error = assertThrows(() => parse(text), GenArmError, part)
    assertEquals(error.reason, { _tag: "InvalidFormula", text, position }, text)
  }

  it("shows the place", () => {
    const error = assertThrows(() => parse("base + 0.5*a\n  - *größe"), GenArmError)
    assertEquals(
      error.message,
      'expected a reward\'s name, a number or a bracket, found "*", at character 18 of the formula\n' +
        "    - *größe\n" +
        "      ^",
    )
  })

  it("says what is missing or too much", () => {
    wrong("", 0, "found the end")
    wrong("base +", 6, "found the end")
    wrong("base a", 5, "expected +, -, * or the end")
    wrong("base + (a", 9, 'expected ")", found the end')
    wrong("base + a)", 8, 'found ")"')
    wrong("base + 2a", 8, "expected +")
    wrong("base + max(a, b", 15, 'expected ")"')
    wrong("base + max(a)", 7, "two sums")
    wrong("base + max()", 11, "expected a reward")
    wrong("base + %", 7, '"%"')
    wrong("base + 😀", 7, '"😀"')
  })

  it("says what is meant by a name, or that there is none", () => {
    const rewards = { helpful: a, terse: b }
    const wrong = (text: string, position: number, part: string): void => {
      const error = assertThrows(
        () => parseFormula(text, { base: "m", rewards }),
        GenArmError,
        part,
      )
      assertEquals(error.reason, { _tag: "InvalidFormula", text, position })
    }
    wrong("base + 2*helpfull", 9, 'did you mean "helpful"?; given are helpful, terse')
    wrong("base + max(helpful, trese)", 20, 'did you mean "terse"')
    wrong("base + nothing", 7, "given are")
    wrong("base + helpful-terse", 7, "put blanks around the minus")
    wrong("base + toString", 7, "toString")
  })

  it("says what cannot be calculated", () => {
    wrong("a", 0, "expected the base once")
    wrong("base + base", 7, "expected the base once")
    wrong("2*base", 2, "expected the base once")
    wrong("base + a + 3", 0, "changes nothing")
    wrong("base + a*b", 8, "two rewards cannot be multiplied")
    wrong("base + a/b", 9, "a number other than 0")
    wrong("base + a/0", 9, "a number other than 0")
    wrong("base + max(a, base)", 14, "base cannot stand inside max")
    wrong("base + 1e999*a", 7, "too large")
    wrong("base + 1e300*1e300*a", 12, "too large")
    const fade = "linear(from: 1, to: 0, tokens: 2)"
    wrong(`base + ${fade}`, 7, "expected a schedule to be multiplied")
    wrong(`base + 2*${fade}*a`, 8, "cannot be multiplied with a number")
    wrong(`base - ${fade}*a`, 5, "nor subtracted")
    wrong(`base + ${fade}*${fade}*a`, 40, "with another")
    wrong(`base + ${fade}*(base + a)`, 42, "base cannot have a schedule")
    wrong(`base + max(${fade}*a, b)`, 11, "cannot stand inside max")
    wrong(`base + a + ${fade}*a`, 45, "stands twice")
  })

  it("says what is wrong with the options of a schedule", () => {
    wrong("base + linear(1, 2)*a", 14, "expected an option")
    wrong("base + linear(from 1)*a", 19, 'expected ":"')
    wrong("base + linear(from: one)*a", 20, "expected a JSON value")
    wrong("base + linear(from: [1, 2)*a", 20, "expected a JSON value")
    wrong('base + linear(from: "1)*a', 20, "expected a JSON value")
    wrong("base + linear(from: 1, from: 2)*a", 23, "stands twice")
  })
})

/** A random expression: its text, and what it is worth where rewards have these values. */
interface Expression {
  readonly text: string
  readonly value: (rewards: Readonly<Record<string, number>>) => number
}

function random(stream: RandomStream, depth: number): Expression {
  const pick = (count: number) => Math.floor(stream.nextUniform() * count)
  const number = () => (pick(17) - 8) / 4
  const blank = () => " ".repeat(pick(3))
  const inner = () => random(stream, depth - 1)
  const form = depth === 0 ? 0 : pick(6)
  if (form <= 1) {
    const name = ["a", "b", "c", "x-y"][pick(4)]
    const by = number()
    const value = (rewards: Readonly<Record<string, number>>) => by * rewards[name]
    const size = Math.abs(by)
    // Unary minus stands at the beginning of a sum only.
    return { text: `(${by < 0 ? "-" : ""}${size}${blank()}*${blank()}${name})`, value }
  }
  const [one, other] = [inner(), inner()]
  if (form === 2) {
    const value: Expression["value"] = (rewards) => one.value(rewards) - other.value(rewards)
    return { text: `(${one.text} -${blank()}${other.text})`, value }
  }
  if (form === 3) {
    const by = number()
    const value: Expression["value"] = (rewards) => (one.value(rewards) + other.value(rewards)) * by
    return {
      text: `(${one.text}${blank()}+${other.text})*(${by < 0 ? "-" : ""}${Math.abs(by)})`,
      value,
    }
  }
  const choose = form === 4 ? "max" : "min"
  const bound = number()
  const text = `${choose}(${one.text}, ${other.text} + ${bound < 0 ? "(" : ""}${bound}${
    bound < 0 ? ")" : ""
  })`
  return {
    text,
    value: (rewards) => Math[choose](one.value(rewards), other.value(rewards) + bound),
  }
}

describe("random formulas", () => {
  const values = { a: 1.5, b: -2, c: 0.25, "x-y": 3 }
  const rewards = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, row(value)]),
  )

  it("print as formulas that are read as the same, and mean what they say", () => {
    let choices = 0
    for (let seed = 0; seed < 400; seed++) {
      const expression = random(randomStream(seed), 1 + seed % 4)
      const text = `base + 0.5*max(${expression.text}, a) - ${expression.text}`
      const graph = define(parseFormula(text, { base: "m", rewards }))
      const again = define(parseFormula(String(graph), { base: "m", rewards }))
      assertEquals(String(again), String(graph))
      assertEquals(data(again), data(graph))
      // From its own rewards, and from its own data.
      assertEquals(data(define(parseFormula(String(graph), graph))), data(graph))
      assertEquals(
        String(define({ ...graph, rewards: { ...graph.rewards } })),
        String(graph),
      )
      const found = Object.values(graph.rewards).reduce(
        (sum, { reward, weight }) => sum + (weight as number) * scoresOf(reward, 1)[0],
        0,
      )
      const expected = 0.5 * Math.max(expression.value(values), values.a) - expression.value(values)
      assertAlmostEquals(found, expected, 1e-4, text)
      if (text.includes("min(")) choices++
    }
    assert(choices > 50)
  })
})

describe("a reward of several", () => {
  it("is checked in code, and named by data inside of code and of data", () => {
    const inCode = union({ of: [a, scale({ of: b, by: 2 })] })
    const asData: PluginNode<"reward"> = {
      plugin: "union",
      options: {
        of: [a, {
          plugin: "scale",
          options: { of: { plugin: "arm", options: { model: "b" } }, by: 2 },
        }],
      },
    }
    const [one, other] = [inCode, asData].map((reward) =>
      define({ base: "m", rewards: { x: { reward, weight: 1 } } })
    )
    assertEquals(data(one), data(other))
    const deep = other.rewards.x.reward.options as {
      of: { options: { of: PluginNode }; [definition]: object }[]
    }
    assertEquals(deep.of[1].options.of[definition]?.name, "arm")
    assert(Object.isFrozen(deep.of) && Object.isFrozen(deep.of[1].options))
    assertEquals(data(define(data(one) as never)), data(one))
  })
})
