import { assertEquals } from "@std/assert"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { right } from "./_objectives.ts"
import { mutants } from "./_objective_mutants.ts"

describe("the suite of an objective", () => {
  for (const [label, plugin] of Object.entries(right)) {
    it(`finds nothing wrong with ${label}`, async () => {
      assertEquals(await failing(plugin), new Map())
    })
  }

  it("goes by other examples and another model where the author gives a seed", async () => {
    for (const plugin of Object.values(right)) {
      assertEquals(await failing(plugin, { seed: 2 ** 32 - 1 }), new Map())
    }
  })

  it("has an objective that fails each of its checks", () => {
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
