/** @module Drawing so that texts of different settings share their luck. */
import { gumbelMax } from "genarm/math"
import { defineSampler, type SamplerPlugin } from "genarm/plugin"
import { openShaped, type SamplingOptions, samplingOptions } from "./_shaped.ts"

/**
 * Draws from the same distribution as `sampling`, by the Gumbel-max trick: every id gets noise of its
 * own, fixed by the seed, the position and the id, and the greatest `log p + noise` wins. Two texts of
 * one seed whose settings differ a little so differ little, and where they part the settings did it, not
 * luck: use it to compare weights, schedules and temperatures.
 *
 * The noise is an integer hash of the sequence's random numbers, one a token, and so the same on every
 * engine. A copy of a sequence, and tokens that are chosen again after they were taken back, get fresh
 * noise, as they get fresh numbers from `sampling`. A strategy that draws tokens by itself, such as
 * `speculative`, asks for the probabilities alone: it gives the same distribution and no shared luck.
 *
 * @example
 * ```ts
 * import { contrast, defineGraph, gumbel, openPipeline, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const coin = (heads: number) => ({ vocabulary: ["h", "t"], next: () => [heads, 1 - heads] })
 * await using pipeline = await openPipeline(
 *   defineGraph({
 *     base: "fair",
 *     rewards: { heads: { reward: contrast({ expert: "bent", amateur: "fair" }), weight: 1 } },
 *     sampler: gumbel(),
 *   }),
 *   { runtime: tableRuntime({ fair: coin(0.5), bent: coin(0.6) }) },
 * )
 * const text = (weight: number) =>
 *   pipeline.generate("h", { seed: 7, maxTokens: 50, weights: { heads: weight } })
 * const [one, two] = [await text(1), await text(1.5)]
 * // Tails may become heads, and never the other way round.
 * assertEquals(one.ids.some((id, at) => id < two.ids[at]), false)
 * ```
 */
export const gumbel: SamplerPlugin<SamplingOptions> = defineSampler({
  name: "gumbel",
  options: samplingOptions,
  open(options, sequence) {
    const probabilities = new Float32Array(sequence.vocabularySize)
    return openShaped({ name: "gumbel", options, sequence }, (distribution, random) => {
      distribution.probabilities(probabilities)
      return gumbelMax(probabilities, random.nextUniform())
    })
  },
})
