/** @module Less of what has been written already. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin, type RewardState } from "genarm/plugin"
import { TokenPenalties } from "./_token_penalties.ts"

/** Options of `repetition`: at least one of `presence`, `frequency` and `noRepeatNgram`. */
export interface RepetitionOptions {
  /** Taken from the score of every token that has been written, however often; 0 if absent. */
  readonly presence?: number
  /** Taken from the score of a token for each time that it has been written; 0 if absent. */
  readonly frequency?: number
  /** Rules out a token that would write so many tokens in a row a second time. */
  readonly noRepeatNgram?: number
  /** How many of the latest tokens count; all of them where absent. */
  readonly window?: number
  /** Whether the prompt counts as written; it does not where absent. */
  readonly prompt?: boolean
}

const from1 = Schema.Int.check(Schema.isGreaterThan(0))

/**
 * Penalties for tokens that have been written: `-presence * [count > 0] - frequency * count`, as in the
 * OpenAI API (https://platform.openai.com/docs/api-reference/completions), under the weight 1; and
 * `-Infinity` for tokens that would repeat an n-gram (https://arxiv.org/abs/1705.04304). Negative
 * penalties ask for repetition. The ids that end a text are never held back.
 *
 * @example
 * ```ts
 * import { defineGraph, repetition } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const reward = repetition({ frequency: 0.3, noRepeatNgram: 4, window: 256 })
 * const graph = defineGraph({ base: "./models/base", rewards: { fresh: { reward, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*fresh")
 * ```
 */
export const repetition: RewardPlugin<RepetitionOptions> = defineReward({
  name: "repetition",
  options: Schema.Struct({
    presence: Schema.optionalKey(Schema.Finite),
    frequency: Schema.optionalKey(Schema.Finite),
    noRepeatNgram: Schema.optionalKey(from1),
    window: Schema.optionalKey(from1),
    prompt: Schema.optionalKey(Schema.Boolean),
  }).check(
    Schema.makeFilter(({ presence, frequency, noRepeatNgram }) =>
      (presence ?? frequency ?? noRepeatNgram) !== undefined ||
      "Expected `presence`, `frequency` or `noRepeatNgram`: without one it does nothing"
    ),
    Schema.makeFilter(({ window = Infinity, noRepeatNgram = 0 }) =>
      noRepeatNgram <= window || {
        path: ["noRepeatNgram"],
        issue: "Expected at most `window`: a longer n-gram never stands in it",
      }
    ),
  ),
  open(options, { vocabularySize, promptIds, eos }) {
    const written = new TokenPenalties({ ...options, size: vocabularySize, never: eos })
    if (options.prompt === true) { for (const id of promptIds) written.push(id) }
    return stateOf(written)
  },
})

function stateOf(written: TokenPenalties): RewardState {
  return {
    score: (_, out) => written.writeInto(out),
    accept: (id) => written.push(id),
    rewind: (count) => written.pop(count),
    fork: () => stateOf(written.fork()),
  }
}
