/** @module Speculative decoding of a guided text: several tokens a step, from the same distribution. */
import { Schema } from "effect"
import { defineStrategy, type RewardSource, type StrategyPlugin } from "genarm/plugin"
import { type DraftCosts, DraftLength } from "./_draft_length.ts"
export type { DraftCosts } from "./_draft_length.ts"
import { Drafts } from "./_drafts.ts"

/** A model that drafts: see `ArmOptions`; the same as a reward's, it is run once for both. */
export interface DraftModel {
  /** A model with the base's tokenizer; the base where absent. */
  readonly model?: string
  /** A branch, tag or commit of a hub model. */
  readonly revision?: string
  /** How its weights are held. */
  readonly weights?: "f32" | "q8" | "q4"
  /** A low-rank adapter on it. */
  readonly adapter?: string
  /** How the prompt is put to it: see `ModelRef.template`. */
  readonly template?: string
}

/** Options of `speculative`. */
export interface SpeculativeOptions {
  /**
   * Where drafts come from: `"lookup"`, the text itself, or a model that is cheaper than the guided
   * step, such as a small reward model of the graph.
   */
  readonly draft: "lookup" | DraftModel
  /** Tokens drafted at once at most, 8 where absent; how many are is adapted to what is accepted. */
  readonly most?: number
  /**
   * For a draft that is a reward's model and about as costly as the base: the two propose in turn.
   * What one proposes the other verifies while it goes on (CoS, https://arxiv.org/abs/2502.01662).
   */
  readonly alternate?: boolean
  /**
   * What drafting a token, and running a drafted token along with a step, costs in steps of the guided
   * text. Where absent, drafting is estimated from the models' sizes, and verifying is 0.15; with 4-bit
   * weights it is nearer to 0.4. They decide how much is drafted, never from which distribution.
   */
  readonly costs?: Partial<DraftCosts>
}

const share = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * Draws the same texts from the same distribution as plain decoding, several tokens for one run of the
 * models: a draft is run in one go, and each of its tokens accepted with probability `min(1, p / q)` by
 * the guided distribution `p` and the draft's `q`; the first that is refused is drawn anew from
 * `max(0, p - q)`. With `greedy()` the text is the same token by token.
 *
 * Fast Inference from Transformers via Speculative Decoding, https://arxiv.org/abs/2211.17192, for the
 * distributions of guided texts: https://arxiv.org/abs/2311.14479, section 4.
 *
 * Where drafts do not pay it takes plain steps, and tries one now and then. A seed gives the same text
 * on every machine, not the same as without speculation.
 *
 * @example
 * ```ts
 * import { arm, defineGraph, speculative } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const small = { model: "./models/small-arm" }
 * const graph = defineGraph({
 *   base: "./models/base",
 *   rewards: { cheerful: { reward: arm(small), weight: 1 } },
 *   strategy: speculative({ draft: small }), // the reward model drafts what it will judge anyway
 * })
 * assertEquals(graph.strategy?.plugin, "speculative")
 * ```
 */
export const speculative: StrategyPlugin<SpeculativeOptions> = defineStrategy({
  name: "speculative",
  options: Schema.Struct({
    draft: Schema.Union([
      Schema.Literal("lookup"),
      Schema.Struct({
        model: Schema.optionalKey(Schema.NonEmptyString),
        revision: Schema.optionalKey(Schema.NonEmptyString),
        weights: Schema.optionalKey(Schema.Literals(["f32", "q8", "q4"])),
        adapter: Schema.optionalKey(Schema.NonEmptyString),
        template: Schema.optionalKey(Schema.NonEmptyString),
      }),
    ]),
    most: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    alternate: Schema.optionalKey(Schema.Boolean),
    costs: Schema.optionalKey(Schema.Struct({
      draft: Schema.optionalKey(share),
      verify: Schema.optionalKey(share),
    })),
  }).check(Schema.makeFilter(({ draft, alternate }) =>
    alternate !== true || draft !== "lookup" ||
    { path: ["alternate"], issue: "Expected a draft model to take turns with" }
  )),
  sources: ({ draft }): Record<string, RewardSource> => draft === "lookup" ? {} : { draft },
  async *run({ most = 8, alternate = false, costs = {} }, sequence) {
    const model = sequence.models.draft
    const { draft: draftCost = model === undefined ? 0 : model.cost ?? 0.15, verify = 0.15 } = costs
    const length = new DraftLength(most, { draft: draftCost, verify })
    const drafts = new Drafts(sequence)
    let proposer = model
    while (sequence.ended === undefined) {
      const wanted = proposer === model ? length.next() : 1
      const count = Math.min(wanted, sequence.room - 1, proposer?.room ?? Infinity)
      const ids = proposer === undefined
        ? drafts.lookUp(count)
        : await drafts.propose(proposer, count)
      if (ids.length === 0) {
        await sequence.step()
        yield sequence
        continue
      }
      // In turns, the one that proposed reads its last token when it is to propose or judge again.
      await sequence.preview(ids, alternate && proposer ? { except: proposer } : {})
      const accepted = await drafts.verify(ids, proposer !== undefined)
      if (proposer === model) length.record(ids.length, accepted)
      if (sequence.ended === undefined && accepted === ids.length) {
        if (alternate) proposer = proposer === model ? sequence.base : model
        else await sequence.step()
      } else proposer = model
      yield sequence
    }
  },
})
