/**
 * The text that tokens add to a prompt. A tokenizer may treat the first token of a text differently
 * (SentencePiece drops its space), so that the end of the prompt is decoded with them.
 */

import { commonLength } from "./common_length.ts"

/** Tokens of the prompt that are decoded with the text. */
export const promptTail = 6

/** Decodes `ids` as they stand after `promptIds`; bytes that are no character are U+FFFD. */
export function textAfter(
  promptIds: readonly number[],
  ids: readonly number[],
  decode: (ids: readonly number[]) => string,
): string {
  const tail = promptIds.slice(-promptTail)
  const before = decode(tail)
  const all = decode([...tail, ...ids])
  if (all.startsWith(before)) return all.slice(before.length)
  // The text completes a character that the prompt had begun.
  return all.slice(commonLength(before, all))
}
