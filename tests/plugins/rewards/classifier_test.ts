import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import type { TextClassificationPipeline } from "@huggingface/transformers"
import { defineGraph, GenArmError, greedy } from "genarm"
import { describe, it } from "node:test"
import {
  classifier,
  type ClassifierOptions,
  type ClassifyTexts,
  type LabelScores,
} from "../../../plugins/rewards/classifier.ts"
import { drive, finish } from "../../decode/_driven.ts"
import { always, open, watch } from "../../decode/_pipelines.ts"

const three = { vocabulary: ["a", "b", "c"], next: always(0.5, 0.3, 0.2) }

/** `P(good | text)`: what is known of texts that end in each letter. */
const good: Record<string, number> = { a: 0.1, b: 0.4, c: 0.8 }
const ofGood = (text: string) => good[text.at(-1) ?? "a"]

/** The probabilities of the next token after "a", by id. */
async function chances(options: ClassifierOptions, weight = 1): Promise<number[]> {
  await using pipeline = await open(watch({ base: three }), {
    rewards: { x: { reward: classifier(options), weight } },
  })
  const { tokens: [{ top }] } = await pipeline.generate("a", { maxTokens: 1, trace: { top: 3 } })
  const found = new Map(top!.map(({ id, logprob }) => [id, Math.exp(logprob.guided)]))
  return three.vocabulary.map((_, id) => found.get(id) ?? 0)
}

function assertChances(found: readonly number[], expected: readonly number[]): void {
  found.forEach((chance, id) => assertAlmostEquals(chance, expected[id], 1e-6))
}

/** As `TextClassificationPipeline` of transformers.js 4 answers: the likeliest first. */
const pipelined = (options: { readonly top_k?: number | null } = {}) => {
  const { top_k = 1 } = options
  return (texts: readonly string[]) =>
    Promise.resolve(texts.map((text) => {
      const labels = [
        { label: "POSITIVE", score: ofGood(text) },
        { label: "NEGATIVE", score: 1 - ofGood(text) },
      ].sort((a, b) => b.score - a.score)
      return top_k === 1 ? labels[0] : labels
    }) as LabelScores[])
}

