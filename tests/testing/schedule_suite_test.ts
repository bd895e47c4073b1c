import { assertEquals } from "@std/assert"
import { tableRuntime } from "genarm/effect"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { mutants } from "./_schedule_mutants.ts"
import { right } from "./_schedules.ts"
import { itFindsWhatIsWrong } from "./_suite_tests.ts"

describe("the suite of a schedule", () => {
  itFindsWhatIsWrong("schedule", right, mutants)

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
})
