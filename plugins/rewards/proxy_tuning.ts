/** @module What tuning did to a small model, done to the base. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin } from "genarm/plugin"
import { type ContrastSide, difference, side, sourceOf } from "./_sides.ts"

/** Options of `proxyTuning`. */
export interface ProxyTuningOptions {
  /** A small model that was tuned: the expert of the paper. */
  readonly tuned: string | ContrastSide
  /** The same model before: the anti-expert. */
  readonly untuned: string | ContrastSide
}

/**
 * Proxy tuning (https://arxiv.org/abs/2401.08565): with the weight `alpha`, the base's scores become
 * `log pi_base + alpha * (log pi_tuned - log pi_untuned)`, as if the base had been tuned as a small model
 * was. The paper's weight is 1. DExperts (https://arxiv.org/abs/2105.03023) is the same rule, with an
 * expert and an anti-expert that were both tuned, and weights from 1 on.
 *
 * Both papers add logits, here there are log-probabilities: these differ by the three normalisers, a
 * number that all ids of a step share, so that the distribution is the same. The base may be of any size,
 * with the vocabulary of the other two. A tuned model with a chat format of its own takes a `template`.
 * What the tuned model rules out is ruled out; what the untuned one alone rules out gets about 1000.
 *
 * @example
 * ```ts
 * import { defineGraph, proxyTuning } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const chat = proxyTuning({ tuned: "./models/small-chat", untuned: "./models/small" })
 * const graph = defineGraph({ base: "./models/large", rewards: { chat: { reward: chat, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*chat")
 * ```
 */
export const proxyTuning: RewardPlugin<ProxyTuningOptions> = defineReward({
  name: "proxyTuning",
  options: Schema.Struct({ tuned: side, untuned: side }),
  sources: ({ tuned, untuned }) => ({ tuned: sourceOf(tuned), untuned: sourceOf(untuned) }),
  open: () => ({ score: ({ tuned, untuned }, out) => difference(tuned, untuned, out) }),
})
