/** @module Drawing from the guided distribution. */
import { Schema } from "effect"
import { TokenDistribution, type Truncation } from "genarm/math"
import { defineSampler, GenArmError, type SamplerPlugin } from "genarm/plugin"

/** Options of `sampling`; truncations apply after the temperature, in this order. */
export interface SamplingOptions {
  /** Divides the scores: 1 (the default) draws from the guided distribution itself. */
  readonly temperature?: number
  /** Keeps the so many likeliest tokens. */
  readonly topK?: number
  /** Keeps the likeliest tokens that together have this probability, in (0, 1]. */
  readonly topP?: number
  /** Keeps tokens with at least this share of the likeliest one's probability, in [0, 1]. */
  readonly minP?: number
  /**
   * `"plain"`, the default: scores are divided by the temperature. `"modelArithmetic"`: they are
   * divided by `1 + sum of weights` too, as language model arithmetic and GenARM's own code do, where
   * the paper's temperature T is written `T / (1 + sum of weights)`.
   */
  readonly temperatureConvention?: "plain" | "modelArithmetic"
}

/**
 * Draws the next token from `softmax((base + sum of weighted rewards) / temperature)`, truncated as
 * asked. With a seed it draws the same tokens on every machine that computes the same scores.
 *
 * @example
 * ```ts
 * import { defineGraph, sampling } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const graph = defineGraph({ base: "./models/base", sampler: sampling({ temperature: 0.8, topP: 0.9 }) })
 * assertEquals(graph.sampler.plugin, "sampling")
 * ```
 */
export const sampling: SamplerPlugin<SamplingOptions> = defineSampler({
  name: "sampling",
  options: Schema.Struct({
    temperature: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
    topK: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    topP: Schema.optionalKey(
      Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1)),
    ),
    minP: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
    temperatureConvention: Schema.optionalKey(Schema.Literals(["plain", "modelArithmetic"])),
  }),
  open(options, { vocabularySize }) {
    const { temperature = 1, temperatureConvention = "plain", ...truncation } = options
    const distribution = new TokenDistribution(vocabularySize)
    const steady: Truncation = { temperature, ...truncation }
    let divisor = temperature
    const set = (scores: Float32Array, weightSum: number): TokenDistribution => {
      if (temperatureConvention === "plain") return distribution.set(scores, steady)
      if (!(weightSum > 0)) throw nonPositive(weightSum)
      divisor = temperature * weightSum
      return distribution.set(scores, { temperature: divisor, ...truncation })
    }
    return {
      sample: ({ scores, weightSum, random }) => set(scores, weightSum).draw(random.nextUniform()),
      probabilities: ({ scores, weightSum }, out) => set(scores, weightSum).probabilities(out),
      logProbability: (id) => distribution.logProbability(id),
      get logNormalizer() {
        return divisor === 1 ? distribution.logNormalizer : undefined
      },
    }
  },
})

function nonPositive(weightSum: number): GenArmError {
  return new GenArmError(
    { _tag: "InvalidOption", path: ["sampler", "temperatureConvention"] },
    `sampling: "modelArithmetic" divides by 1 + the sum of weights, which must be above 0 and is ` +
      `${weightSum}: use the plain convention with negative weights`,
  )
}
