/**
 * Drafts from the text itself: what followed the last few tokens where they stood before. Free, and
 * good where a text repeats its prompt: quotes, names, code, lists.
 * https://github.com/apoorvumang/prompt-lookup-decoding
 */

/** Tokens that must recur, at most and at least. */
const [longest, shortest] = [4, 2]

/**
 * The tokens that followed the latest earlier occurrence of the end of `ids`, none or `count` of them:
 * where that runs into the end itself, the text goes round.
 */
export function lookUp(ids: readonly number[], count: number): number[] {
  for (let size = Math.min(longest, ids.length - 1); size >= shortest; size--) {
    const end = ids.length - size
    for (let at = end - 1; at >= 0; at--) {
      let same = 0
      while (same < size && ids[at + same] === ids[end + same]) same++
      if (same < size) continue
      const draft: number[] = []
      const period = end - at
      for (let i = 0; i < count; i++) draft.push(ids[at + size + i % period])
      return draft
    }
  }
  return []
}
