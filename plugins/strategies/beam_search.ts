/** @module The likeliest text. */
import { Schema } from "effect"
import { defineStrategy, type StrategyPlugin } from "genarm/plugin"
import { type Beam, continuations, grow } from "./_beams.ts"
export type { EarlyStopping } from "./_hypotheses.ts"
import { type EarlyStopping, Hypotheses } from "./_hypotheses.ts"

/** Options of `beamSearch`, which mean what they do in Hugging Face's `generate`. */
export interface BeamSearchOptions {
  /** How many texts are kept at each length, 4 where absent. */
  readonly beams?: number
  /**
   * Texts are compared by `log-probability / length^lengthPenalty`, 1 where absent: 0 compares the sums
   * themselves, and what is above 0 favours long texts, as the sums are negative.
   */
  readonly lengthPenalty?: number
  /**
   * When to end, once as many texts as beams have ended. `false`, where absent: when the likeliest beam,
   * at its present length, is no better than the worst of those. `true`: at once. `"never"`: when no
   * beam could become better at any length.
   */
  readonly earlyStopping?: EarlyStopping
}

/**
 * Looks for the likeliest text of the guided distribution: of all texts of a length the `beams`
 * likeliest go on, each with its likeliest tokens. It draws nothing, so that a seed and the graph's
 * sampler have no part in it.
 *
 * Ranking, length penalty and end are those of `GenerationMixin._beam_search` (Hugging Face transformers): of the
 * likeliest continuations those that end a text (an end token, a stop string, the limit of tokens) are
 * put aside if they are among the first `beams`, the others go on until there are `beams` of them; a
 * length counts the end token. What differs: Hugging Face looks at `beams * (1 + end tokens)`
 * continuations only, here the search goes on to the next ones where stop strings end more.
 *
 * The text comes as a whole at the end. Each beam has its own cache.
 *
 * @example
 * ```ts
 * import { beamSearch, defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * // "a" is the likelier beginning, and "bb" the likelier text.
 * const next = (ids: readonly number[]) => ids.at(-1) === 2 ? [0, 0.1, 0.9] : ids.length > 1 ? [1, 1, 1] : [0, 0.55, 0.45]
 * const runtime = tableRuntime({ model: { vocabulary: [">", "a", "b"], next } })
 * const graph = defineGraph({ base: "model", strategy: beamSearch({ beams: 2 }) })
 * await using pipeline = await openPipeline(graph, { runtime })
 * assertEquals((await pipeline.generate(">", { maxTokens: 2 })).text, "bb")
 * ```
 */
export const beamSearch: StrategyPlugin<BeamSearchOptions> = defineStrategy({
  name: "beamSearch",
  options: Schema.Struct({
    beams: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    lengthPenalty: Schema.optionalKey(Schema.Finite),
    earlyStopping: Schema.optionalKey(Schema.Union([Schema.Boolean, Schema.Literal("never")])),
  }),
  async *run({ beams: width = 4, lengthPenalty = 1, earlyStopping = false }, sequence) {
    const longest = sequence.room
    const ended = new Hypotheses<Beam>({ width, lengthPenalty, earlyStopping, longest })
    let beams: readonly Beam[] = [{ sequence, logProb: 0 }]
    for (let length = 1;; length++) {
      const going: Beam[] = []
      let rank = 0
      for await (const continuation of continuations(beams, 2 * width)) {
        const beam = await grow(continuation)
        if (beam.sequence.ended === undefined) going.push(beam)
        else {
          const dropped = rank < width ? ended.add(beam, beam.logProb, length) : beam
          dropped?.sequence.close()
        }
        rank++
        // At the limit of tokens all have ended, and there is none to wait for.
        if (going.length === width || (length === longest && rank === width)) break
      }
      // There was no token to choose: let that be said.
      if (rank === 0) await beams[0].sequence.step()
      for (const { sequence } of beams) sequence.close()
      beams = going
      if (beams.length === 0 || ended.isDone(beams[0].logProb, length)) break
    }
    for (const { sequence } of [...beams, ...ended.others]) sequence.close()
    yield ended.best!.sequence
  },
})
