/** @module The best of several whole texts. */
import { Schema } from "effect"
import { defineStrategy, type StrategyPlugin } from "genarm/plugin"
import { greatest, rewardOf } from "./_judged.ts"
import { together } from "./_together.ts"

/** Options of `bestOfN`. */
export interface BestOfNOptions {
  /** How many texts are written, 8 where absent. */
  readonly n?: number
  /**
   * The name of the reward by which the best is chosen; where absent it is the sum of all, each with the
   * weight that it had at the last token.
   */
  readonly by?: string
}

/**
 * Writes `n` texts side by side, independent draws of the graph's sampler, and gives the one with the
 * greatest reward; of equals the first. Nothing is told until all have ended.
 *
 * The texts are drawn from the guided distribution; with a weight of 0 and the reward's name as `by`
 * they are the base model's own, which is best-of-n as it is usually meant. The choice moves the
 * distribution away from the one that is drawn from by at most `log n - (n - 1) / n` nats (KL divergence;
 * https://arxiv.org/abs/2401.01879): 1.2 for 8 texts, 3.2 for 64. Every text has its own cache.
 *
 * The total of an autoregressive reward model is a log-probability, which is greatest for short texts: a
 * difference of two models (`contrast`) or a reward of texts compares texts of different lengths better.
 * A sampler that always chooses the same token, such as `greedy`, makes `n` equal texts.
 *
 * @example
 * ```ts
 * import { bestOfN, defineGraph, logitBias, openPipeline, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({ coin: { vocabulary: ["h", "t"], next: () => [1, 1] } })
 * const graph = defineGraph({
 *   base: "coin",
 *   // Counts heads, and guides no token.
 *   rewards: { heads: { reward: logitBias({ bias: { h: 1 } }), weight: 0 } },
 *   strategy: bestOfN({ n: 64, by: "heads" }),
 * })
 * await using pipeline = await openPipeline(graph, { runtime })
 * const { text } = await pipeline.generate("h", { maxTokens: 4, seed: 1 })
 * assertEquals(text, "hhhh")
 * ```
 */
export const bestOfN: StrategyPlugin<BestOfNOptions> = defineStrategy({
  name: "bestOfN",
  options: Schema.Struct({
    n: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    by: Schema.optionalKey(Schema.NonEmptyString),
  }),
  rewards: ({ by }) => ({ by }),
  async *run({ n = 8, by }, sequence) {
    await sequence.evaluate() // the prompt is read once, for all
    const texts = [sequence]
    while (texts.length < n) texts.push(sequence.fork())
    const rewards = await together(texts.map(async (text) => {
      while (text.ended === undefined) await text.step()
      return await rewardOf(text, by)
    }))
    const best = texts[greatest(rewards)]
    for (const text of texts) if (text !== best) text.close()
    yield best
  },
})
