import { assert, assertEquals, assertThrows } from "@std/assert"
import { Schema } from "effect"
import { arm, contrast, GenArmError, type GraphSpec, greedy, linear, logitBias } from "genarm"
import { phases, prompted, sampling, speculative } from "genarm"
import { defineReward, nodeSchema, withPlugins } from "genarm/plugin"
import { describe, it } from "node:test"
import { mask } from "../../plugins/rewards/mask.ts"
import { normalize } from "../../plugins/rewards/normalize.ts"
import { scale } from "../../plugins/rewards/scale.ts"
import { sum } from "../../plugins/rewards/sum.ts"
import { union } from "../../plugins/rewards/union.ts"
import { graphSchemaOf } from "../../src/graph/graph_schema.ts"
import { invalidPaths } from "./_json_schema.ts"
import { define, names, plugins } from "./_plugins.ts"

const schema = graphSchemaOf(plugins)
const valid = (data: unknown) => invalidPaths(schema, data).length === 0

/** What a file of the graph holds. */
const data = (spec: GraphSpec) => JSON.parse(JSON.stringify(define(spec)))

const calm = prompted({ prefix: "A calm story. " })

/** The graphs of the examples and of the guide, and one with the rest of the plugins. */
const graphs: Record<string, GraphSpec> = {
  "a base alone": { base: "./models/base" },
  "the demo's": {
    base: "examples/models/base",
    rewards: {
      cheerful: { reward: arm({ adapter: "examples/models/cheerful" }), weight: 1 },
      dialogue: { reward: arm({ adapter: "examples/models/dialogue" }), weight: 1 },
    },
    sampler: sampling({ temperature: 0.7 }),
  },
  "the guided story's": {
    base: { model: "hub:org/base", revision: "v1", weights: "q4", template: "chat" },
    rewards: {
      mood: {
        reward: contrast({ expert: { prefix: "Happy. " }, amateur: { prefix: "Sad. " } }),
        weight: phases({ phases: [{ weight: -5, tokens: 30 }, { weight: 5 }] }),
        template: "none",
      },
    },
    sampler: sampling({ temperature: 0.8, topP: 0.95 }),
  },
  "one with the algebra": {
    base: "b",
    rewards: {
      "max(calm, kind)": { reward: union({ of: [calm, arm({ model: "kind" })] }), weight: 2 },
      deep: {
        reward: mask({
          of: sum({ of: [scale({ of: calm, by: -1 }), normalize({ of: calm, by: "zScore" })] }),
          where: { of: contrast({ expert: "e", amateur: "a", plausible: true }), top: 40 },
          otherwise: "ban",
        }),
        weight: linear({ from: 0, to: 1, tokens: 40 }),
      },
      bias: { reward: logitBias({ bias: { "!": -2, "42": "ban" } }), weight: 1 },
    },
    sampler: greedy(),
    strategy: speculative({ draft: { model: "small" }, most: 4 }),
    stop: ["\n"],
  },
}

