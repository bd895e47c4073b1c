/** @module Words that are wanted, or not. */
import { Schema } from "effect"
import { defineReward, GenArmError, type RewardPlugin, type RewardState } from "genarm/plugin"
import { History } from "./_history.ts"
import { tokenBytes } from "./_known_tokens.ts"
import { LexiconRows } from "./_lexicon_rows.ts"
import { beginning, LexiconScores, type TextEnd } from "./_lexicon_scores.ts"
import type { TokenBytes } from "./_token_bytes.ts"

/** Options of `lexicon`. */
export interface LexiconOptions {
  /** What each word is worth, in natural-log units; 1 each where it is a list. */
  readonly words: Readonly<Record<string, number>> | readonly string[]
  /** Whether `May` and `may` are two words; they are one where absent. */
  readonly caseSensitive?: boolean
  /**
   * Whether the beginning of a word is worth a share, by the letters that are there, so that a model
   * that writes a word in several tokens is led into it. Where absent, the last of them has it all.
   */
  readonly spread?: boolean
}

/** How much of the prompt is looked at: a word goes on from there. */
const promptTail = 64

/**
 * A score for each word of a list as it is written. What a token gets is what it adds to the score of
 * the text so far, the word at its end included as it stands: a token that makes `happy` of `hap` gets
 * the score of `happy`, and one that makes `happyish` of that gives it back. The scores of all tokens
 * so sum to that of the text's words, at every moment, or with `spread` once the text has ended.
 *
 * A word is letters, marks and digits in a row, with apostrophes inside it (`don't`), by the Unicode
 * tables of the JavaScript engine; one that the prompt leaves open goes on in the text.
 *
 * @example
 * ```ts
 * import { defineGraph, lexicon } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const mood = lexicon({ words: { happy: 2, sunny: 1, sad: -2 }, spread: true })
 * const graph = defineGraph({ base: "./models/base", rewards: { mood: { reward: mood, weight: 1.5 } } })
 * assertEquals(String(graph), "base + 1.5*mood")
 * ```
 */
export const lexicon: RewardPlugin<LexiconOptions> = defineReward({
  name: "lexicon",
  options: Schema.Struct({
    words: Schema.Union([
      Schema.Array(Schema.String),
      Schema.Record(Schema.String, Schema.Finite),
    ]),
    caseSensitive: Schema.optionalKey(Schema.Boolean),
    spread: Schema.optionalKey(Schema.Boolean),
  }).check(Schema.makeFilter((options) => {
    try {
      scoresOf(options)
      return undefined
    } catch (error) {
      if (!(error instanceof GenArmError) || error.reason._tag !== "InvalidOption") throw error
      return { path: error.reason.path, issue: error.message }
    }
  })),
  open(options, sequence) {
    const rows = rowsOf(options, tokenBytes(sequence), sequence.eos)
    let end = beginning
    for (const id of sequence.promptIds.slice(-promptTail)) end = rows.accept(end, id)
    return stateOf(rows, new Set(sequence.eos), new History(end))
  },
})

function stateOf(
  rows: LexiconRows,
  eos: ReadonlySet<number>,
  history: History<TextEnd>,
): RewardState {
  return {
    score: (_, out) => rows.writeInto(history.now, out),
    accept: (id) => history.push(eos.has(id) ? history.now : rows.accept(history.now, id)),
    rewind: (count) => history.rewind(count),
    fork: () => stateOf(rows, eos, history.fork()),
  }
}

function scoresOf({ words, caseSensitive = false, spread = false }: LexiconOptions): LexiconScores {
  return new LexiconScores(words, caseSensitive, spread)
}

/** What the sequences of one graph share, by options, vocabulary and the ids that end a text. */
const known = new WeakMap<LexiconOptions, WeakMap<TokenBytes, Map<string, LexiconRows>>>()

function rowsOf(options: LexiconOptions, tokens: TokenBytes, eos: readonly number[]): LexiconRows {
  const byTokens = known.get(options) ?? new WeakMap<TokenBytes, Map<string, LexiconRows>>()
  known.set(options, byTokens)
  const byEos = byTokens.get(tokens) ?? new Map<string, LexiconRows>()
  byTokens.set(tokens, byEos)
  const rows = byEos.get(String(eos)) ?? new LexiconRows(scoresOf(options), tokens, eos)
  byEos.set(String(eos), rows)
  return rows
}
