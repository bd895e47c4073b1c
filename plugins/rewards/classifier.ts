/** @module A text classifier as a reward: the log-probability of a label. */
import { Schema } from "effect"
import { defineReward, GenArmError, type RewardPlugin } from "genarm/plugin"
import {
  count,
  functionSchema,
  openTextReward,
  type ScoreTexts,
  textRewardFields,
  type TextRewardOptions,
} from "./_text_scores.ts"

/** A label and its probability, as pipelines of transformers.js give them. */
export interface LabelScore {
  /** The name of the label. */
  readonly label: string
  /** Its probability, 0 to 1. */
  readonly score: number
}

/** The probabilities of a text's labels: by name, or as a list. */
export type LabelScores = Readonly<Record<string, number>> | readonly LabelScore[]

/**
 * Classifies texts: the probabilities of the labels of each, in their order. The second argument asks
 * for those of all labels; it is what a `text-classification` pipeline needs, and others may ignore it.
 */
export type ClassifyTexts = (
  texts: string[],
  options: { readonly top_k: null },
) => readonly LabelScores[] | Promise<readonly LabelScores[]>

/** Options of `classifier`. */
export interface ClassifierOptions extends TextRewardOptions {
  /** The classifier: a function, or a pipeline of transformers.js as it is. */
  readonly classify: ClassifyTexts
  /** The label that is wanted, as the classifier calls it. */
  readonly label: string
  /**
   * How many of the likeliest tokens are classified, and all others ruled out; where absent the 200 of
   * FUDGE, whose classifiers are small. A large one needs fewer.
   */
  readonly candidates?: number
}

/** `precondition_topk` of `yangkevin2/naacl-2021-fudge-controlled-generation`. */
const published = 200

/** What a probability that underflows to 0 counts as: a sure classifier would rule out every token. */
const least = 2 ** -149 // of float32

/** What rounding in float32 may leave a probability above 1. */
const rounding = 1e-5

/**
 * `log P(label | text)` by a text classifier: what `P(text | label)` is by Bayes' rule, token by token,
 * so that with weight 1 text is written as if the base had been conditioned on the label
 * (FUDGE, https://arxiv.org/abs/2104.05218, equation 2; its `condition_lambda` is the weight).
 *
 * A classifier of transformers.js is handed in as it is:
 *
 * ```text
 * import { pipeline } from "@huggingface/transformers"
 *
 * const mood = await pipeline("text-classification", "Xenova/distilbert-base-uncased-finetuned-sst-2-english")
 * const happy = classifier({ classify: mood, label: "POSITIVE", candidates: 20 })
 * ```
 *
 * @throws {GenArmError} While text is written, `PluginFailed`: when the classifier throws, gives no
 * probability of the label, or takes longer than `timeLimit`.
 *
 * @example
 * ```ts
 * import { classifier, defineGraph } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const classify = (texts: readonly string[]) =>
 *   texts.map((text) => text.includes("!") ? { loud: 0.9, calm: 0.1 } : { loud: 0.2, calm: 0.8 })
 * const calm = classifier({ classify, label: "calm" })
 * const graph = defineGraph({ base: "./models/base", rewards: { calm: { reward: calm, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*calm")
 * ```
 */
export const classifier: RewardPlugin<ClassifierOptions> = defineReward({
  name: "classifier",
  options: Schema.Struct({
    ...textRewardFields,
    classify: functionSchema<ClassifyTexts>(),
    label: Schema.NonEmptyString,
    candidates: Schema.optionalKey(count),
  }),
  open: ({ classify, label, candidates = published, ...options }, sequence) =>
    openTextReward({
      plugin: "classifier",
      ask: logProbabilities(classify, label),
      candidates,
      options,
    }, sequence),
})

function logProbabilities(classify: ClassifyTexts, label: string): ScoreTexts {
  return async (texts) => {
    const classified = await classify([...texts], { top_k: null })
    return Array.from(classified ?? [], (labels) => {
      const probability = probabilityOf(labels, label)
      return Math.log(Math.min(1, Math.max(least, probability)))
    })
  }
}

function probabilityOf(labels: LabelScores | undefined, label: string): number {
  if (typeof labels !== "object" || labels === null) throw refused(label, String(labels))
  if (!Array.isArray(labels) && typeof (labels as { label?: unknown }).label === "string") {
    throw refused(label, "one label only, the likeliest")
  }
  const named = Array.isArray(labels)
    ? (labels as readonly LabelScore[]).map(({ label, score }) => [label, score] as const)
    : Object.entries(labels as Readonly<Record<string, number>>)
  const found = named.find(([name]) => name === label)
  if (found === undefined) throw refused(label, named.map(([name]) => name).join(", ") || "none")
  const [, probability] = found
  if (probability >= 0 && probability <= 1 + rounding) return probability
  throw new GenArmError(
    { _tag: "PluginFailed", plugin: "classifier" },
    `the classifier gave ${probability} for "${label}": expected a probability, 0 to 1`,
  )
}

function refused(label: string, found: string): GenArmError {
  return new GenArmError(
    { _tag: "PluginFailed", plugin: "classifier" },
    `the classifier gave ${found} for a text: expected the probabilities of all labels, of which ` +
      `one is "${label}"`,
  )
}
