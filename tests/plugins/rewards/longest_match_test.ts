import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import { arm, contrast, crossTokenizer, GenArmError, normalize, scale, sum } from "genarm"
import type { PluginNode } from "genarm/plugin"
import { describe, it } from "node:test"
import { longestMatches } from "../../../plugins/rewards/_longest_match.ts"
import { open, type Table, watch } from "../../decode/_pipelines.ts"
import { markov } from "../strategies/_rules.ts"

/** A reward model of letters, and an end. */
const letters = [..."and "]
const end = letters.length
const lettersOf = (salt: number): Table => ({
  vocabulary: [...letters, "</s>"],
  eos: [end],
  next: markov(salt, 3, end + 1),
})

/** A base of which many tokens begin with others; two of them are one text. */
const words = ["a", "n", "d", " ", "an", "and", " an", " and", "da", "<0x61>", "<end>"]
const base: Table = {
  vocabulary: words,
  eos: [words.indexOf("<end>")],
  next: markov(2, 2, words.length),
}
const textOf = (word: string) => word === "<0x61>" ? "a" : word

const longest = (of: PluginNode<"reward">, candidates = words.length) => ({
  rewards: { x: { reward: crossTokenizer({ of, candidates, longestMatch: true }), weight: 1 } },
})

/**
 * The probability that what a model of letters writes after `before` goes on with each word as the
 * longest of `words`, by writing everything that is as long as the longest of them.
 */
function enumerated(salt: number, before: string, words: readonly string[]): Map<string, number> {
  const rule = markov(salt, 3, end + 1)
  const found = new Map(words.map((word) => [word, 0]))
  const most = Math.max(...words.map((word) => textOf(word).length))
  const visit = (ids: readonly number[], chance: number) => {
    if (ids.length < most && ids.at(-1) !== end) {
      const masses = rule([...[...before].map((letter) => letters.indexOf(letter)), ...ids])
      const total = masses.reduce((a, b) => a + b)
      masses.forEach((mass, id) => visit([...ids, id], chance * mass / total))
      return
    }
    const text = ids[0] === end ? "<end>" : ids.map((id) => letters[id] ?? "").join("")
    const matches = words.filter((word) => text.startsWith(textOf(word)))
    const length = Math.max(...matches.map((word) => textOf(word).length))
    for (const word of matches) {
      if (textOf(word).length === length) found.set(word, found.get(word)! + chance)
    }
  }
  visit([], 1)
  return found
}

