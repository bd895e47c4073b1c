import { assert, assertEquals, assertRejects } from "@std/assert"
import { defineReward, GenArmError, greedy } from "genarm"
import type { Candidates } from "genarm/plugin"
import { describe, it } from "node:test"
import { drive, finish } from "./_driven.ts"
import { always, open, openTrained, watch, withTrained } from "./_pipelines.ts"

const models = () => watch({ base: { next: always(4, 3, 2, 1) } })
const turn = () => new Promise((done) => setTimeout(done, 0))

describe("a promise that never settles", () => {
  const never = defineReward({
    name: "never",
    open: () => ({ candidates: 2, scoreCandidates: () => new Promise<number[]>(() => {}) }),
  })

  it("does not keep an aborted text from ending at once", async () => {
    const watched = models()
    await using pipeline = await open(watched, { rewards: { x: { reward: never(), weight: 1 } } })
    const stop = new AbortController()
    const held = pipeline.generate("a", { signal: stop.signal })
    held.catch(() => {})
    await turn()
    await turn()
    stop.abort(new Error("enough"))
    const error = await assertRejects(() => held, GenArmError, "aborted: enough")
    assertEquals(error.reason._tag, "Aborted")
    assertEquals(watched.openCaches(), 0)
  })

  it("does not keep a closed pipeline's texts from ending at once", async () => {
    const pipeline = await open(models(), { rewards: { x: { reward: never(), weight: 1 } } })
    const held = [pipeline.generate("a"), pipeline.score("a", "bc")]
    for (const call of held) call.catch(() => {})
    await turn()
    await turn()
    await pipeline.close()
    for (const call of held) {
      const error = await assertRejects(() => call, GenArmError, "closed")
      assertEquals(error.reason._tag, "Closed")
    }
  })

  it("fails the score of a whole text after the time limit, with the reward's name", async () => {
    const whole = defineReward({
      name: "whole",
      open: () => ({ timeLimit: 10, scoreText: () => new Promise<number>(() => {}) }),
    })
    const spec = { rewards: { mine: { reward: whole(), weight: 1 } } }
    await drive(models(), async (sequence) => {
      await finish(sequence)
      const error = await assertRejects(() => sequence.rewards(), GenArmError, '"mine" (whole)')
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "whole" })
    }, { spec, maxTokens: 2 })
  })
})

describe("the texts of candidates of a trained model", withTrained, () => {
  it("begin with the space that the first token brings", async () => {
    const seen: Candidates[] = []
    const recording = defineReward({
      name: "recording",
      open: () => ({
        candidates: 5,
        scoreCandidates: (given) => (seen.push(given), given.ids.map(() => 0)),
      }),
    })
    await using pipeline = await openTrained({
      rewards: { x: { reward: recording(), weight: 1 } },
      sampler: greedy(),
    })
    const { ids, text } = await pipeline.generate("Once upon a time there was", { maxTokens: 8 })
    assert(text.startsWith(" "))
    assertEquals(seen.map(({ ids }) => ids[0]), ids)
    assertEquals(seen.at(-1)!.texts[0], text)
    for (const { texts } of seen) assert(text.startsWith(texts[0]), texts[0])
  })
})
