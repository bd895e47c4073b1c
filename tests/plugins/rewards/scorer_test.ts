import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { defineGraph, GenArmError, greedy } from "genarm"
import { describe, it } from "node:test"
import { scorer, type ScorerOptions } from "../../../plugins/rewards/scorer.ts"
import { drive, finish } from "../../decode/_driven.ts"
import { always, letters, open, watch } from "../../decode/_pipelines.ts"
import { markov } from "../strategies/_rules.ts"

const winding = { base: { next: markov(7, 3, letters.length) } }
const vowels = (text: string) => [...text].filter((letter) => "aei".includes(letter)).length

const generate = async (options: ScorerOptions, weight = 0.7) => {
  await using pipeline = await open(watch(winding), {
    rewards: { x: { reward: scorer(options), weight } },
  })
  return await pipeline.generate("a", { maxTokens: 25, seed: 2 })
}

describe("scorer", () => {
  it("adds the score of the text that a token makes, by hand", async () => {
    const models = watch({ base: { vocabulary: ["a", "b", "c"], next: always(0.5, 0.3, 0.2) } })
    const worth: Record<string, number> = { a: 0, b: Math.log(2), c: 1e3, ba: Math.log(3) }
    const reward = scorer({ score: (text) => worth[text] ?? 0, candidates: 2 })
    await using pipeline = await open(models, {
      rewards: { x: { reward, weight: 1 } },
      sampler: greedy(),
    })
    const { text, tokens } = await pipeline.generate("c", { maxTokens: 2 })
    assertEquals(text, "ba")
    // .5 e^0 : .3 e^ln2, and then .5 e^ln3 : .3
    assertAlmostEquals(tokens[0].logprob.guided, Math.log(0.6 / 1.1), 1e-6)
    assertAlmostEquals(tokens[1].logprob.guided, Math.log(1.5 / 1.8), 1e-6)
  })

  it("gives the same text by one and by many, at once and later", async () => {
    const expected = await generate({ score: vowels })
    const others: ScorerOptions[] = [
      { score: (text) => Promise.resolve(vowels(text)) },
      { batch: (texts) => texts.map(vowels) },
      { batch: (texts) => Promise.resolve(Float32Array.from(texts, vowels)) },
    ]
    for (const options of others) {
      assertEquals((await generate(options)).tokens, expected.tokens)
    }
    assert(vowels(expected.text) > vowels((await generate({ score: vowels }, -2)).text))
  })

  it("looks at 20 candidates unless told otherwise", async () => {
    const vocabulary = Array.from({ length: 30 }, (_, id) => String.fromCharCode(0x61 + id))
    for (const [candidates, expected] of [[undefined, 20], [7, 7], [50, 30]] as const) {
      let count = 0
      const models = watch({ base: { vocabulary, next: () => vocabulary.map(() => 1) } })
      const reward = scorer({
        batch: (texts) => texts.map(() => count = texts.length),
        ...candidates !== undefined && { candidates },
      })
      await using pipeline = await open(models, { rewards: { x: { reward, weight: 1 } } })
      await pipeline.generate("a", { maxTokens: 1 })
      assertEquals(count, expected)
    }
  })

  it("asks once a step, and about no text twice", async () => {
    const asked: string[][] = []
    const vocabulary = ["a", "b", "<one>", "<other>"]
    const models = watch({ base: { vocabulary, next: always(4, 3, 2, 1) } })
    const reward = scorer({
      batch: (texts) => {
        asked.push([...texts])
        return texts.map(() => 0)
      },
    })
    const spec = { rewards: { x: { reward, weight: 1 } }, sampler: greedy() }
    await drive(models, async (sequence) => {
      await sequence.step()
      await sequence.step()
      sequence.rewind(2)
      const copy = sequence.fork()
      await copy.step()
      await copy.step()
      await copy.rewards()
      copy.close()
      await finish(sequence)
    }, { spec, maxTokens: 3 })
    // The tokens without text make the text that is there already.
    assertEquals(asked, [["a", "b", ""], ["aa", "ab"], ["aaa", "aab"]])
  })

  it("keeps each sequence's scores to itself", async () => {
    const asked: string[] = []
    const reward = scorer({ score: (text) => asked.push(text) && 0, candidates: 1 })
    await using pipeline = await open(watch({ base: { next: always(1) } }), {
      rewards: { x: { reward, weight: 1 } },
    })
    await pipeline.generate("a", { maxTokens: 2 })
    await pipeline.generate("a", { maxTokens: 2 })
    assertEquals(asked, ["a", "aa", "a", "aa"])
  })

  it("forgets scores that nobody will ask for again", async () => {
    let asked = 0
    const reward = scorer({ score: () => asked++ && 0 })
    const spec = { rewards: { x: { reward, weight: 1 } }, sampler: greedy() }
    const models = watch({ base: { next: markov(7, 3, letters.length) } })
    await drive(models, async (sequence) => {
      for (let step = 0; step < 120; step++) await sequence.step()
      const before = asked
      sequence.rewind(1)
      await sequence.evaluate()
      assertEquals(asked, before)
      sequence.rewind(119)
      await sequence.evaluate()
      assertEquals(asked, before + 10)
    }, { spec, maxTokens: 121 })
  })

  it("sees the prompt where it is told to", async () => {
    const asked: string[] = []
    const reward = scorer({
      score: (text) => asked.push(text) && 0,
      candidates: 1,
      withPrompt: true,
    })
    await using pipeline = await open(watch({ base: { next: always(1), bos: 9 } }), {
      base: { model: "base", template: "ij{prompt}" },
      rewards: { x: { reward, weight: 1 } },
    })
    await pipeline.generate("cab", { maxTokens: 2 })
    assertEquals(asked, ["jijcaba", "jijcabaa"])
  })

  it("scores a text as a whole, whichever its grain", async () => {
    for (const grain of ["candidates", "text"] as const) {
      const asked: string[] = []
      const score = (text: string) => asked.push(text) && 10 * text.length
      const spec = { rewards: { x: { reward: scorer({ score, grain }), weight: 1 } } }
      let totals: unknown
      const { text, tokens } = await drive(watch(winding), async (sequence) => {
        await finish(sequence)
        totals = await sequence.rewards()
      }, { spec, maxTokens: 4 })
      assertEquals(totals, { x: 40 })
      if (grain === "candidates") continue
      assertEquals(asked, [text])
      assertEquals(tokens.map(({ rewards }) => rewards.x), [0, 0, 0, 0])
      assert(tokens.every(({ logprob }) => Math.abs(logprob.guided - logprob.base) < 1e-6))
    }
  })

  it("fails with its name when its function does", async () => {
    const cases: readonly (readonly [ScorerOptions, string])[] = [
      [{ batch: () => [1] }, 'the function of "scorer" gave 1 scores for 10 texts'],
      [{ batch: () => undefined as never }, "gave no scores for 10 texts"],
      [{ score: () => "1" as never }, "gave a score of type string for 10 texts"],
      [{ score: () => NaN }, 'the reward "x" gave NaN for the candidate'],
      [{
        score: () => {
          throw new Error("offline")
        },
      }, 'the plugin "scorer" of "x" failed: offline'],
      [{ score: () => Promise.reject(new Error("offline")) }, "failed: offline"],
      [{ score: () => new Promise(() => {}), timeLimit: 10 }, "within 10 ms"],
    ]
    for (const [options, part] of cases) {
      const error = await assertRejects(() => generate(options), GenArmError, part)
      assert(["PluginFailed", "NonFiniteScores"].includes(error.reason._tag))
    }
  })

  it("asks again after a failure", async () => {
    let isOffline = true
    const reward = scorer({
      score: () => isOffline ? Promise.reject(new Error("offline")) : 0,
    })
    const spec = { rewards: { x: { reward, weight: 1 } } }
    const { ids } = await drive(watch(winding), async (sequence) => {
      await assertRejects(() => sequence.evaluate(), GenArmError, "offline")
      isOffline = false
    }, { spec, maxTokens: 4 })
    assertEquals(ids.length, 4)
  })

  it("refuses options that are no options, and says which", () => {
    const cases: readonly (readonly [unknown, readonly string[], string])[] = [
      [{}, ["score"], "Expected a function, score or batch"],
      [{ score: vowels, batch: () => [] }, ["batch"], "score or batch, not both"],
      [{ score: "length" }, ["score"], "Expected a function"],
      [{ score: vowels, candidates: 0 }, ["candidates"], "candidates"],
      [{ score: vowels, grain: "text", candidates: 3 }, ["candidates"], 'none with grain "text"'],
      [{ score: vowels, grain: "letter" }, ["grain"], "grain"],
      [{ score: vowels, timeLimit: -1 }, ["timeLimit"], "timeLimit"],
      [{ score: vowels, topK: 3 }, ["topK"], "topK"],
    ]
    for (const [options, path, part] of cases) {
      const error = assertThrows(() => scorer(options as never), GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
  })

  it("cannot be saved, and says where it stands", () => {
    const rewards = { mine: { reward: scorer({ score: vowels }), weight: 1 } }
    const graph = defineGraph({ base: "base", rewards })
    assertEquals(String(graph), "base + 1.0*mine")
    const error = assertThrows(() => JSON.stringify(graph), GenArmError, "there is a function")
    assertEquals(error.reason, {
      _tag: "InvalidGraph",
      path: ["rewards", "mine", "reward", "options", "score"],
    })
  })
})
