/** @module Fixed scores for chosen tokens. */
import { Schema } from "effect"
import { defineReward, GenArmError, type RewardPlugin } from "genarm/plugin"

/** Options of `logitBias`. */
export interface LogitBiasOptions {
  /**
   * Scores in natural-log units, keyed by token id (`"42"`) or by text, which stands for each of
   * the tokens that it is made of when it follows other text (`" sad"`). `"ban"` rules a token out.
   */
  readonly bias: Readonly<Record<string, number | "ban">>
}

/**
 * Adds a fixed score to chosen tokens and 0 to all others.
 *
 * @example
 * ```ts
 * import { defineGraph, logitBias } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const calm = logitBias({ bias: { "!": -2, "42": "ban" } })
 * const graph = defineGraph({ base: "./models/base", rewards: { calm: { reward: calm, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*calm")
 * ```
 */
export const logitBias: RewardPlugin<LogitBiasOptions> = defineReward({
  name: "logitBias",
  options: Schema.Struct({
    bias: Schema.Record(Schema.String, Schema.Union([Schema.Finite, Schema.Literal("ban")])),
  }),
  open({ bias }, sequence) {
    const scores = new Float32Array(sequence.vocabularySize)
    for (const [key, value] of Object.entries(bias)) {
      const ids = /^\d+$/.test(key) ? [Number(key)] : sequence.encode(key)
      for (const id of ids) {
        if (id >= scores.length) {
          throw new GenArmError(
            { _tag: "InvalidOption", path: ["bias", key] },
            `logitBias: expected token ids below ${scores.length}, found ${id} for "${key}"`,
          )
        }
        scores[id] = value === "ban" ? -Infinity : value
      }
    }
    return { score: (_, out) => out.set(scores) }
  },
})
