/** @module Segments of a text, each drawn until its reward will do. */
import { Schema } from "effect"
import { entropy, logSoftmaxInto, logSumExp } from "genarm/math"
import { defineStrategy, type GuidedSequence, type StrategyPlugin } from "genarm/plugin"
import { passes, threshold } from "./_acceptance.ts"
import { rewardOf } from "./_judged.ts"

/** Options of `cards`. */
export interface CardsOptions {
  /** The name of the reward that judges; it may have a weight of 0. */
  readonly by: string
  /** The reward that a whole text is to have (r*): what good texts have, in the reward's own unit. */
  readonly target: number
  /**
   * Where the thresholds begin, from 0 at the reward before the first token to 1 at the target; 0.5 where
   * absent.
   */
  readonly alpha?: number
  /** How far below the threshold a reward may be: 0.7 where absent; at 0 the threshold is strict. */
  readonly beta?: number
  /** Nats from which the next token is uncertain, so that a segment ends before it; 3 where absent. */
  readonly entropy?: number
  /** Whose uncertainty it is: that of the distribution drawn from, where absent, or of the base model. */
  readonly uncertainty?: "guided" | "base"
  /** Tokens of a segment at least, 4 where absent. */
  readonly least?: number
  /** Tokens of a segment at most, 64 where absent. */
  readonly most?: number
  /** Tokens at which the threshold reaches the target; the request's limit where absent. */
  readonly tokens?: number
  /** Segments refused before the best of them, and of one more, is taken; 20 where absent. */
  readonly rejections?: number
}

const count = Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
const nats = Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))

/**
 * Cascade reward sampling (CARDS, https://arxiv.org/abs/2406.16306): the text grows by segments that
 * end where the model becomes uncertain, and each is drawn anew until it is accepted. The reward `r` of
 * the text so far passes with probability `min(1, e^((r - t) / beta))`, where the threshold `t` rises
 * with the length `n` of the text, `t = min(r0 + n * (target - r0) / tokens, target)`, from
 * `r0 = (1 - alpha) * r(prompt) + alpha * target`. After 20 refusals one more is drawn, and the best of
 * the 21 is taken. Rules and defaults are those of https://github.com/lblaoke/CARDS, whose target is 8.5
 * for a LLaMA 7B reward model.
 *
 * What differs: tokens are drawn by the graph's sampler from the guided distribution, there top-k 40 of
 * the base model at temperature 0.7 (`sampling({ topK: 40, temperature: 0.7 })` and a weight of 0), and
 * a segment ends where the text ends. A segment is told once it is accepted. It needs a reward that can
 * judge beginnings: one of texts, or one that adds up over tokens. A sampler that always chooses the
 * same token draws the same segment again.
 *
 * @example
 * ```ts
 * import { cards, defineGraph, logitBias, openPipeline, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({ coin: { vocabulary: ["h", "t"], next: () => [1, 1] } })
 * const graph = defineGraph({
 *   base: "coin",
 *   rewards: { heads: { reward: logitBias({ bias: { h: 1 } }), weight: 0 } },
 *   // Two tokens a segment, and one of them heads at least.
 *   strategy: cards({ by: "heads", target: 4, alpha: 0, beta: 0, least: 2, entropy: 0 }),
 * })
 * await using pipeline = await openPipeline(graph, { runtime })
 * const { ids } = await pipeline.generate("h", { maxTokens: 8, seed: 1 })
 * assertEquals(ids.filter((id) => id === 0).length >= 4, true)
 * ```
 */
export const cards: StrategyPlugin<CardsOptions> = defineStrategy({
  name: "cards",
  options: Schema.Struct({
    by: Schema.NonEmptyString,
    target: Schema.Finite,
    alpha: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
    beta: nats,
    entropy: nats,
    uncertainty: Schema.optionalKey(Schema.Literals(["guided", "base"])),
    least: count,
    most: count,
    tokens: count,
    rejections: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  }).check(
    Schema.makeFilter(({ least = 4, most = 64 }) =>
      least <= most || { path: ["least"], issue: `Expected at most ${most} tokens, as "most" says` }
    ),
  ),
  rewards: ({ by }) => ({ by }),
  async *run(options, sequence) {
    const { by, target, alpha = 0.5, beta = 0.7, rejections = 20 } = options
    const { tokens = sequence.room } = options
    const rule = { target, alpha, tokens, start: await rewardOf(sequence, by) }
    const segments = new Segments(options, sequence.vocabularySize)
    let text = sequence
    while (text.ended === undefined) {
      await text.evaluate() // once for all of its segments
      let best: { readonly candidate: GuidedSequence; readonly reward: number } | undefined
      for (let refused = 0; refused <= rejections; refused++) {
        const candidate = await segments.draw(text)
        const reward = await rewardOf(candidate, by)
        const held = threshold(rule, candidate.ids.length)
        const isAccepted = refused < rejections &&
          passes(reward, held, beta, text.random.nextUniform())
        if (isAccepted || best === undefined || reward > best.reward) {
          best?.candidate.close()
          best = { candidate, reward }
        } else candidate.close()
        if (isAccepted) break
      }
      text.close()
      text = best!.candidate
      yield text
    }
  },
})

/** Draws segments. */
class Segments {
  readonly #options: CardsOptions
  /** `[vocabulary]`: the log-probabilities of the next token. */
  readonly #logProbs: Float32Array

  constructor(options: CardsOptions, vocabularySize: number) {
    this.#options = options
    this.#logProbs = new Float32Array(vocabularySize)
  }

  /** The text with one more segment, as a copy. */
  async draw(text: GuidedSequence): Promise<GuidedSequence> {
    const { least = 4, most = 64, entropy: uncertain = 3 } = this.#options
    const candidate = text.fork()
    for (let length = 0; length < most && candidate.ended === undefined; length++) {
      if (length >= least && await this.#entropy(candidate) >= uncertain) break
      await candidate.step()
    }
    return candidate
  }

  async #entropy(candidate: GuidedSequence): Promise<number> {
    const scores = await candidate.evaluate()
    // The step that comes next says what is wrong with them.
    if (!Number.isFinite(logSumExp(scores))) return 0
    if (this.#options.uncertainty === "base") candidate.base.logProbs(0, this.#logProbs)
    else logSoftmaxInto(scores, this.#logProbs)
    return entropy(this.#logProbs)
  }
}
