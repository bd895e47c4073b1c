import { assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"
import { right } from "./_objectives.ts"
import { mutants } from "./_objective_mutants.ts"
import { itFindsWhatIsWrong } from "./_suite_tests.ts"

describe("the suite of an objective", () => {
  itFindsWhatIsWrong("objective", right, mutants)

  it("goes by other examples and another model where the author gives a seed", async () => {
    for (const plugin of Object.values(right)) {
      assertEquals(await failing(plugin, { seed: 2 ** 32 - 1 }), new Map())
    }
  })
})
