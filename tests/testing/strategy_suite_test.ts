import { assertEquals } from "@std/assert"
import { tableRuntime } from "genarm/effect"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { right, rightWithModels } from "./_strategies.ts"
import { mutants } from "./_strategy_mutants.ts"

describe("the suite of a strategy", () => {
  for (const [label, plugin] of Object.entries({ ...right, ...rightWithModels })) {
    it(`finds nothing wrong with ${label}`, async () => {
      assertEquals(await failing(plugin), new Map())
    })
  }

  it("runs where the author says", async () => {
    const next = (ids: readonly number[]) => [1 + ids.length % 2, 2, 1, 0.5]
    const coin = { vocabulary: ["h", "t", "e", "<end>"], next, eos: [3], contextLength: 40 }
    const options = { runtime: tableRuntime({ coin }), base: "coin", prompt: "hth", seed: 3 }
    for (const plugin of Object.values(right)) {
      assertEquals(await failing(plugin, options), new Map())
    }
  })

  it("has a strategy that fails each of its checks", () => {
    const names = conformance(Object.values(right)[0]).map(({ name }) => name)
    assertEquals(Object.keys(mutants).sort(), [...names].sort())
  })

  for (const [check, plugins] of Object.entries(mutants)) {
    describe(`with "${check}"`, () => {
      for (const [fault, plugin] of Object.entries(plugins)) {
        it(`finds one that ${fault}, and nothing else`, async () => {
          const found = await failing(plugin)
          assertEquals([...found.keys()], [check], [...found.values()].join("\n"))
        })
      }
    })
  }
})
