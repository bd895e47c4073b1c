/** @module A reward whose models have another tokenizer than the base. */
import { Schema } from "effect"
import { logSumExp } from "genarm/math"
import {
  defineReward,
  nodeSchema,
  type PluginNode,
  rewardParts,
  type RewardPlugin,
  type RewardState,
  type TextModel,
} from "genarm/plugin"
import { longestMatches } from "./_longest_match.ts"
import { type Respelling, respelling, spelledCandidates } from "./_respelling.ts"

/** Options of `crossTokenizer`. */
export interface CrossTokenizerOptions {
  /** A reward of models that all have one tokenizer: `arm`, `contrast`, a `sum` of such ... */
  readonly of: PluginNode<"reward">
  /** How many of the likeliest tokens are scored, 32 where absent; all others are ruled out. */
  readonly candidates?: number
  /**
   * Whether a candidate is worth the probability of its text less that of the longer candidates that go
   * on from it; false where absent. For rewards that are log-probabilities, as `arm` and `prompted` are.
   */
  readonly longestMatch?: boolean
}

const schema: Schema.Codec<CrossTokenizerOptions, CrossTokenizerOptions> = Schema.Struct({
  of: nodeSchema("reward"),
  candidates: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  longestMatch: Schema.optionalKey(Schema.Boolean),
})

/**
 * Lets a reward guide a base that has another tokenizer. A candidate token is spelled in the reward's own
 * tokens, and is worth what those are worth one after the other:
 *
 * `score(v) = r(text + v) - r(text)`, with `r(y) = sum_t log pi_r(y_t | x, y_<t)` over the reward's tokens
 *
 * so that the scores of a text's tokens add up to the reward of the whole text, `r(x, y)`.
 *
 * With a byte-level reward model (every token is one byte) this is exact: there is one way to spell a
 * text, and the score of a token is the log-probability of its bytes after all bytes before it. With other
 * tokenizers a word that is half written is spelled otherwise than the whole one will be, and may look
 * less likely than it is; only the total is right. Prefer a byte-level model where you train one.
 *
 * `longestMatch` is for what the total does not see. The bytes of " a" begin " and" and " are" too, so that
 * a short token is worth as much as all that may follow, but the base, once it has written " a", seldom
 * writes the rest in pieces: weights of 1 and more then favour tokens that lead nowhere. With it
 *
 * `score(v) = log(P(text + v) - sum_u P(text + u)) - r(text)`, with `P = exp(r)`
 *
 * over the candidates `u` that go on from `v` with no candidate between: the log-probability that `v` is
 * the longest candidate that the text goes on with, as tokenizers match them. The candidates' probabilities
 * then add up to no more than one, as those of a reward model with the base's own tokens do; the scores of
 * a text's tokens add up to the log-probability of its tokens, which is less than that of its bytes (on the
 * two, see https://arxiv.org/abs/2412.03719 and https://arxiv.org/abs/2410.09303). The README of the
 * examples' models has figures of both ways.
 *
 * What has been written is read once, and the candidates go on from there in one batch, one that others
 * begin with in their row: a step costs the candidates' bytes in rows of the reward's model, so that the
 * model should be small. An end token of the base is that of the reward's model; other tokens
 * without text are ruled out, and so is what the reward's tokenizer cannot spell.
 *
 * @throws {GenArmError} `PluginFailed` for a reward without models, which needs no bridge, for one that
 * keeps state of the tokens, when its models have different tokenizers or too short a context, and when
 * `longestMatch` is asked of a reward whose scores are no log-probabilities.
 *
 * @example
 * ```ts
 * import { arm, crossTokenizer, defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { assertAlmostEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({
 *   // Writes "yes" and "no"; the reward reads letters, and likes the first of them to be an n.
 *   words: { vocabulary: ["yes", "no"], next: () => [1, 1] },
 *   letters: {
 *     vocabulary: ["y", "e", "s", "n", "o"],
 *     next: (ids) => "so".includes("yesno"[ids.at(-1)!]) ? [0.1, 0, 0, 0.9, 0] : [0, 0.4, 0.1, 0, 0.5],
 *   },
 * })
 * const reward = crossTokenizer({ of: arm({ model: "letters" }) })
 * const graph = defineGraph({ base: "words", rewards: { n: { reward, weight: 1 } } })
 * await using pipeline = await openPipeline(graph, { runtime })
 * const { rewards } = await pipeline.score("yes", "no")
 * assertAlmostEquals(rewards.n, Math.log(0.9 * 0.5), 1e-6)
 * ```
 */
