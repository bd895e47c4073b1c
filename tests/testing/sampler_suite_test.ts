import { assertEquals } from "@std/assert"
import { tableRuntime } from "genarm/effect"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { mutants } from "./_sampler_mutants.ts"
import { right } from "./_samplers.ts"

describe("the suite of a sampler", () => {
  for (const [label, plugin] of Object.entries(right)) {
    it(`finds nothing wrong with ${label}`, async () => {
      assertEquals(await failing(plugin), new Map())
    })
  }

  it("runs where the author says", async () => {
    const runtime = tableRuntime({ coin: { vocabulary: ["h", "t"], next: () => [0.4, 0.6] } })
    const options = { runtime, base: "coin", prompt: "hth", seed: 3 }
    for (const plugin of Object.values(right)) {
      assertEquals(await failing(plugin, options), new Map())
    }
  })

  it("says what is wrong, where, and what to do", async () => {
    const check = "chooses an id that is possible, at each step"
    const found = await failing(mutants[check]["chooses no id"])
    assertEquals(
      found.get(check)?.replace(/to \d+/, "to the last"),
      '"mutant" chose -1 at token 0, which is no id: choose an id from 0 to the last whose score is ' +
        "above -Infinity",
    )
  })

  it("has a sampler that fails each of its checks", () => {
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
