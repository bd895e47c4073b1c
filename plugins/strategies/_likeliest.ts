/** The likeliest few of a vocabulary, without sorting it all. */

/** Up to `count` ids with the greatest scores, the greatest first and of equals the lowest id first. */
export function likeliest(scores: Float32Array, count: number): number[] {
  const ids: number[] = []
  let least = -Infinity
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id]
    if (!(score > least)) continue
    let [low, high] = [0, ids.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (scores[ids[middle]] >= score) low = middle + 1
      else high = middle
    }
    ids.splice(low, 0, id)
    if (ids.length > count) ids.pop()
    if (ids.length === count) least = scores[ids[count - 1]]
  }
  return ids
}
