/** The likeliest tokens of a step, for traces. */
import type { Sequence } from "./sequence.ts"
import { topIds } from "./top_ids.ts"
import type { TopToken } from "./types.ts"

/** The `count` ids of the highest guided scores, best first; of equals the lowest id first. */
export function topTokens(
  sequence: Sequence,
  count: number,
  normalizer: number,
  tokenizer: { decode(ids: readonly number[]): string },
): TopToken[] {
  const best = topIds(sequence.scores, count)
  return best.map((id) => ({
    id,
    text: tokenizer.decode([id]),
    logprob: {
      base: sequence.baseLogProb(id),
      guided: sequence.guidedLogProb(id, normalizer),
    },
    rewards: sequence.rewardsOf(id),
  }))
}