export const crossTokenizer: RewardPlugin<CrossTokenizerOptions> = defineReward({
  name: "crossTokenizer",
  options: schema,
  models: ({ of }) => {
    const { sources } = rewardParts([of])
    if (Object.keys(sources).length > 0) return sources
    throw new Error(
      `the reward "${of.plugin}" runs no model, and needs no bridge to the base's tokenizer: use it as ` +
        "it is",
    )
  },
  open({ of, candidates = 32, longestMatch = false }, sequence, models) {
    const [model] = Object.values(models)
    checkTokenizers(of.plugin, models)
    const parts = { of, candidates, longestMatch, spelling: respelling(sequence, model) }
    return openState(parts, models)
  },
})

type Models = Readonly<Record<string, TextModel>>

/** What a state and its forks have in common. */
interface Parts {
  readonly of: PluginNode<"reward">
  readonly candidates: number
  readonly longestMatch: boolean
  readonly spelling: Respelling
}

function openState(parts: Parts, models: Models): RewardState {
  const { of, candidates, longestMatch, spelling } = parts
  const [model] = Object.values(models)
  const state = rewardParts([of]).open(model).state((out, parts) => parts.score(0, out))
  if (state.accept !== undefined) {
    state.close?.()
    throw new Error(
      `the reward "${of.plugin}" keeps state of the tokens, and its tokens are not the base's: use ` +
        "one that goes by its models alone",
    )
  }
  const scores = new Float32Array(model.width)

  /** The log-probabilities that the reward gives texts after the ids that all share. */
  const totals = async (texts: readonly (readonly number[])[], shared: number) => {
    // A token is judged by what stands before it: the last one need not be read.
    const beginnings = texts.map((text) => text.slice(0, Math.max(shared, text.length - 1)))
    const rows = await readAll(models, beginnings, shared)
    // All go on from the same place: what the reward says there is asked once.
    const first = new Float32Array(model.width)
    state.score!(rowsAt(rows, 0, 0), first)
    if (longestMatch) checkLogProbabilities(of.plugin, first)
    return texts.map((text, i) =>
      text.slice(shared).reduce((total, id, step) => {
        if (step > 0) state.score!(rowsAt(rows, i, step), scores)
        return total + (step > 0 ? scores : first)[id]
      }, 0)
    )
  }
  return {
    candidates,
    async scoreCandidates(asked) {
      const { texts, shared, scores } = spelledCandidates(spelling, asked)
      const given = await totals(texts, shared)
      // The first is the text before: all candidates go on from it, and its own share is not asked.
      const [before, ...after] = given
      const matched = longestMatch
        ? longestMatches(texts.slice(1).map((text) => text.slice(shared)), after)
        : after
      // What was impossible stays out of the difference: all candidates would be NaN.
      return scores(matched, before === -Infinity ? 0 : before)
    },
    fork: (models) => openState(parts, models),
    close: () => state.close?.(),
  }
}

/** Rows by model, text and step. */
type Rows = Readonly<Record<string, readonly (readonly Float32Array[])[]>>

/** Reads texts, each after the prompt of its model; `shared` ids after the prompt are the same in all. */
async function readAll(
  models: Models,
  texts: readonly (readonly number[])[],
  shared: number,
): Promise<Rows> {
  const read = Object.entries(models).map(async ([name, { promptIds, read }]) => {
    const whole = texts.map((text) => [...promptIds, ...text])
    return [name, await read(whole, promptIds.length + shared)] as const
  })
  return Object.fromEntries(await Promise.all(read))
}

function rowsAt(rows: Rows, text: number, step: number): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(rows).map(([name, texts]) => [name, texts[text][step]]))
}

function checkLogProbabilities(reward: string, scores: Float32Array): void {
  const total = Math.exp(logSumExp(scores))
  if (Math.abs(total - 1) < 1e-3) return
  const found = total.toPrecision(4)
  throw new Error(
    `longestMatch needs log-probabilities, and the exponentials of what the reward "${reward}" gives ` +
      `the next token add up to ${found}: expected 1. Use arm, prompted or normalize by logSoftmax ` +
      "inside, or leave longestMatch out",
  )
}

function checkTokenizers(reward: string, models: Models): void {
  const [[firstName, first], ...rest] = Object.entries(models)
  for (const [name, { width, token }] of rest) {
    let id = 0
    while (id < first.width && width === first.width && token(id) === first.token(id)) id++
    if (id === first.width) continue
    throw new Error(
      `the models of the reward "${reward}" have different tokenizers (${ownName(firstName)} and ${
        ownName(name)
      } differ ` +
        `at id ${id}): expected one, as they are read side by side`,
    )
  }
}

/** A source as the reward inside calls it: `expert`, not `0.expert`. */
function ownName(source: string): string {
  return source.slice(source.indexOf(".") + 1)
}