describe("classifier", () => {
  it("gives Bayes' rule with weight 1: P(v | good) is P(v) P(good | v) / P(good)", async () => {
    const classify: ClassifyTexts = (texts) =>
      texts.map((text) => ({ good: ofGood(text), bad: 1 - ofGood(text) }))
    // .5 * .1 : .3 * .4 : .2 * .8
    assertChances(await chances({ classify, label: "good" }), [5 / 33, 12 / 33, 16 / 33])
    // .5 * .9 : .3 * .6 : .2 * .2
    assertChances(await chances({ classify, label: "bad" }), [45 / 67, 18 / 67, 4 / 67])
    // .5 * .1^2 : .3 * .4^2 : .2 * .8^2
    assertChances(await chances({ classify, label: "good" }, 2), [5 / 181, 48 / 181, 128 / 181])
    // Among the two likeliest alone.
    assertChances(await chances({ classify, label: "good", candidates: 2 }), [5 / 17, 12 / 17, 0])
  })

  it("conditions the text on the label where the classifier knows what is to come", async () => {
    // Texts of two letters, good when both are "b": P(good | prefix) is exact.
    const classify: ClassifyTexts = (texts) =>
      texts.map((text) => ({ good: text === "b" ? 0.3 : text === "bb" ? 1 : 0 }))
    await using pipeline = await open(watch({ base: three }), {
      rewards: { x: { reward: classifier({ classify, label: "good" }), weight: 1 } },
    })
    const { guided, base, rewards, tokens } = await pipeline.score("a", "bb")
    assertAlmostEquals(Math.exp(guided), 1, 1e-6)
    assertAlmostEquals(Math.exp(base), 0.09, 1e-6)
    tokens.forEach(({ rewards }, i) => assertAlmostEquals(rewards.x, Math.log([0.3, 1][i]), 1e-6))
    assertEquals(rewards.x, 0, "of the whole text, which is good")
  })

  it("takes a text-classification pipeline of transformers.js as it is", async () => {
    const asked: unknown[] = []
    const classify: ClassifyTexts = (texts, options) => {
      asked.push([Array.isArray(texts), options])
      return pipelined(options)(texts)
    }
    const found = await chances({ classify, label: "POSITIVE" })
    assertChances(found, [5 / 33, 12 / 33, 16 / 33])
    assertEquals(asked, [[true, { top_k: null }]])
    const typed = (pipeline: TextClassificationPipeline): ClassifyTexts => pipeline
    assert(typeof typed === "function", "a matter of types")
  })

  it("says that it needs all labels when it is given the likeliest only", async () => {
    const classify: ClassifyTexts = (texts) => pipelined()(texts)
    const error = await assertRejects(
      () => chances({ classify, label: "POSITIVE" }),
      GenArmError,
      "one label only, the likeliest for a text: expected the probabilities of all labels, of which " +
        'one is "POSITIVE"',
    )
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "classifier" })
  })

  it("leaves a choice where a probability has underflown", async () => {
    const classify: ClassifyTexts = (texts) => texts.map(() => ({ good: 0 }))
    assertChances(await chances({ classify, label: "good" }), [0.5, 0.3, 0.2])
    const rounded: ClassifyTexts = (texts) => texts.map(() => ({ good: 1.000001 }))
    assertChances(await chances({ classify: rounded, label: "good" }), [0.5, 0.3, 0.2])
  })

  it("judges a whole text by itself, and sees the prompt where it is told to", async () => {
    const asked: string[][] = []
    const classify: ClassifyTexts = (texts) => {
      asked.push([...texts])
      return texts.map((text) => ({ good: ofGood(text) }))
    }
    const reward = classifier({ classify, label: "good", withPrompt: true, candidates: 1 })
    const spec = { rewards: { x: { reward, weight: 1 } }, sampler: greedy() }
    let totals: Record<string, number> = {}
    await drive(watch({ base: three }), async (sequence) => {
      await finish(sequence)
      totals = await sequence.rewards()
    }, { spec, prompt: "cb", maxTokens: 2 })
    assertEquals(asked, [["cba"], ["cbaa"]])
    assertAlmostEquals(totals.x, Math.log(0.1), 1e-12)
  })

  it("classifies 200 candidates unless told otherwise", async () => {
    const vocabulary = Array.from({ length: 300 }, (_, id) => String.fromCharCode(0x4e00 + id))
    let count = 0
    const classify: ClassifyTexts = (texts) =>
      texts.map(() => ({ good: (count = texts.length) / 400 }))
    await using pipeline = await open(
      watch({ base: { vocabulary, next: () => vocabulary.map(() => 1) } }),
      { rewards: { x: { reward: classifier({ classify, label: "good" }), weight: 1 } } },
    )
    await pipeline.generate(vocabulary[0], { maxTokens: 1 })
    assertEquals(count, 200)
  })

  it("fails, and says how, where a classifier gives something else", async () => {
    const cases: readonly (readonly [ClassifyTexts, string])[] = [
      [(texts) => texts.map(() => ({ happy: 1, sad: 0 })), "gave happy, sad for a text"],
      [(texts) => texts.map(() => [{ label: "happy", score: 1 }]), "gave happy for a text"],
      [(texts) => texts.map(() => []), "gave none for a text"],
      [(texts) => texts.map(() => undefined as never), "gave undefined for a text"],
      [(texts) => texts.map(() => ({ good: 3.5 })), 'gave 3.5 for "good": expected a probability'],
      [(texts) => texts.map(() => ({ good: -0.1 })), 'gave -0.1 for "good"'],
      [(texts) => texts.map(() => ({ good: NaN })), 'gave NaN for "good"'],
      [() => [{ good: 1 }], 'the function of "classifier" gave 1 scores for 3 texts'],
      [() => undefined as never, "gave 0 scores for 3 texts"],
      [
        () => Promise.reject(new Error("offline")),
        'the plugin "classifier" of "x" failed: offline',
      ],
    ]
    for (const [classify, part] of cases) {
      const error = await assertRejects(
        () => chances({ classify, label: "good" }),
        GenArmError,
        part,
      )
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "classifier" })
    }
  })

  it("refuses what is no classifier, and cannot be saved", () => {
    const classify: ClassifyTexts = () => []
    for (
      const [options, path] of [
        [{ label: "good" }, ["classify"]],
        [{ classify: "distilbert", label: "good" }, ["classify"]],
        [{ classify }, ["label"]],
        [{ classify, label: "" }, ["label"]],
        [{ classify, label: "good", candidates: -1 }, ["candidates"]],
      ] as const
    ) {
      const error = assertThrows(() => classifier(options as never), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    const rewards = { x: { reward: classifier({ classify, label: "good" }), weight: 1 } }
    const graph = defineGraph({ base: "base", rewards })
    const error = assertThrows(() => JSON.stringify(graph), GenArmError, "there is a function")
    const path = ["rewards", "x", "reward", "options", "classify"]
    assertEquals(error.reason, { _tag: "InvalidGraph", path })
  })
})