describe("the JSON Schema of graphs", () => {
  for (const [name, spec] of Object.entries(graphs)) {
    it(`takes ${name}`, () => assertEquals(invalidPaths(schema, data(spec)), []))
  }

  it("takes what files hold beside", () => {
    assert(valid({
      $schema: "./graph.schema.json",
      plugins: ["./mine.ts"],
      base: "b",
      formula: "base + 2*a",
      rewards: {
        a: { plugin: "arm", options: { model: "a" } },
        c: { reward: { plugin: "arm", options: { model: "c" } }, template: "chat" },
      },
    }))
  })

  it("refuses what the program refuses", () => {
    const x = (reward: unknown, weight: unknown = 1) => ({
      base: "b",
      rewards: { x: { reward, weight } },
    })
    const arm = { plugin: "arm", options: { model: "m" } }
    const wrong: readonly unknown[] = [
      ...[7, null, [], {}, { base: "" }, { base: 7 }, { base: { model: "b", weights: "q3" } }],
      ...[{ base: "b", reward: {} }, { base: "b", rewards: [] }, { base: "b", rewards: { x: 1 } }],
      ...[{ base: "b", rewards: { x: arm } }, { base: "b", rewards: { x: { reward: arm } } }],
      ...[{ base: "b", rewards: { x: { weight: 1 } } }, { base: "b", stop: [""] }],
      ...[
        x({ plugin: "armm", options: { model: "m" } }),
        x({ plugin: "arm", options: { modle: "m" } }),
      ],
      ...[x({ ...arm, weight: 1 }), x({ plugin: "arm", options: { model: 7 } }), x("arm")],
      ...[
        x({ plugin: "prompted" }),
        x({ plugin: "prompted", options: {} }),
        x(arm, "1"),
        x(arm, null),
      ],
      ...[
        x(arm, { plugin: "arm", options: { model: "m" } }),
        x(arm, { plugin: "linear", options: {} }),
      ],
      ...[
        x({ plugin: "union", options: { of: [] } }),
        x({ plugin: "union", options: { of: arm } }),
      ],
      x({ plugin: "union", options: { of: [{ plugin: "scale", options: { of: arm } }] } }),
      x({ plugin: "union", options: { of: [{ plugin: "greedy" }] } }),
      { base: "b", sampler: { plugin: "sampling", options: { topP: 1.1 } } },
      { base: "b", sampler: { plugin: "greedy", options: { temperature: 1 } } },
      { base: "b", sampler: "greedy" },
      { base: "b", strategy: { plugin: "speculative", options: { draft: "look up" } } },
    ]
    for (const spec of wrong) {
      assert(!valid(spec), JSON.stringify(spec))
      assertThrows(() => define(spec as never), GenArmError)
    }
    assert(!valid({ base: "b", formula: "base + x", rewards: { x: { reward: arm, weight: 1 } } }))
  })

  it("tells the place", () => {
    assertEquals(invalidPaths(schema, { base: "b", stop: ["a", 7], smapler: {} }), [
      ".smapler",
      ".stop[1]",
    ])
  })

  it("knows every plugin of the registry, with those of one's own", () => {
    const known = (schema: ReturnType<typeof graphSchemaOf>, definition: string) => {
      const { anyOf } = (schema.$defs as Record<string, { anyOf: object[] }>)[definition]
      return anyOf.map((node) =>
        (node as { properties: { plugin: { const: string } } }).properties.plugin.const
      )
    }
    assertEquals(known(schema, "RewardPlugin"), names("reward"))
    assertEquals(known(schema, "SchedulePlugin"), names("schedule"))
    assertEquals(known(schema, "SamplerPlugin"), names("sampler"))
    assertEquals(known(schema, "StrategyPlugin"), names("strategy"))
    const mine = defineReward({
      name: "mine",
      options: Schema.Struct({ of: nodeSchema("reward"), by: nodeSchema("schedule") }),
      open: () => ({ score: (_, out) => out.fill(0) }),
    })
    const more = graphSchemaOf(withPlugins(plugins, [mine]))
    const node = (options: object) => ({
      base: "b",
      rewards: { x: { reward: { plugin: "mine", options }, weight: 1 } },
    })
    const inner = node({ of: node, by: node })
    const fade = { plugin: "linear", options: { from: 0, to: 1, tokens: 2 } }
    const arm = { plugin: "arm", options: { model: "m" } }
    assertEquals(invalidPaths(more, node({ of: arm, by: fade })), [])
    assert(invalidPaths(more, node({ of: fade, by: arm })).length > 0)
    assert(invalidPaths(more, inner).length > 0)
    assert(!valid(node({ of: arm, by: fade })))
  })

  it("is plain data", () => {
    assertEquals(JSON.parse(JSON.stringify(schema)), schema)
  })
})
