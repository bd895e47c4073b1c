/** The likeliest tokens of a step, for traces. */
import type { Sequence } from "./sequence.ts"
import type { TopToken } from "./types.ts"

/** The `count` ids of the highest guided scores, best first; of equals the lowest id first. */
export function topTokens(
  sequence: Sequence,
  count: number,
  normalizer: number,
  tokenizer: { decode(ids: readonly number[]): string },
): TopToken[] {
  const { scores } = sequence
  const best: number[] = []
  for (let id = 0; id < scores.length; id++) {
    if (scores[id] === -Infinity) continue
    if (best.length === count && scores[id] <= scores[best[count - 1]]) continue
    let at = best.length
    while (at > 0 && scores[best[at - 1]] < scores[id]) at--
    best.splice(at, 0, id)
    if (best.length > count) best.pop()
  }
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
