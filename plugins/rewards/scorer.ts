/** @module Any function of text, as a reward. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"
import {
  count,
  inBatches,
  isOneFunction,
  openTextReward,
  type TextFunction,
  textFunctionFields,
  textRewardFields,
  type TextRewardOptions,
} from "./_text_scores.ts"

export type { ScoreText, ScoreTexts, TextFunction, TextRewardOptions } from "./_text_scores.ts"

/** Options of `scorer`. */
export type ScorerOptions = TextFunction & TextRewardOptions & {
  /**
   * `"candidates"`, the default: the likeliest next tokens of each step are scored, each by the text
   * that it would make. `"text"`: whole texts only, for strategies that choose among them.
   */
  readonly grain?: "candidates" | "text"
  /** How many of the likeliest tokens are scored, 20 where absent; all others are ruled out. */
  readonly candidates?: number
}

const schema = Schema.Struct({
  ...textFunctionFields,
  ...textRewardFields,
  grain: Schema.optionalKey(Schema.Literals(["candidates", "text"])),
  candidates: Schema.optionalKey(count),
}).check(
  Schema.makeFilter(isOneFunction),
  Schema.makeFilter(({ grain, candidates }) =>
    grain !== "text" || candidates === undefined ||
    { path: ["candidates"], issue: 'Expected none with grain "text"' }
  ),
)

/**
 * Any function of a text as a reward: a length, a regular expression, a service that grades. The token
 * `v` is worth `score(text + v)`, in natural-log units before the weight; only the likeliest tokens of a
 * step are asked about. A text is asked about once, so that the function must give the same number
 * whenever it is asked. Its reward of a whole text is the score of that text, no sum over tokens.
 *
 * A text ends in U+FFFD while a character is half written. A graph with a function cannot be saved.
 *
 * @throws {GenArmError} While text is written: `PluginFailed` when the function throws, gives another
 * number of scores or takes longer than `timeLimit`, `NonFiniteScores` when it gives NaN or `Infinity`.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, scorer, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const noRepeats = scorer({ score: (text) => -(text.length - new Set(text).size) })
 * const graph = defineGraph({
 *   base: "ab",
 *   rewards: { variety: { reward: noRepeats, weight: 100 } },
 * })
 * const models = { ab: { vocabulary: ["a", "b", "c"], next: () => [6, 3, 1] } }
 * await using pipeline = await openPipeline(graph, { runtime: tableRuntime(models) })
 * const { text } = await pipeline.generate("a", { maxTokens: 3 })
 * assertEquals([...text].sort(), ["a", "b", "c"])
 * ```
 */
export const scorer: RewardPlugin<ScorerOptions> = defineReward({
  name: "scorer",
  options: schema as unknown as Schema.Codec<ScorerOptions, ScorerOptions>,
  open({ grain = "candidates", candidates = 20, ...options }, sequence) {
    const ask = inBatches(options)
    return openTextReward({
      plugin: "scorer",
      ask,
      options,
      ...grain === "candidates" && { candidates },
    }, sequence)
  },
})
