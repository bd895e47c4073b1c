/** @module The largest weight that keeps guidance within a divergence from the base. */
import { Schema } from "effect"
import { defineSchedule, type SchedulePlugin, type ScheduleState } from "genarm/plugin"
import { largestWeight } from "./_tilt.ts"

/** Options of `klBudget`. */
export interface KlBudgetOptions {
  /** KL(guided || base) in nats that may be spent, on each token or on a whole text. */
  readonly budget: number
  /**
   * `"token"`, the default: each token has the budget for itself. `"sequence"`: the text has it; each
   * token may spend what is left, divided by the tokens that may still be written. What one leaves,
   * because `most` binds, so goes to those that come after; a text that ends early leaves it unspent.
   */
  readonly per?: "token" | "sequence"
  /** The largest weight; above 0. */
  readonly most: number
}

/**
 * At each token the largest weight in `[0, most]` that keeps KL(guided || base) within a budget: as much
 * guidance as its cost allows, little where the reward would turn the text around, much where it agrees.
 *
 * The divergence is that of the next token's distribution from the base's, with this reward alone and at
 * temperature 1: a schedule does not see other rewards, and with several each keeps its own budget. A
 * reward that rules tokens out costs `-log` of what the base gives the others, at any weight; where that
 * is over the budget the weight is 0. Weights are found to one part in 10,000 of the budget.
 *
 * A copy of a sequence goes on with what its original had left, and tokens taken back give back what
 * they spent.
 *
 * @example
 * ```ts
 * import { contrast, defineGraph, klBudget, openPipeline, tableRuntime } from "genarm"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * const coin = (heads: number) => ({ vocabulary: ["h", "t"], next: () => [heads, 1 - heads] })
 * await using pipeline = await openPipeline(
 *   defineGraph({
 *     base: "fair",
 *     rewards: {
 *       heads: {
 *         reward: contrast({ expert: "bent", amateur: "fair" }),
 *         weight: klBudget({ budget: 0.02, most: 5 }),
 *       },
 *     },
 *   }),
 *   { runtime: tableRuntime({ fair: coin(0.5), bent: coin(0.6) }) },
 * )
 * const { tokens: [{ id, logprob }] } = await pipeline.generate("h", { seed: 1, maxTokens: 1 })
 * // KL((0.6, 0.4) || (0.5, 0.5)) = 0.0201: nearly the expert's own odds.
 * assertAlmostEquals(Math.exp(logprob.guided), id === 0 ? 0.5998 : 0.4002, 1e-3)
 * ```
 */
export const klBudget: SchedulePlugin<KlBudgetOptions> = defineSchedule({
  name: "klBudget",
  options: Schema.Struct({
    budget: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
    per: Schema.optionalKey(Schema.Literals(["token", "sequence"])),
    most: Schema.Finite.check(Schema.isGreaterThan(0)),
  }),
  open: (options) => opened(options, []),
})

/** What there is after a token. */
interface Token {
  /** The weight it had. */
  readonly weight: number
  /** Nats that it and those before it have spent. */
  readonly spent: number
}

/** Goes on after the tokens of a text. What is asked and not accepted leaves no trace. */
function opened(options: KlBudgetOptions, tokens: readonly Token[]): ScheduleState {
  const { budget, per = "token", most } = options
  const first: Token = { weight: most, spent: 0 }
  const history = [...tokens]
  let next = first
  return {
    weight({ position, maxTokens, base, scores }) {
      const { weight: guess, spent } = history.at(-1) ?? first
      const allowed = per === "token" ? budget : (budget - spent) / (maxTokens - position)
      const { weight, nats } = largestWeight(base, scores, { budget: allowed, most, guess })
      next = { weight, spent: spent + nats }
      return weight
    },
    accept: () => void history.push(next),
    rewind(count) {
      history.length -= count
    },
    fork: () => opened(options, history),
  }
}
