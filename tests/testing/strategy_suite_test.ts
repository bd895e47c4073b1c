import { assertEquals } from "@std/assert"
import { tableRuntime } from "genarm/effect"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { right, rightWithModels } from "./_strategies.ts"
import { mutants } from "./_strategy_mutants.ts"
import { itFindsWhatIsWrong } from "./_suite_tests.ts"

describe("the suite of a strategy", () => {
  itFindsWhatIsWrong("strategy", { ...right, ...rightWithModels }, mutants)

  it("runs where the author says", async () => {
    const next = (ids: readonly number[]) => [1 + ids.length % 2, 2, 1, 0.5]
    const coin = { vocabulary: ["h", "t", "e", "<end>"], next, eos: [3], contextLength: 40 }
    const options = { runtime: tableRuntime({ coin }), base: "coin", prompt: "hth", seed: 3 }
    for (const plugin of Object.values(right)) {
      assertEquals(await failing(plugin, options), new Map())
    }
  })
})
