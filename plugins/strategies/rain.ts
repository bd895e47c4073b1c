/** @module A tree search that looks ahead, and takes back what has come to nothing. */
import { Schema } from "effect"
import { defineStrategy, type GuidedSequence, type StrategyPlugin } from "genarm/plugin"
import { rewardOf } from "./_judged.ts"
import { TreeNode } from "./_rain_tree.ts"
import { anotherSet, tokenSets } from "./_token_sets.ts"

/** Options of `rain`. */
export interface RainOptions {
  /** The name of the reward that judges; it may have a weight of 0. */
  readonly by: string
  /** Rewards that are as bad and as good as can be; what is beyond them counts as they do. */
  readonly range: readonly [bad: number, good: number]
  /** Judges by the reward for each token written, rather than by their total. */
  readonly perToken?: boolean
  /** Searches for each token set at most, those of earlier sets that led there counted; 50 where absent. */
  readonly searches?: number
  /** Token sets tried after each, 10 where absent; up to 20 where all are bad. */
  readonly width?: number
  /** Tokens written ahead of a token set before it is judged, 10 where absent. */
  readonly ahead?: number
  /**
   * How much priors count against values, 2 where absent: less of it makes more of a reward whose values
   * differ little.
   */
  readonly exploration?: number
  /** The value from -1 to 1 above which a token set is good enough to end the search; 0.8 where absent. */
  readonly enough?: number
  /** Visits that it must have had more of, to be trusted; 6 where absent. */
  readonly visits?: number
}

/** New searches for a token set at least, however much is known. */
const fresh = 15

/** Children of a node at most, where all are bad. */
const widest = 20

/**
 * Rewindable auto-regressive inference (RAIN, https://arxiv.org/abs/2309.07124), with a reward of the
 * graph in the place of the model's judgement of itself. The text grows by token sets: one token, then
 * two, four, and ten each time. Before each, a tree of what may follow is searched, again and again from
 * the end of the text: down by PUCT, `(value + 1) / 2 + 2 * prior * sqrt(parent's visits) / (1 + visits)`;
 * the leaf is continued by `ahead` tokens and judged, its children are opened (the ten likeliest tokens
 * at the beginning of a text, later the likeliest path and nine draws, with their probabilities as
 * priors, below the root mixed with a quarter of the uniform), and the value goes into the means of all
 * above it. The child that was visited most is taken, once it is good enough or the searches are done,
 * and the search goes on with what is known below it.
 *
 * Rules and defaults are those of https://github.com/SafeAILab/RAIN (HH). What differs: a reward, scaled
 * from `range` to -1 and 1, stands for the model's answers to whether the text is harmless; the text is
 * continued by a number of tokens, there to the next punctuation mark; tokens are drawn as the graph's
 * sampler draws, there from the likeliest 15. There are no sentence embeddings: a value is not shared
 * with siblings of like meaning, and a further child is opened where all have been visited and are below
 * 0, whether or not they are alike.
 *
 * A token set is told once it is taken. It needs a reward that can judge beginnings: one of texts, or
 * one that adds up over tokens, best with `perToken`; choose the `range` so that good and bad texts are
 * near its ends, as values that differ little leave the choice to the priors. Each search reads some ten tokens ten times: fast
 * it is not.
 *
 * @example
 * ```ts
 * import { defineGraph, logitBias, openPipeline, rain, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({ coin: { vocabulary: ["h", "t"], next: () => [1, 1] } })
 * const graph = defineGraph({
 *   base: "coin",
 *   rewards: { heads: { reward: logitBias({ bias: { h: 1 } }), weight: 0 } },
 *   strategy: rain({ by: "heads", range: [0, 1], perToken: true, ahead: 0 }),
 * })
 * await using pipeline = await openPipeline(graph, { runtime })
 * const { text } = await pipeline.generate("h", { maxTokens: 3, seed: 1 })
 * assertEquals(text, "hhh")
 * ```
 */
export const rain: StrategyPlugin<RainOptions> = defineStrategy({
  name: "rain",
  options: Schema.Struct({
    by: Schema.NonEmptyString,
    range: Schema.Tuple([Schema.Finite, Schema.Finite]),
    perToken: Schema.optionalKey(Schema.Boolean),
    searches: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    width: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
    ahead: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    exploration: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
    enough: Schema.optionalKey(Schema.Finite),
    visits: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  }).check(
    Schema.makeFilter(({ range: [bad, good] }) =>
      bad !== good || { path: ["range"], issue: "Expected two rewards that differ" }
    ),
  ),
  rewards: ({ by }) => ({ by }),
  async *run(options, sequence) {
    const { searches = 50, enough = 0.8, visits = 6 } = options
    let root = new TreeNode({ ids: [], chance: 1 })
    while (sequence.ended === undefined) {
      await sequence.evaluate() // once for all searches
      const most = Math.max(searches, root.visits + fresh)
      while (root.visits < most) {
        await search(options, sequence, root)
        const found = root.favourite
        if (found !== undefined && found.visits > visits && found.value > enough) break
      }
      root = root.favourite!
      root.becomeRoot()
      await follow(sequence, root.set.ids)
      yield sequence
    }
  },
})

/** Searches once: to a leaf, which is judged and opened. */
async function search(options: RainOptions, text: GuidedSequence, root: TreeNode): Promise<void> {
  const { width = 10, ahead = 10, exploration = 2 } = options
  const path: number[] = []
  let node = root
  while (node.children.length > 0) {
    if (node.isPoor && node.children.length < widest) {
      const end = await copyAt(text, path)
      const set = await anotherSet(end, node.depth, node.children.length)
      end.close()
      if (set !== undefined) node.add(set)
    }
    node = node.select(exploration)
    path.push(...node.set.ids)
  }
  const leaf = await copyAt(text, path)
  if (leaf.ended === undefined) {
    await leaf.evaluate()
    node.expand(await tokenSets(leaf, node.depth, width))
  }
  for (let i = 0; i < ahead && leaf.ended === undefined; i++) await leaf.step()
  node.backUp(await judge(options, leaf))
  leaf.close()
}

/** The text with tokens after it, as a copy. */
async function copyAt(text: GuidedSequence, ids: readonly number[]): Promise<GuidedSequence> {
  const copy = text.fork()
  await follow(copy, ids)
  return copy
}

/** Goes on by tokens, which the models read all at once. */
async function follow(sequence: GuidedSequence, ids: readonly number[]): Promise<void> {
  await sequence.preview(ids.slice(0, sequence.room - 1))
  for (const id of ids) {
    await sequence.evaluate()
    sequence.accept(id, 0)
  }
}

/** A reward from -1 to 1. */
async function judge(
  { by, range: [bad, good], perToken = false }: RainOptions,
  sequence: GuidedSequence,
): Promise<number> {
  const reward = await rewardOf(sequence, by) /
    (perToken ? Math.max(1, sequence.ids.length) : 1)
  return Math.min(1, Math.max(-1, 2 * (reward - bad) / (good - bad) - 1))
}
