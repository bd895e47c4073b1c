/** What a graph says of a continuation that is given. */
import { checkIds } from "../engine/engine.ts"
import { GenArmError } from "../errors.ts"
import { closeQuietly } from "../plugin/close_all.ts"
import type { Cancellation } from "./generate.ts"
import type { OpenGraph } from "./open_graph.ts"
import { encodeContinuation } from "./prompt.ts"
import { Sequence } from "./sequence.ts"
import type { Prompt, Score, ScoredToken } from "./types.ts"

/** Tokens whose distributions are held at once. */
const chunkTokens = 32

/** Scores a continuation token by token, as if each had been chosen. */
export async function score(
  graph: OpenGraph,
  prompt: Prompt,
  continuation: string | readonly number[],
  cancellation: Cancellation,
): Promise<Score> {
  const sequence = Sequence.open(graph, prompt)
  const stop = () => closeQuietly(() => sequence.close())
  cancellation.add(stop)
  try {
    const { tokenizer, engine } = graph.base.model
    const ids = encodeContinuation(tokenizer, prompt, sequence.promptIds, continuation)
    checkIds(ids, engine.vocabularySize, "the base")
    if (ids.length > sequence.runs.room) {
      throw new GenArmError(
        { _tag: "InvalidPrompt" },
        `the continuation is ${ids.length} tokens long, and ${sequence.runs.room} fit into the ` +
          "models' context after this prompt",
      )
    }
    const tokens: ScoredToken[] = []
    for (let at = 0; at < ids.length; at += chunkTokens) {
      if (cancellation.error !== undefined) throw cancellation.error
      const chunk = ids.slice(at, at + chunkTokens)
      // The last token of all is judged by what precedes it, and need not be run.
      const isLast = at + chunk.length === ids.length
      await sequence.runs.preview(isLast ? chunk.slice(0, -1) : chunk)
      for (const id of chunk) tokens.push(await scoreToken(sequence, id, ids.length))
    }
    return await total(sequence, ids, tokens)
  } catch (error) {
    throw cancellation.error ?? error
  } finally {
    cancellation.delete(stop)
    sequence.close()
  }
}

async function scoreToken(
  sequence: Sequence,
  id: number,
  maxTokens: number,
): Promise<ScoredToken> {
  await sequence.evaluate(maxTokens)
  await sequence.completeScores(id)
  const normalizer = sequence.normalize()
  const token: ScoredToken = {
    id,
    logprob: { base: sequence.baseLogProb(id), guided: sequence.guidedLogProb(id, normalizer) },
    rewards: sequence.rewardsOf(id),
    weights: sequence.namedWeights(),
  }
  sequence.accept(id)
  return token
}

async function total(
  sequence: Sequence,
  ids: readonly number[],
  tokens: readonly ScoredToken[],
): Promise<Score> {
  const sum = (value: (token: ScoredToken) => number) =>
    tokens.reduce((total, token) => total + value(token), 0)
  const rewards: Record<string, number> = {}
  for (const term of sequence.terms) {
    const { name } = term
    rewards[name] = await sequence.scoreText(term) ?? sum(({ rewards }) => rewards[name])
  }
  return {
    ids,
    tokens,
    base: sum(({ logprob }) => logprob.base),
    guided: sum(({ logprob }) => logprob.guided),
    rewards,
  }
}
