/** The figures of one setting, from its texts. */
import { mapValues } from "../plugin/map_values.ts"
import { distinct, wordsOf } from "./distinct.ts"
import { type EstimateOptions, meanEstimate, ratioEstimate } from "./estimate.ts"
import { shareEstimate } from "./share.ts"
import type { GuidanceRow, GuidedText } from "./types.ts"

/** All figures of one setting. */
export function summarize(
  weights: GuidanceRow["weights"],
  texts: readonly GuidedText[],
  isUnbiased: boolean,
  options: EstimateOptions,
): GuidanceRow {
  const how = intervalOptions(options)
  const lengths = texts.map(({ ids }) => ids.length)
  const mean = (value: (text: GuidedText) => number) => meanEstimate(texts.map(value), how)
  const perToken = (value: (text: GuidedText) => number) =>
    ratioEstimate(texts.map(value), lengths, how)
  const words = texts.map(({ text }) => wordsOf(text))
  const ids = texts.map(({ ids }) => ids)
  const surprise = perToken(({ logprob }) => -logprob.base)
  return {
    weights,
    continuations: texts.length,
    rewards: mapValues(texts[0].rewards, (_, name) => ({
      perToken: perToken(({ rewards }) => rewards[name]),
      perText: mean(({ rewards }) => rewards[name]),
    })),
    measures: mapValues(texts[0].measures, (_, name) => mean(({ measures }) => measures[name])),
    kl: perToken(({ logprob }) => logprob.guided - logprob.base),
    isUnbiased,
    distinct: {
      words: [distinct(words, 1, how), distinct(words, 2, how), distinct(words, 3, how)],
      tokens: [distinct(ids, 1, how), distinct(ids, 2, how), distinct(ids, 3, how)],
    },
    // A monotone function of a figure has its interval where the figure has.
    perplexity: {
      value: Math.exp(surprise.value),
      low: Math.exp(surprise.low),
      high: Math.exp(surprise.high),
    },
    length: meanEstimate(lengths, how),
    ended: shareEstimate(
      texts.filter(({ stopReason }) => stopReason === "eos").length,
      texts.length,
      how,
    ),
    texts,
  }
}

/** The parts of a measurement's options that make intervals. */
function intervalOptions({ level, resamples, seed }: EstimateOptions): EstimateOptions {
  return {
    ...level !== undefined && { level },
    ...resamples !== undefined && { resamples },
    ...seed !== undefined && { seed },
  }
}
