import { assertEquals } from "@std/assert"
import { tableRuntime } from "genarm/effect"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { mutants } from "./_schedule_mutants.ts"
import { right } from "./_schedules.ts"

describe("the suite of a schedule", () => {
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
    const check = "gives a finite weight at each step"
    const found = await failing(mutants[check]["gives NaN after some tokens"])
    assertEquals(
      found.get(check),
      '"mutant" gave the weight NaN at token 10: give a finite number, at most 3.4e38 as float32 has it; ' +
        "0 leaves the reward out",
    )
  })

  it("has a schedule that fails each of its checks", () => {
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
