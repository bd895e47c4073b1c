import { assert, assertEquals, assertThrows } from "@std/assert"
import {
  arm,
  bestOfN,
  contrast,
  defineGraph,
  defineReward,
  defineStrategy,
  GenArmError,
  type GenArmReason,
  greedy,
  linear,
  logitBias,
  phases,
  prompted,
  sampling,
} from "genarm"
import { describe, it } from "node:test"
import { builtins } from "../../plugins/builtins.ts"

const reward = arm({ model: "m" })
const one = (term: object) => ({ base: "b", rewards: { x: term } })

/** Checks that a spec is refused for the reason, with the parts in the message. */
function refuse(spec: unknown, reason: GenArmReason, ...parts: string[]): void {
  const error = assertThrows(() => defineGraph(spec as never), GenArmError)
  assertEquals(error.reason, reason)
  for (const part of parts) assert(error.message.includes(part), `${part} in: ${error.message}`)
}

/** The names of a kind, as errors list them. */
const known = (kind: keyof typeof builtins) => builtins[kind].map(({ name }) => name)

const invalid = (...path: (string | number)[]): GenArmReason => ({ _tag: "InvalidGraph", path })

describe("a graph", () => {
  it("fills in what was left out", () => {
    const graph = defineGraph({ base: "./models/base" })
    assertEquals(graph.base, { model: "./models/base" })
    assertEquals(graph.rewards, {})
    assertEquals([graph.sampler.plugin, graph.sampler.options], ["sampling", {}])
    assertEquals(graph.stop, [])
  })

  it("keeps what was given", () => {
    const base = {
      model: "hub:org/name",
      revision: "v1",
      weights: "q4",
      template: "User: {prompt}\nAssistant:",
    } as const
    const graph = defineGraph({
      base,
      rewards: { kind: { reward, weight: -2, template: "chat" } },
      sampler: greedy(),
      stop: ["\n"],
    })
    assertEquals(graph.base, base)
    assertEquals(graph.rewards.kind.weight, -2)
    assertEquals(graph.rewards.kind.template, "chat")
    assertEquals(graph.rewards.kind.reward.options, { model: "m" })
    assertEquals(graph.sampler.plugin, "greedy")
    assertEquals(graph.stop, ["\n"])
  })

  it("is frozen throughout, and leaves what it was made from alone", () => {
    const phasesGiven = [{ weight: 1, tokens: 2 }, { weight: 0 }]
    const spec = {
      base: { model: "b" },
      rewards: { x: { reward, weight: phases({ phases: phasesGiven }) } },
      sampler: sampling({ topK: 3 }),
      stop: ["x"],
    }
    const graph = defineGraph(spec)
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return
      assert(Object.isFrozen(value), JSON.stringify(value))
      Object.values(value).forEach(visit)
    }
    visit(graph)
    spec.base.model = "other"
    spec.stop.push("y")
    phasesGiven[0].weight = 7
    delete (spec.rewards as Record<string, unknown>).x
    assertEquals(graph.base.model, "b")
    assertEquals(graph.stop, ["x"])
    assertEquals(
      graph.rewards.x.weight,
      phases({ phases: [{ weight: 1, tokens: 2 }, { weight: 0 }] }),
    )
  })

  it("refuses what is no spec", () => {
    for (const spec of [undefined, null, "x", 7, [], () => {}]) refuse(spec, invalid())
  })

  it("refuses unknown keys, at every level", () => {
    refuse({ base: "b", reward: {} }, invalid("reward"), "base, rewards, sampler, strategy, stop")
    refuse({ base: { model: "b", wieghts: "q4" } }, invalid("base", "wieghts"))
    refuse(one({ reward, weight: 1, temperature: 2 }), invalid("rewards", "x", "temperature"))
    refuse(
      one({ reward: { plugin: "arm", options: { model: "m" }, weight: 1 }, weight: 1 }),
      invalid("rewards", "x", "reward", "weight"),
    )
    refuse(
      one({ reward: { plugin: "arm", options: { modle: "m", model: "m" } }, weight: 1 }),
      invalid("rewards", "x", "reward", "options", "modle"),
      'Expected no key but model, revision, weights, adapter (did you mean "model"?)',
    )
    refuse({ base: { model: "b", wieghts: "q4" } }, invalid("base", "wieghts"), '"weights"')
    const weight = { plugin: "phases", options: { phases: [{ wieght: 1 }] } }
    refuse(
      one({ reward, weight }),
      invalid("rewards", "x", "weight", "options", "phases", 0, "wieght"),
      'did you mean "weight"',
    )
    refuse(one({ reward, wieght: 1 }), invalid("rewards", "x", "wieght"), 'did you mean "weight"')
  })

  it("refuses a strategy that goes by a reward which is not there", () => {
    const by = invalid("strategy", "options", "by")
    const strategy = { plugin: "cards", options: { by: "kid", target: 1 } }
    const rewards = { kind: { reward, weight: 1 }, funny: { reward, weight: 1 } }
    refuse({ base: "b", rewards, strategy }, by, 'the reward "kid"', 'did you mean "kind"?')
    refuse({ base: "b", strategy }, by, "the graph has no rewards")
    refuse({ base: "b", strategy: bestOfN() }, by, "goes by the rewards, and the graph has no")
    const twoRoles = defineStrategy({
      name: "twoRoles",
      rewards: () => ({ good: "kind", bad: "cruel" }),
      async *run() {},
    })
    refuse({ base: "b", rewards, strategy: twoRoles() }, invalid("strategy", "options", "bad"))
    for (const options of [{}, { by: "funny" }]) {
      assertEquals(defineGraph({ base: "b", rewards, strategy: bestOfN(options) }).rewards, rewards)
    }
  })

  it("refuses wrong types and missing parts, with the path", () => {
    refuse({}, invalid("base"))
    refuse({ base: "" }, invalid("base"))
    refuse({ base: 7 }, invalid("base"), "found 7")
    refuse({ base: { model: 7 } }, invalid("base", "model"))
    refuse({ base: { model: "b", weights: "q3" } }, invalid("base", "weights"), "q3")
    refuse({ base: "b", rewards: [] }, invalid("rewards"))
    refuse({ base: "b", rewards: { x: 1 } }, invalid("rewards", "x"))
    refuse(one({ weight: 1 }), invalid("rewards", "x", "reward"))
    refuse(one({ reward }), invalid("rewards", "x", "weight"))
    refuse(one({ reward, weight: 1, template: 7 }), invalid("rewards", "x", "template"))
    refuse({ base: "b", sampler: null }, invalid("sampler"), "found null")
    refuse({ base: "b", sampler: "greedy" }, invalid("sampler"), 'found "greedy"')
    refuse({ base: "b", stop: "x" }, invalid("stop"))
    refuse({ base: "b", stop: ["x", ""] }, invalid("stop", 1))
    refuse({ base: "b", stop: [7] }, invalid("stop", 0))
  })

  it("refuses a reward without a weight, and says what is wanted", () =>
    refuse(
      { base: "b", rewards: { x: reward } },
      invalid("rewards", "x"),
      "expected { reward, weight }",
      "alone, at rewards.x",
    ))

  it("refuses weights that are no number and no schedule", () => {
    for (const weight of [NaN, Infinity, -Infinity]) {
      refuse(one({ reward, weight }), invalid("rewards", "x", "weight"), "finite", String(weight))
    }
    refuse(one({ reward, weight: "1" }), invalid("rewards", "x", "weight"), "schedule", '"1"')
    refuse(one({ reward, weight: "1" }), invalid("rewards", "x", "weight"), "a finite weight, or")
    refuse(one({ reward, weight: null }), invalid("rewards", "x", "weight"))
    refuse(one({ reward, weight: () => 1 }), invalid("rewards", "x", "weight"), "a function")
  })

  it("refuses plugins that are unknown, and names those that are known", () => {
    refuse(
      one({ reward: { plugin: "armm", options: { model: "m" } }, weight: 1 }),
      {
        _tag: "UnknownPlugin",
        kind: "reward",
        name: "armm",
        known: known("reward"),
      },
      'there is no reward plugin "armm": did you mean "arm"?, at rewards.x.reward; known are arm,',
    )
    const schedule = { plugin: "wavy", options: {} }
    refuse(
      one({ reward, weight: schedule }),
      { _tag: "UnknownPlugin", kind: "schedule", name: "wavy", known: known("schedule") },
      'there is no schedule plugin "wavy", at rewards.x.weight; known are',
    )
    const sampler = { plugin: "constructor" }
    refuse({ base: "b", sampler }, {
      _tag: "UnknownPlugin",
      kind: "sampler",
      name: "constructor",
      known: known("sampler"),
    })
  })

  it("refuses plugins of another kind, and says which were expected", () => {
    refuse(
      one({ reward: greedy(), weight: 1 }),
      invalid("rewards", "x", "reward"),
      "sampler",
      "arm(",
    )
    refuse(one({ reward, weight: reward }), invalid("rewards", "x", "weight"), "linear(", '"arm"')
    refuse({ base: "b", sampler: linear }, invalid("sampler"), "sampling(", '"linear"')
    // A name is looked for among the plugins of the kind that belongs there.
    refuse({ base: "b", sampler: { plugin: "arm" } }, {
      _tag: "UnknownPlugin",
      kind: "sampler",
      name: "arm",
      known: known("sampler"),
    })
  })

  it("refuses wrong options of plugins that come as data, with the whole path", () => {
    const data = (plugin: string, options?: unknown) =>
      one({ reward: { plugin, ...options !== undefined && { options } }, weight: 1 })
    const at = (...path: (string | number)[]) =>
      invalid("rewards", "x", "reward", "options", ...path)
    refuse(data("arm"), at("model"))
    refuse(data("arm", null), at())
    refuse(data("arm", { model: 7 }), at("model"), "found 7")
    refuse(data("logitBias", { bias: { a: "bann" } }), at("bias", "a"))
    refuse(data("contrast", { expert: "m", amateur: { modle: "x" } }), at("amateur", "modle"))
    refuse(
      { base: "b", sampler: { plugin: "sampling", options: { topP: 1.1 } } },
      invalid("sampler", "options", "topP"),
    )
    const weight = { plugin: "phases", options: { phases: [{ weight: 1 }, { weight: "2" }] } }
    refuse(
      one({ reward, weight }),
      invalid("rewards", "x", "weight", "options", "phases", 1, "weight"),
    )
  })

  it("takes a plugin that was not called for itself without options", () => {
    const flat = defineReward({ name: "flat", open: () => ({ score: (_, out) => out.fill(0) }) })
    const graph = defineGraph({
      base: "b",
      rewards: { x: { reward: flat as never, weight: 1 } },
      sampler: greedy as never,
    })
    assertEquals(graph.rewards.x.reward, flat())
    assertEquals(graph.sampler, greedy())
    refuse(one({ reward: arm, weight: 1 }), invalid("rewards", "x", "reward", "options", "model"))
  })

  it("refuses templates that the prompt has no place in", () => {
    for (const template of ["none", "chat", "{prompt}", "User: {prompt}\nAssistant:"]) {
      assertEquals(defineGraph({ base: { model: "b", template } }).base.template, template)
    }
    refuse({ base: { model: "b", template: "User:" } }, invalid("base", "template"), "{prompt}")
    refuse(
      one({ reward, weight: 1, template: "" }),
      invalid("rewards", "x", "template"),
      "{prompt}",
    )
    refuse(one({ reward, weight: 1, template: "Chat" }), invalid("rewards", "x", "template"))
  })

  it("refuses names of rewards that could not stand in a formula", () => {
    for (const name of ["1x", "", "a b", "a*b", "-a", "_a", "base", "a.b"]) {
      refuse(
        { base: "b", rewards: { [name]: { reward, weight: 1 } } },
        invalid("rewards", name),
        name,
      )
    }
    const fine = ["x", "x1", "x-y", "x_y", "größe", "日本", "constructor", "toString"]
    const rewards = Object.fromEntries(fine.map((name) => [name, { reward, weight: 1 }]))
    assertEquals(Object.keys(defineGraph({ base: "b", rewards }).rewards), fine)
  })

  it("tells all that is wrong at once, the first of it in the path", () => {
    refuse({ base: 7, stop: "x", extra: 1 }, invalid("extra"), "base", "stop", "extra")
  })

  it("refuses what a message could not hold as politely", () => {
    refuse({ base: "b", stop: 10n }, invalid("stop"), "10n")
    refuse({ base: "b", sampler: 10n }, invalid("sampler"), "10n")
    refuse({ base: "b", [Symbol("odd")]: 1 }, invalid("Symbol(odd)"))
    refuse({ base: "b", stop: "x".repeat(1_000) }, invalid("stop"), "...")
  })
})

