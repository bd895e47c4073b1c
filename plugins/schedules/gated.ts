/** @module A weight that depends on what the prompt asks for. */
import { Schema } from "effect"
import { defineSchedule, GenArmError, type SchedulePlugin } from "genarm/plugin"
import { featuresOf, type Gate, gateSchema, sharesOf } from "./_gate.ts"
export type { Gate } from "./_gate.ts"

/** Options of `gated`. */
export interface GatedOptions {
  /** What `trainGate` gave: the same for all rewards that it weighs. */
  readonly gate: Gate
  /** Which of the gate's rewards this one is. */
  readonly term: string
  /** The weight where the gate gives this reward all; 1 where absent. */
  readonly scale?: number
}

/**
 * The weight that a gate gives a reward by the words of the prompt: `scale` times its share, and the
 * shares of a gate's rewards add up to 1. It is the same for all tokens of a text.
 *
 * The idea is the gating layer of ArmoRM (https://arxiv.org/abs/2406.12845), with hashed words of the
 * prompt in place of a language model's hidden state. A prompt is read as the base reads it, a chat
 * template's words included: train the gate on prompts of the same form.
 *
 * @example
 * ```ts
 * import { arm, defineGraph, gated, trainGate } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const gate = trainGate([
 *   { prompt: "Prove it", chosen: { exact: 1, kind: 0 }, rejected: { exact: 0, kind: 1 } },
 *   { prompt: "Comfort me", chosen: { exact: 0, kind: 1 }, rejected: { exact: 1, kind: 0 } },
 * ])
 * const term = (name: string) => ({
 *   reward: arm({ model: `./models/${name}` }),
 *   weight: gated({ gate, term: name }),
 * })
 * const rewards = { exact: term("exact"), kind: term("kind") }
 * const graph = defineGraph({ base: "./models/base", rewards })
 * assertEquals(graph.rewards.kind.reward.plugin, "arm")
 * ```
 */
export const gated: SchedulePlugin<GatedOptions> = defineSchedule({
  name: "gated",
  options: Schema.Struct({
    gate: gateSchema,
    term: Schema.NonEmptyString,
    scale: Schema.optionalKey(Schema.Finite),
  }).check(Schema.makeFilter(({ gate, term }) =>
    gate.terms.includes(term) ||
    { path: ["term"], issue: `Expected a reward of the gate, ${gate.terms.join(" or ")}` }
  )),
  open({ gate, term, scale = 1 }, { decode, promptIds }) {
    const features = featuresOf(decode(promptIds), gate.buckets)
    const weight = scale * sharesOf(gate.weights, features)[gate.terms.indexOf(term)]
    if (!Number.isFinite(weight)) {
      throw new GenArmError(
        { _tag: "InvalidOption", path: ["gate", "weights"] },
        `gated: the gate gives "${term}" the weight ${weight}: its numbers are too large`,
      )
    }
    return { weight: () => weight }
  },
})
