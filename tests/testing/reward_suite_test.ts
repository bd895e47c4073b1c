import { describe } from "node:test"
import { mutants } from "./_reward_mutants.ts"
import { right } from "./_rewards.ts"
import { itFindsWhatIsWrong } from "./_suite_tests.ts"

describe("the suite of a reward", () => {
  itFindsWhatIsWrong("reward", right, mutants)
})