describe("options of plugins in code", () => {
  const wrong = (make: () => unknown, ...path: (string | number)[]): void => {
    const error = assertThrows(make, GenArmError)
    assertEquals(error.reason, { _tag: "InvalidOption", path })
  }

  it("of sampling must be in range and known", () => {
    for (const temperature of [0, -1, NaN, Infinity]) {
      wrong(() => sampling({ temperature }), "temperature")
    }
    for (const topK of [0, -1, 1.5, NaN]) wrong(() => sampling({ topK }), "topK")
    for (const topP of [0, 1.1, -0.5, NaN]) wrong(() => sampling({ topP }), "topP")
    for (const minP of [-0.1, 1.1, NaN]) wrong(() => sampling({ minP }), "minP")
    wrong(() => sampling({ temperatureConvention: "theirs" } as never), "temperatureConvention")
    wrong(() => sampling({ temp: 1 } as never), "temp")
    wrong(() => sampling("hot" as never))
    const all = {
      temperature: 0.1,
      topK: 1,
      topP: 1,
      minP: 0,
      temperatureConvention: "plain",
    } as const
    assertEquals(sampling(all).options, all)
    assertEquals(sampling({ minP: 1, topP: 1e-9 }).options, { minP: 1, topP: 1e-9 })
  })

  it("of greedy are none", () => {
    wrong(() => (greedy as (options: unknown) => unknown)({ temperature: 1 }), "temperature")
  })

  it("of rewards and schedules must be there and known", () => {
    wrong(() => arm({} as never), "model")
    wrong(() => arm({ weights: "q4" }), "model")
    wrong(() => arm({ model: "" }), "model")
    wrong(() => arm({ adapter: "" }), "adapter")
    wrong(() => arm({ model: "m", weights: "q2" } as never), "weights")
    wrong(() => prompted({ prefix: "" }), "prefix")
    wrong(() => prompted({ prefix: "a", suffix: "b" } as never), "suffix")
    wrong(() => contrast({ expert: "m" } as never), "amateur")
    wrong(() => logitBias({ bias: { a: NaN } }), "bias", "a")
    wrong(() => linear({ from: 0, to: Infinity, tokens: 3 }), "to")
    wrong(() => linear({ from: 0, to: 1, tokens: 0 }), "tokens")
    wrong(() => phases({ phases: [] }), "phases")
    wrong(() => phases({ phases: [{ weight: 1, tokens: 1.5 }] }), "phases", 0, "tokens")
  })
})
