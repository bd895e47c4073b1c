import { assert, assertEquals } from "@std/assert"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import type { Engine } from "../../src/engine/engine.ts"
import { argmax } from "../../src/math/argmax.ts"
import { largestDifference } from "../_fixtures.ts"
import { noTrained, open, openBeside, trained } from "./_engines.ts"

/** What was computed beside the model, in float32 by NumPy. */
interface Case {
  readonly prompt: string
  readonly tokens: readonly number[]
  readonly sequence_logprob: number
  readonly next_top8: readonly (readonly [id: number, logProb: number])[]
  readonly greedy_40: readonly number[]
}

const cases: readonly Case[] = noTrained
  ? []
  : JSON.parse(readFileSync(join(trained, "expected.json"), "utf8")).cases

async function withEngine(
  openAny: (folder: string) => Promise<Engine>,
  body: (engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await openAny(trained)
  try {
    await body(engine)
  } finally {
    await engine.close()
  }
}

describe("trained weights", { skip: noTrained }, () => {
  for (const [where, openAny] of [["in this thread", open], ["in a worker", openBeside]] as const) {
    it(`give the published log-probabilities and greedy texts ${where}`, () =>
      withEngine(openAny, async (engine) => {
        for (const { tokens, sequence_logprob, next_top8, greedy_40 } of cases) {
          const cache = engine.openCache()
          const [all] = await engine.forward([{ cache, tokens, want: "all" }])
          const size = engine.vocabularySize
          let sum = 0
          for (let i = 1; i < tokens.length; i++) sum += all[(i - 1) * size + tokens[i]]
          assert(Math.abs(sum - sequence_logprob) < 1e-4 * tokens.length, `${sum}`)
          let last = all.subarray((tokens.length - 1) * size)
          for (const [id, logProb] of next_top8) {
            assert(Math.abs(last[id] - logProb) < 1e-4, `${id}: ${last[id]}, expected ${logProb}`)
          }
          const greedy: number[] = []
          while (greedy.length < greedy_40.length) {
            const id = argmax(last)
            greedy.push(id)
            last = (await engine.forward([{ cache, tokens: [id], want: "last" }]))[0]
          }
          assertEquals(greedy, [...greedy_40])
          cache.close()
        }
      }))
  }

  it("give a real text the same within 2e-5 at once and token by token", () =>
    withEngine(open, async (engine) => {
      for (const { tokens, greedy_40 } of cases) {
        const ids = [...tokens, ...greedy_40]
        const whole = engine.openCache()
        const [all] = await engine.forward([{ cache: whole, tokens: ids, want: "all" }])
        const cache = engine.openCache()
        for (const [at, id] of ids.entries()) {
          const [row] = await engine.forward([{ cache, tokens: [id], want: "last" }])
          const size = engine.vocabularySize
          const expected = all.subarray(at * size, (at + 1) * size)
          const worst = largestDifference(row, expected)
          assert(worst <= 2e-5, `position ${at} is ${worst} off`) // measured: 1.1e-5
        }
      }
    }))
})
