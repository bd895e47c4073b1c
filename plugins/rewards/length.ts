/** @module Texts of a wanted length. */
import { Schema } from "effect"
import { defineReward, GenArmError, type RewardPlugin, type RewardState } from "genarm/plugin"
import { History } from "./_history.ts"
import { tokenBytes } from "./_known_tokens.ts"
import { type MeasuredText, noText, type TextLength, textLength } from "./_text_length.ts"
import type { TokenBytes } from "./_token_bytes.ts"

/** Options of `length`: at least one of `target`, `min` and `max`. */
export interface LengthOptions {
  /** The length near which a text should end. */
  readonly target?: number
  /** How many units change the score of an end by 1, in natural log; a tenth of `target` if absent. */
  readonly width?: number
  /** No text ends before it is so long. */
  readonly min?: number
  /** No text goes on beyond it: what would make it longer is ruled out. */
  readonly max?: number
  /** What is counted; tokens where absent. */
  readonly unit?: "tokens" | "words" | "sentences"
}

const from0 = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * Makes texts end near a length: the ids that end a text get `(length - target) / width`, so that an
 * end is held back before the target and pressed for after it, evenly and without a jump, and all other
 * ids get 0. `min` and `max` are hard, whatever the weight, as long as it is positive.
 *
 * The length is that of the continuation, as if it ended here. At the limit of `max` words, the last
 * word and what is no word may still be written; at that of sentences, only the end. A sentence ends
 * with `.`, `!`, `?` or `…` before white space or the end, or with `。`, `！` or `？`.
 *
 * @example
 * ```ts
 * import { defineGraph, length } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const reward = length({ target: 80, max: 120, unit: "words" })
 * const graph = defineGraph({ base: "./models/base", rewards: { brief: { reward, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*brief")
 * ```
 */
export const length: RewardPlugin<LengthOptions> = defineReward({
  name: "length",
  options: Schema.Struct({
    target: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
    width: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
    min: Schema.optionalKey(from0),
    max: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    unit: Schema.optionalKey(Schema.Literals(["tokens", "words", "sentences"])),
  }).check(Schema.makeFilter(({ target, width, min, max }) => {
    if ((target ?? min ?? max) === undefined) {
      return "Expected `target`, `min` or `max`: without one it does nothing"
    }
    if (target === undefined && width !== undefined) {
      return { path: ["width"], issue: "Expected `width` beside `target` only" }
    }
    if (max !== undefined && max < (min ?? 0)) {
      return { path: ["max"], issue: `Expected at least \`min\`, ${min}` }
    }
    return undefined
  })),
  open(options, sequence) {
    const eos = sequence.eos.filter((id) => id < sequence.vocabularySize)
    if (eos.length === 0) {
      throw new GenArmError(
        { _tag: "PluginFailed", plugin: "length" },
        "length: the base model names no id that ends a text, and length is about when to end: " +
          "expected one that does, or limit `maxTokens` instead",
      )
    }
    const counted = countedIn(options.unit ?? "tokens", tokenBytes(sequence))
    return stateOf(options, new Set(eos), counted, new History(noText))
  },
})

function stateOf(
  options: LengthOptions,
  eos: ReadonlySet<number>,
  counted: TextLength,
  history: History<MeasuredText>,
): RewardState {
  const { target, width = (target ?? 0) / 10, min = 0, max = Infinity } = options
  return {
    score(_, out) {
      const { now } = history
      out.fill(0)
      if (max !== Infinity) counted.ruleOut(now, max, out)
      const ending = target === undefined ? 0 : (now.length - target) / width
      for (const id of eos) out[id] = now.length < min ? -Infinity : ending
    },
    accept: (id) => history.push(eos.has(id) ? history.now : counted.accept(history.now, id)),
    rewind: (count) => history.rewind(count),
    fork: () => stateOf(options, eos, counted, history.fork()),
  }
}

const known = new WeakMap<TokenBytes, Map<string, TextLength>>()

/** Counting in a unit, for all sequences of a tokenizer. */
function countedIn(unit: "tokens" | "words" | "sentences", tokens: TokenBytes): TextLength {
  const byUnit = known.get(tokens) ?? new Map<string, TextLength>()
  known.set(tokens, byUnit)
  const counted = byUnit.get(unit) ?? textLength(unit, tokens)
  byUnit.set(unit, counted)
  return counted
}
