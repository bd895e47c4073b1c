/**
 * Makes ids less likely that have been there: a score below 0 is multiplied by the penalty, another
 * divided by it (CTRL, https://arxiv.org/abs/1909.05858, as Hugging Face's
 * `RepetitionPenaltyLogitsProcessor` completes it).
 *
 * The rule depends on where 0 lies. Of log-probabilities, all of which are below it, it takes the power:
 * `p` becomes `p^penalty`, before what is left is normalised anew.
 *
 * @param scores `[vocab]`, changed in place.
 * @param ids each once; those outside the vocabulary are passed over.
 * @param penalty above 0: over 1 against repetition, under 1 for it.
 *
 * @example
 * ```ts
 * import { penalizeRepeats } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * const scores = Float32Array.of(-1, -2, 4)
 * penalizeRepeats(scores, [1, 2], 2)
 * assertEquals([...scores], [-1, -4, 2])
 * ```
 */
export function penalizeRepeats(
  scores: Float32Array,
  ids: Iterable<number>,
  penalty: number,
): void {
  for (const id of ids) {
    if (id >= scores.length) continue
    const score = scores[id]
    scores[id] = score < 0 ? score * penalty : score / penalty
  }
}
