/**
 * Making a pair of token ids fit, in this order:
 *
 * 1. a prompt longer than `maxPromptTokens` is cut to it;
 * 2. where prompt and longer response exceed `maxTokens`, the prompt is cut further by what they
 *    exceed, but keeps half of `maxTokens`;
 * 3. a response that still does not fit is cut to what the prompt leaves.
 *
 * Prompts lose their beginning, but keep the tokens that begin every text (BOS). Responses lose their
 * end, and with it EOS: the text did not end there.
 */
import type { TokenPair } from "./pairs.ts"

/** What a pair must fit into. */
export interface Room {
  /** Tokens of a prompt and a response together, EOS included. */
  readonly maxTokens: number
  /** Tokens of a prompt; no more than `maxTokens` where absent. */
  readonly maxPromptTokens: number | undefined
  /** The ids that begin a text, which a cut leaves in place. */
  readonly opening: readonly number[]
}

/** The pair, cut where it must be. */
export function cutPair(pair: TokenPair, room: Room): TokenPair {
  const { maxTokens, maxPromptTokens = Infinity, opening } = room
  const longer = Math.max(pair.chosen.length, pair.rejected.length)
  const left = Math.max(maxTokens - longer, Math.floor(maxTokens / 2))
  const prompt = cutPrompt(pair.prompt, Math.min(maxPromptTokens, left), opening)
  const size = Math.max(0, maxTokens - prompt.length)
  return { prompt, chosen: pair.chosen.slice(0, size), rejected: pair.rejected.slice(0, size) }
}

function cutPrompt(
  ids: readonly number[],
  size: number,
  opening: readonly number[],
): readonly number[] {
  if (ids.length <= size) return ids
  const kept = opening.every((id, i) => id === ids[i]) ? opening : []
  const rest = Math.max(0, size - kept.length)
  return [...kept, ...ids.slice(ids.length - rest)]
}
