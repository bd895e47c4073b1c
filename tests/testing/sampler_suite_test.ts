import { assertEquals } from "@std/assert"
import { tableRuntime } from "genarm/effect"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { mutants } from "./_sampler_mutants.ts"
import { right } from "./_samplers.ts"
import { itFindsWhatIsWrong } from "./_suite_tests.ts"

describe("the suite of a sampler", () => {
  itFindsWhatIsWrong("sampler", right, mutants)

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
})