describe("crossTokenizer of longest matches", () => {
  it("gives a token the probability that it is the longest that the text goes on with", async () => {
    for (let salt = 1; salt <= 8; salt++) {
      await using pipeline = await open(
        watch({ base, r: lettersOf(salt) }),
        longest(arm({ model: "r" })),
      )
      for (const written of [[], [7], [4, 3]]) {
        const text = "dan" + written.map((id) => words[id]).join("")
        const expected = enumerated(salt, text, words)
        for (const [word, chance] of expected) {
          const { tokens } = await pipeline.score("dan", [...written, words.indexOf(word)])
          assertAlmostEquals(Math.exp(tokens.at(-1)!.rewards.x), chance, 1e-6, `${text}|${word}`)
        }
        const ofAll = [...expected].reduce((sum, [word, p]) => word === "<0x61>" ? sum : sum + p, 0)
        assertAlmostEquals(ofAll, 1, 1e-12)
      }
    }
  })

  it("goes by the candidates of the step alone", async () => {
    const spec = longest(arm({ model: "r" }), 5)
    await using pipeline = await open(watch({ base, r: lettersOf(4) }), spec)
    const { tokens: [{ top }] } = await pipeline.generate("dan", {
      maxTokens: 1,
      trace: { top: words.length },
    })
    assertEquals(top!.length, 5)
    const masses = top!.map(({ id, logprob }) =>
      Math.exp(logprob.base) * enumerated(4, "dan", top!.map(({ id }) => words[id])).get(words[id])!
    )
    const total = masses.reduce((a, b) => a + b)
    top!.forEach(({ logprob }, i) => {
      assertAlmostEquals(Math.exp(logprob.guided), masses[i] / total, 1e-6)
    })
  })

  it("is the same as without where no candidate goes on from another", async () => {
    const single: Table = {
      vocabulary: ["a", "n", "d ", " d", "<end>"],
      eos: [4],
      next: markov(5, 2, 5),
    }
    const texts = []
    for (const longestMatch of [false, true]) {
      const reward = crossTokenizer({ of: arm({ model: "r" }), longestMatch })
      await using pipeline = await open(watch({ base: single, r: lettersOf(6) }), {
        rewards: { x: { reward, weight: 0.8 } },
      })
      texts.push((await pipeline.generate("an", { maxTokens: 20, seed: 2 })).tokens)
    }
    assert(texts[0].length > 1)
    assertEquals(texts[0], texts[1])
  })

  it("leaves a token something where all that the model writes goes on to a longer one", async () => {
    // After an a the model writes n for certain, and the base may still write the a alone.
    const sure: Table = {
      ...lettersOf(1),
      next: (ids) => letters[ids.at(-1)!] === "a" ? [0, 1, 0, 0, 0] : [1, 1, 1, 1, 1],
    }
    await using pipeline = await open(watch({ base, r: sure }), longest(arm({ model: "r" })))
    const { tokens: [{ rewards: { x } }] } = await pipeline.score("dan", [0])
    assert(x < Math.log(0.2) - 10 && x > -20, `${x}`)
  })

  it("rules out what is impossible, and all that goes on from it", async () => {
    const noA: Table = { ...lettersOf(1), next: () => [0, 1, 1, 1, 1] }
    await using pipeline = await open(watch({ base, r: noA }), longest(arm({ model: "r" })))
    const scores: number[] = []
    for (let id = 0; id < words.length; id++) {
      scores.push((await pipeline.score("dn", [id])).rewards.x)
    }
    const possible = words.filter((_, id) => scores[id] > -Infinity)
    assertEquals(possible, ["n", "d", " ", "<end>"])
    for (const score of scores) {
      if (score > -Infinity) assertAlmostEquals(score, Math.log(0.25), 1e-6)
    }
  })

  it("takes any reward that is normalised", async () => {
    const of = normalize({ of: scale({ of: arm({ model: "r" }), by: 2 }), by: "logSoftmax" })
    await using pipeline = await open(watch({ base, r: lettersOf(3) }), longest(of))
    let total = 0
    for (let id = 0; id < words.length; id++) {
      if (words[id] === "<0x61>") continue
      total += Math.exp((await pipeline.score("dan", [id])).rewards.x)
    }
    assertAlmostEquals(total, 1, 1e-5)
  })

  const refused: Record<string, PluginNode<"reward">> = {
    "a contrast": contrast({ expert: "r", amateur: "other" }),
    "a reward that is scaled below 0": scale({ of: arm({ model: "r" }), by: -0.5 }),
    "a fraction of a reward": sum({ of: [scale({ of: arm({ model: "r" }), by: 0.1 })] }),
  }
  for (const [name, of] of Object.entries(refused)) {
    it(`refuses ${name}, which is no log-probability`, async () => {
      const watched = watch({ base, r: lettersOf(1), other: lettersOf(2) })
      const write = async () => {
        await using pipeline = await open(watched, longest(of))
        await pipeline.generate("dan", { maxTokens: 20, seed: 1 })
      }
      const error = await assertRejects(
        write,
        GenArmError,
        `the reward "${of.plugin}" gives the next token add up to`,
      )
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "crossTokenizer" })
      assertEquals(watched.openCaches(), 0)
    })
  }
})

describe("longest matches", () => {
  it("tell 1 2 from 12", () => {
    const totals = [0.5, 0.25, 0.25].map(Math.log)
    assertEquals(longestMatches([[1], [12], [1, 2]], totals).map(Math.exp), [0.25, 0.25, 0.25])
  })

  it("take from a text what goes on from it at once, and no more", () => {
    const texts = [[1], [1, 2, 3], [1, 2], [1, 4], [2], [1, 2, 3, 4, 5]]
    const chances = [16, 4, 8, 2, 3, 1]
    const given = longestMatches(texts, chances.map((chance) => Math.log(chance / 32)))
    const expected = [16 - 8 - 2, 4 - 1, 8 - 4, 2, 3, 1]
    given.forEach((total, i) => assertAlmostEquals(32 * Math.exp(total), expected[i], 1e-12))
  })

  it("allow for rounding", () => {
    const [whole, part] = longestMatches([[1], [1, 2]], [-3, -3 + 1e-6])
    assertAlmostEquals(part, -3 + 1e-6)
    assert(whole < -3 - 13 && Number.isFinite(whole), `${whole}`)
  })
})
