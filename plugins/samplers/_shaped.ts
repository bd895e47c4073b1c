/** What `sampling` and `gumbel` share: from scores to the distribution that they draw from. */
import { Schema } from "effect"
import { logSumExp, penalizeRepeats, TokenDistribution, type Truncation } from "genarm/math"
import { GenArmError, type SamplerSequence, type SamplerState, type Uniforms } from "genarm/plugin"
import { Written } from "./_written.ts"

/**
 * Options of `sampling` and `gumbel`. They apply in the order in which Hugging Face's `generate` has
 * them (transformers 5.24.0): repetition penalty, temperature, top-k, top-p, min-p, typical.
 */
export interface SamplingOptions {
  /**
   * Above 1 against tokens that are in the prompt or the text already, below 1 for them (CTRL,
   * https://arxiv.org/abs/1909.05858). It acts on the guided log-probabilities, so that the probability
   * of such a token becomes its power: `p^penalty`, before all are normalised anew. Hugging Face applies
   * the same rule to logits, and so to numbers whose zero is the model's own; to log-probabilities in
   * beam search.
   */
  readonly repetitionPenalty?: number
  /** Divides the scores: 1 (the default) draws from the guided distribution itself. */
  readonly temperature?: number
  /** Keeps the so many likeliest tokens. */
  readonly topK?: number
  /** Keeps the likeliest tokens that together have this probability, in (0, 1]. */
  readonly topP?: number
  /** Keeps tokens with at least this share of the likeliest one's probability, in [0, 1]. */
  readonly minP?: number
  /**
   * Keeps the tokens whose surprisal is nearest to the entropy and that together have this probability,
   * in (0, 1]: locally typical sampling (https://arxiv.org/abs/2202.00666).
   */
  readonly typicalP?: number
  /**
   * `"plain"`, the default: scores are divided by the temperature. `"modelArithmetic"`: they are
   * divided by `1 + sum of weights` too, as language model arithmetic and GenARM's own code do, where
   * the paper's temperature T is written `T / (1 + sum of weights)`.
   */
  readonly temperatureConvention?: "plain" | "modelArithmetic"
}

const positive = Schema.Finite.check(Schema.isGreaterThan(0))
const share = Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1))

/** The schema of `SamplingOptions`. */
export const samplingOptions: Schema.Codec<SamplingOptions> = Schema.Struct({
  repetitionPenalty: Schema.optionalKey(positive),
  temperature: Schema.optionalKey(positive),
  topK: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  topP: Schema.optionalKey(share),
  minP: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  typicalP: Schema.optionalKey(share),
  temperatureConvention: Schema.optionalKey(Schema.Literals(["plain", "modelArithmetic"])),
})

/** What is drawn from, and the numbers to draw with. */
export type Draw = (distribution: TokenDistribution, random: Uniforms) => number

/** What a sampler is opened with. */
export interface Shape {
  /** Its name, for errors. */
  readonly name: string
  readonly options: SamplingOptions
  readonly sequence: SamplerSequence
}

/** Opens a sampler that draws from scores as the options shape them. */
export function openShaped(shape: Shape, draw: Draw): SamplerState {
  const { options: { repetitionPenalty = 1 }, sequence } = shape
  if (repetitionPenalty === 1) return plain(shape, draw)
  return penalized(shape, draw, repetitionPenalty, Written.after(sequence.promptIds))
}

function plain({ name, options, sequence: { vocabularySize } }: Shape, draw: Draw): SamplerState {
  const { temperature = 1, temperatureConvention = "plain", topK, topP, minP, typicalP } = options
  const distribution = new TokenDistribution(vocabularySize)
  const truncation = {
    ...topK !== undefined && { topK },
    ...topP !== undefined && { topP },
    ...minP !== undefined && { minP },
    ...typicalP !== undefined && { typicalP },
  }
  const steady: Truncation = { temperature, ...truncation }
  let divisor = temperature
  const set = (scores: Float32Array, weightSum: number): TokenDistribution => {
    if (temperatureConvention === "plain") return distribution.set(scores, steady)
    if (!(weightSum > 0)) throw nonPositive(name, weightSum)
    divisor = temperature * weightSum
    return distribution.set(scores, { temperature: divisor, ...truncation })
  }
  return {
    sample: ({ scores, weightSum, random }) => draw(set(scores, weightSum), random),
    probabilities: ({ scores, weightSum }, out) => set(scores, weightSum).probabilities(out),
    logProbability: (id) => distribution.logProbability(id),
    get logNormalizer() {
      return divisor === 1 ? distribution.logNormalizer : undefined
    },
  }
}

/** The same with scores that are normalised and penalised first, and so in a copy. */
function penalized(shape: Shape, draw: Draw, penalty: number, written: Written): SamplerState {
  const inner = plain(shape, draw)
  const copy = new Float32Array(shape.sequence.vocabularySize)
  let logNormalizer: number | undefined
  const penalize = (scores: Float32Array): Float32Array => {
    const normalizer = logSumExp(scores)
    logNormalizer = normalizer
    // Scores that nothing can be drawn from go on to where they are refused.
    if (!Number.isFinite(normalizer)) return scores
    for (let id = 0; id < copy.length; id++) copy[id] = Math.min(0, scores[id] - normalizer)
    penalizeRepeats(copy, written.distinct, penalty)
    return copy
  }
  return {
    sample: (step) => inner.sample({ ...step, scores: penalize(step.scores) }),
    probabilities: (step, out) =>
      inner.probabilities!({ ...step, scores: penalize(step.scores) }, out),
    logProbability: (id) => inner.logProbability(id),
    get logNormalizer() {
      return logNormalizer
    },
    accept: (id) => written.accept(id),
    rewind: (count) => written.rewind(count),
    fork: () => penalized(shape, draw, penalty, written.fork()),
  }
}

function nonPositive(name: string, weightSum: number): GenArmError {
  return new GenArmError(
    { _tag: "InvalidOption", path: ["sampler", "temperatureConvention"] },
    `${name}: "modelArithmetic" divides by 1 + the sum of weights, which must be above 0 and is ` +
      `${weightSum}: use the plain convention with negative weights`,
  )
}
