import { assert, assertEquals, assertNotEquals } from "@std/assert"
import { arm, type GraphSpec, sampling, speculative, type SpeculativeOptions } from "genarm"
import { describe, it } from "node:test"
import { letters, open, watch } from "../../decode/_pipelines.ts"
import { markov, mostly, product } from "./_rules.ts"

const size = letters.length
const [base, kind] = [markov(31, 2, size), markov(32, 2, size)]
const models = () =>
  watch({
    base: { next: base },
    kind: { next: kind },
    fair: { next: mostly(product([base, 1], [kind, 1]), markov(33, 1, size), 3) },
  })

const spec = (options: SpeculativeOptions): Partial<GraphSpec> => ({
  rewards: { kind: { reward: arm({ model: "kind" }), weight: 1 } },
  sampler: sampling({ topP: 0.95 }),
  strategy: speculative(options),
})

const drafts: Record<string, SpeculativeOptions> = {
  "the text itself": { draft: "lookup" },
  "a fair model": { draft: { model: "fair" } },
  "the reward's model in turns": { draft: { model: "kind" }, alternate: true },
}

/** Texts that are written down, so that every machine is held to them. */
const golden: Record<string, string> = {
  "the text itself": "egfgidcegajcfhcedaaehgafeffdbbhdhggeadic",
  "a fair model": "ifeaiiagdhcdbbhfaafeiedcggfhjcfghcibafaa",
  "the reward's model in turns": "ghfbddedfidfbhffjjgfcfdgibfiefagbgbceifa",
}

const request = { seed: 7, maxTokens: 40 }

describe("a seed of a speculative text", () => {
  for (const [name, options] of Object.entries(drafts)) {
    it(`gives the same text on every machine, drafted by ${name}`, async () => {
      await using pipeline = await open(models(), spec(options))
      assertEquals((await pipeline.generate("abcabdabe", request)).text, golden[name])
    })

    it(`gives the same text alone, again, and among others, drafted by ${name}`, async () => {
      await using pipeline = await open(models(), spec(options))
      const seeds = [0, 1, 2, 3, 4, 5]
      const alone = []
      for (const seed of seeds) alone.push(await pipeline.generate("abcab", { ...request, seed }))
      await using another = await open(models(), spec(options))
      const all = await another.generateAll(["abcab"], { ...request, seed: 0, n: 6 })
      assertEquals(all, alone)
      assertEquals(new Set(all.map(({ text }) => text)).size, 6)
    })
  }

  it("that is not given is drawn, told, and gives the text again", async () => {
    await using pipeline = await open(models(), spec(drafts["a fair model"]))
    const [one, other] = [await pipeline.generate("abc"), await pipeline.generate("abc")]
    assertNotEquals(one.seed, other.seed)
    assertEquals(await pipeline.generate("abc", { seed: one.seed }), one)
  })

  it("gives a longer text that begins with the shorter one, as long as drafts are not cut", async () => {
    await using pipeline = await open(models(), spec({ draft: { model: "fair" }, most: 2 }))
    const whole = await pipeline.generate("abc", { seed: 1, maxTokens: 60 })
    for (const maxTokens of [10, 30]) {
      const { ids } = await pipeline.generate("abc", { seed: 1, maxTokens })
      assertEquals(ids.slice(0, -3), whole.ids.slice(0, maxTokens - 3))
    }
  })
})

describe("the log-probabilities of a speculative text", () => {
  it("are those of the guided distribution, and `sampled` of the truncated one", async () => {
    for (const options of Object.values(drafts)) {
      await using pipeline = await open(models(), spec(options))
      const { ids, tokens } = await pipeline.generate("abcab", { ...request, trace: { top: 10 } })
      const score = await pipeline.score("abcab", ids)
      tokens.forEach(({ id, logprob, top }, at) => {
        assert(Math.abs(logprob.base - score.tokens[at].logprob.base) < 1e-12)
        assert(Math.abs(logprob.guided - score.tokens[at].logprob.guided) < 1e-5)
        // The likeliest tokens that together have 0.95.
        let kept = 0
        for (const token of top!) {
          if (kept >= 0.95) break
          kept += Math.exp(token.logprob.guided)
        }
        const expected = Math.exp(logprob.guided) / kept
        assert(Math.abs(Math.exp(logprob.sampled) - expected) < 1e-5, `id ${id} at ${at}`)
      })
    }
  })
})
