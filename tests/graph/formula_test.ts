import { assertEquals, assertThrows } from "@std/assert"
import { Schema } from "effect"
import {
  arm,
  contrast,
  defineGraph,
  defineReward,
  defineSchedule,
  formula,
  GenArmError,
  greedy,
  linear,
  live,
  logitBias,
  phases,
  prompted,
  sampling,
  type Weight,
} from "genarm"
import { describe, it } from "node:test"
import { inspect } from "node:util"
import { builtins } from "../../plugins/builtins.ts"

const reward = arm({ model: "m" })
const graph = (weights: Record<string, Weight>) =>
  defineGraph({
    base: "b",
    rewards: Object.fromEntries(
      Object.entries(weights).map(([name, weight]) => [name, { reward, weight }]),
    ),
  })

describe("the formula of a graph", () => {
  it("is the sum that is taken, with the signs of the weights", () => {
    assertEquals(String(graph({})), "base")
    assertEquals(String(graph({ cheerful: 1, wordy: -0.3 })), "base + 1.0*cheerful - 0.3*wordy")
    assertEquals(String(graph({ a: 0, b: -2, c: 12 })), "base + 0.0*a - 2.0*b + 12.0*c")
    assertEquals(String(graph({ a: 1 / 3, b: 1e-7 })), "base + 0.3333333333333333*a + 1e-7*b")
  })

  it("names a schedule with its options", () => {
    const fade = linear({ from: 1, to: -1, tokens: 50 })
    const twist = phases({ phases: [{ weight: 0, tokens: 40 }, { weight: 2 }] })
    const always = defineSchedule({ name: "always", open: () => ({ weight: () => 1 }) })
    assertEquals(
      String(graph({ a: fade, b: live(0.5), c: always() })),
      "base + linear(from: 1, to: -1, tokens: 50)*a + live(initial: 0.5)*b + always()*c",
    )
    assertEquals(
      String(graph({ a: twist })),
      'base + phases(phases: [{"weight":0,"tokens":40},{"weight":2}])*a',
    )
  })

  it("is what a graph shows of itself", () => {
    const shown = graph({ kind: 2 })
    assertEquals(`${shown}`, formula(shown))
    assertEquals(inspect(shown), "Graph(base + 2.0*kind)")
  })
})

describe("a graph that is saved", () => {
  const full = defineGraph({
    base: { model: "./models/base", weights: "q8", template: "chat" },
    rewards: {
      kind: { reward: arm({ model: "hub:org/kind", revision: "v2", weights: "q4" }), weight: 1.5 },
      sad: {
        reward: prompted({ prefix: "Alas. " }),
        weight: linear({ from: 0, to: -1, tokens: 9 }),
      },
      mood: {
        reward: contrast({ expert: { prefix: "Hooray. " }, amateur: "./models/other" }),
        weight: phases({ phases: [{ weight: 1, tokens: 3 }, { weight: 2 }] }),
        template: "{prompt}!",
      },
      calm: { reward: logitBias({ bias: { "!": -2, "42": "ban" } }), weight: 1 },
    },
    sampler: sampling({ temperature: 0.7, topP: 0.9, temperatureConvention: "modelArithmetic" }),
    stop: ["\n\n", "END"],
  })

  it("comes back the same, from JSON and from data", () => {
    const text = JSON.stringify(full)
    const back = defineGraph(JSON.parse(text))
    assertEquals(JSON.stringify(back), text)
    assertEquals(back, full)
    assertEquals(String(back), String(full))
    assertEquals(defineGraph(full), full)
  })

  it("is plain data, named plugins with their options", () => {
    const small = defineGraph({
      base: "b",
      rewards: { x: { reward, weight: -1 } },
      sampler: greedy(),
    })
    assertEquals(JSON.parse(JSON.stringify(small)), {
      base: { model: "b" },
      rewards: { x: { reward: { plugin: "arm", options: { model: "m" } }, weight: -1 } },
      sampler: { plugin: "greedy", options: {} },
      stop: [],
    })
  })

  it("fails with the path of a live value", () => {
    const error = assertThrows(() => JSON.stringify(graph({ mood: live(1) })), GenArmError, "live")
    assertEquals(error.reason, { _tag: "InvalidGraph", path: ["rewards", "mood", "weight"] })
  })

  it("fails with the path of what JSON cannot hold, and not for what it can", () => {
    const anything = defineReward({
      name: "anything",
      options: Schema.Struct({ list: Schema.Array(Schema.Unknown) }),
      open: () => ({ score: (_, out) => out.fill(0) }),
    })
    const holding = (...list: unknown[]) =>
      defineGraph({ base: "b", rewards: { x: { reward: anything({ list }), weight: 1 } } })
    assertEquals(
      JSON.parse(JSON.stringify(holding(1, "a", null, { b: [true] }))).rewards.x.reward,
      {
        plugin: "anything",
        options: { list: [1, "a", null, { b: [true] }] },
      },
    )
    const odd: readonly (readonly [unknown, string])[] = [
      [() => 1, "function"],
      [NaN, "NaN"],
      [Infinity, "Infinity"],
      [1n, "bigint"],
      [Symbol("s"), "symbol"],
      [new Set([1]), "Set"],
      [new Float32Array(2), "Float32Array"],
      [new Date(0), "Date"],
    ]
    for (const [value, part] of odd) {
      const error = assertThrows(
        () => JSON.stringify(holding("a", { deep: value })),
        GenArmError,
        part,
      )
      assertEquals(error.reason, {
        _tag: "InvalidGraph",
        path: ["rewards", "x", "reward", "options", "list", 1, "deep"],
      })
    }
  })

  it("with a plugin of one's own needs it registered to come back", () => {
    const mine = defineReward({ name: "mine", open: () => ({ score: (_, out) => out.fill(0) }) })
    const own = defineGraph({ base: "b", rewards: { x: { reward: mine(), weight: 1 } } })
    const error = assertThrows(() => defineGraph(JSON.parse(JSON.stringify(own))), GenArmError)
    assertEquals(error.reason, {
      _tag: "UnknownPlugin",
      kind: "reward",
      name: "mine",
      known: builtins.reward.map(({ name }) => name),
    })
  })
})
