/** The ids of the highest scores, without sorting them all. */

/** `count` ids at most, best first; of equals the lowest id first; none at `-Infinity`. */
export function topIds(scores: Float32Array, count: number): number[] {
  const best: number[] = []
  for (let id = 0; id < scores.length; id++) {
    if (!(scores[id] > -Infinity)) continue
    if (best.length === count && scores[id] <= scores[best[count - 1]]) continue
    let at = best.length
    while (at > 0 && scores[best[at - 1]] < scores[id]) at--
    best.splice(at, 0, id)
    if (best.length > count) best.pop()
  }
  return best
}
