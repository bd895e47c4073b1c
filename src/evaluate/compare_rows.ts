/**
 * Two settings beside each other, text by text: those of the same prompt and seed share their luck,
 * so that their differences vary less than they do.
 */
import { distinctWithout, jackknife, wordsOf } from "./distinct.ts"
import { GenArmError } from "../errors.ts"
import { mapValues } from "../plugin/map_values.ts"
import { bootstrap, type Estimate, type EstimateOptions, pairedDifference } from "./estimate.ts"
import type { GuidanceRow, GuidedText } from "./types.ts"
import { type WinRate, winRate } from "./win_rate.ts"

/** What changed from one setting to another. Every estimate is a paired difference. */
export interface RowChange {
  /** Of each reward, natural log. */
  readonly rewards: GuidanceRow["rewards"]
  /** Of each measure, and how often it was greater. */
  readonly measures: Readonly<Record<string, Estimate & { readonly wins: WinRate }>>
  /** Of KL(guided || base), nats per token. */
  readonly kl: Estimate
  /** Of distinct-1, -2 and -3. */
  readonly distinct: GuidanceRow["distinct"]
  /** Of the base's log-probability of a token, nats: minus the change of log perplexity. */
  readonly logprob: Estimate
  /** Of the tokens of a text. */
  readonly length: Estimate
}

/**
 * What changed from the setting `before` to the setting `after`, both of one `evaluateGuidance`.
 *
 * @throws {GenArmError} Reason `InvalidOption` when their texts do not share prompts and seeds.
 *
 * @example
 * ```ts
 * import { defineGraph, logitBias, openPipeline, tableRuntime } from "genarm"
 * import { compareRows, evaluateGuidance } from "genarm/evaluate"
 * import { assert } from "@std/assert"
 *
 * const coin = { vocabulary: ["yes", "no"], next: () => [0.5, 0.5] }
 * const yes = logitBias({ bias: { yes: 1 } })
 * const graph = defineGraph({ base: "coin", rewards: { yes: { reward: yes, weight: 1 } } })
 * await using pipeline = await openPipeline(graph, { runtime: tableRuntime({ coin }) })
 * const [base, guided] = await evaluateGuidance(pipeline, {
 *   prompts: ["no"],
 *   samples: 50,
 *   weights: [{ yes: 0 }, { yes: 2 }],
 *   maxTokens: 10,
 *   measures: { yeses: (text) => text.split("yes").length - 1 },
 * })
 * const { measures } = compareRows(base, guided)
 * assert(measures.yeses.low > 0 && measures.yeses.wins.low > 0.5)
 * ```
 */
export function compareRows(
  before: GuidanceRow,
  after: GuidanceRow,
  options: EstimateOptions = {},
): RowChange {
  checkPairs(before, after)
  const mean = (value: (text: GuidedText) => number) =>
    pairedDifference(after.texts.map(value), before.texts.map(value), options)
  const perToken = (value: (text: GuidedText) => number) => {
    const ratio = (texts: readonly GuidedText[], picks: Int32Array) => {
      let sum = 0
      let tokens = 0
      for (const i of picks) {
        sum += value(texts[i])
        tokens += texts[i].ids.length
      }
      return sum / tokens
    }
    return bootstrap(
      after.texts.length,
      (picks) => ratio(after.texts, picks) - ratio(before.texts, picks),
      options,
    )
  }
  const { level } = options
  const variety = (itemsOf: (text: GuidedText) => readonly (string | number)[], n: number) => {
    const then = distinctWithout(before.texts.map(itemsOf), n)
    const now = distinctWithout(after.texts.map(itemsOf), n)
    const without = now.without.map((value, i) => value - then.without[i])
    return jackknife(now.value - then.value, without, level === undefined ? {} : { level })
  }
  const words = ({ text }: GuidedText) => wordsOf(text)
  const ids = ({ ids }: GuidedText) => ids
  return {
    rewards: mapValues(after.rewards, (_, name) => ({
      perToken: perToken(({ rewards }) => rewards[name]),
      perText: mean(({ rewards }) => rewards[name]),
    })),
    measures: mapValues(after.measures, (_, name) => {
      const of = ({ measures }: GuidedText) => measures[name]
      const wins = winRate(
        after.texts.map(of),
        before.texts.map(of),
        level === undefined ? {} : { level },
      )
      return { ...mean(of), wins }
    }),
    kl: perToken(({ logprob }) => logprob.guided - logprob.base),
    distinct: {
      words: [variety(words, 1), variety(words, 2), variety(words, 3)],
      tokens: [variety(ids, 1), variety(ids, 2), variety(ids, 3)],
    },
    logprob: perToken(({ logprob }) => logprob.base),
    length: mean(({ ids }) => ids.length),
  }
}

function checkPairs(before: GuidanceRow, after: GuidanceRow): void {
  const keys = ({ texts }: GuidanceRow) =>
    JSON.stringify(texts.map(({ prompt, seed }) => [prompt, seed]))
  const names = ({ rewards, measures }: GuidanceRow) =>
    JSON.stringify([Object.keys(rewards), Object.keys(measures)])
  if (keys(before) === keys(after) && names(before) === names(after)) return
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["after"] },
    `expected rows whose texts share prompts, seeds, rewards and measures, found ` +
      `${before.continuations} and ${after.continuations} texts that do not: compare rows of one ` +
      "evaluateGuidance",
  )
}
