import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import { arm, GenArmError, greedy, sampling } from "genarm"
import { describe, it } from "node:test"
import { always, open, take, watch } from "./_pipelines.ts"

const models = watch({
  base: { next: always(0.2, 0.15, 0.14, 0.13, 0.1, 0.1, 0.08, 0.06, 0.04, 0) },
  good: { next: always(0.02, 0.02, 0.2, 0.1, 0.3, 0.06, 0.06, 0.04, 0.1, 0.1) },
})
const rewards = { good: { reward: arm({ model: "good" }), weight: 1 } }

describe("trace", () => {
  it('"none" saves the guided log-probability and the list of tokens, and changes no token', async () => {
    for (const sampler of [sampling(), sampling({ temperature: 0.7, topK: 5 }), greedy()]) {
      await using pipeline = await open(models, { rewards, sampler })
      const options = { maxTokens: 20, seed: 3 }
      const full = await pipeline.generate("a", options)
      const events = await take(pipeline.stream("a", { ...options, trace: "none" }), 99)
      assertEquals(events.map(({ id }) => id), full.ids)
      events.forEach(({ logprob, rewards, weights, text }, i) => {
        const expected = full.tokens[i]
        assert(Number.isNaN(logprob.guided))
        assertEquals(logprob.base, expected.logprob.base)
        assertEquals(logprob.sampled, expected.logprob.sampled)
        assertEquals([rewards, weights, text], [expected.rewards, expected.weights, expected.text])
      })
      const { tokens, text, ids } = await pipeline.generate("a", { ...options, trace: "none" })
      assertEquals([tokens, text, ids], [[], full.text, full.ids])
    }
  })

  it("{ top } lists the likeliest tokens, best first, of equals the lowest id", async () => {
    await using pipeline = await open(models, { rewards })
    const { tokens } = await pipeline.generate("a", { maxTokens: 9, seed: 1, trace: { top: 3 } })
    for (const { top } of tokens) {
      assertEquals(top!.map(({ id }) => id), [4, 2, 3])
      assertEquals(top!.map(({ text }) => text), ["e", "c", "d"])
    }
    await using alone = await open(models)
    const { tokens: [{ top }] } = await alone.generate("a", { maxTokens: 1, trace: { top: 6 } })
    assertEquals(top!.map(({ id }) => id), [0, 1, 2, 3, 4, 5])
  })

  it("{ top } says of each what is said of a token that is chosen", async () => {
    await using pipeline = await open(models, { rewards })
    const { tokens } = await pipeline.generate("a", { maxTokens: 50, seed: 1, trace: { top: 99 } })
    let total = 0
    for (const { top, id, logprob, rewards, text } of tokens) {
      assertEquals(top!.length, 9) // the tenth is impossible
      const same = top!.find((token) => token.id === id)!
      assertEquals(same, {
        id,
        text,
        logprob: { base: logprob.base, guided: logprob.guided },
        rewards,
      })
      total = top!.reduce((sum, token) => sum + Math.exp(token.logprob.guided), 0)
      assertAlmostEquals(total, 1, 1e-6)
    }
  })

  it("{ top } does not depend on how the sampler cuts", async () => {
    const sampler = sampling({ temperature: 0.5, topK: 1 })
    await using cut = await open(models, { rewards, sampler })
    await using free = await open(models, { rewards })
    const options = { maxTokens: 1, trace: { top: 4 } }
    const [a, b] = [await cut.generate("a", options), await free.generate("a", options)]
    a.tokens[0].top!.forEach((token, i) => {
      const other = b.tokens[0].top![i]
      assertEquals([token.id, token.rewards], [other.id, other.rewards])
      assertAlmostEquals(token.logprob.guided, other.logprob.guided, 1e-6)
    })
    assertEquals(a.tokens[0].logprob.sampled, 0)
  })

  it("records no likeliest tokens unless it is asked to", async () => {
    await using pipeline = await open(models, { rewards })
    const { tokens } = await pipeline.generate("a", { maxTokens: 2, trace: "sampled" })
    for (const token of tokens) assertEquals("top" in token, false)
  })

  it("of another kind is refused", async () => {
    await using pipeline = await open(models, { rewards })
    const wrong = [
      "all",
      true,
      3,
      { top: 0 },
      { top: 1.5 },
      { top: "3" },
      {},
      { top: 3, low: 1 },
      null,
    ]
    for (const trace of wrong) {
      const error = await assertRejects(
        () => pipeline.generate("a", { trace: trace as never }),
        GenArmError,
      )
      assert(error.reason._tag === "InvalidOption" && error.reason.path[0] === "trace")
    }
  })
})
