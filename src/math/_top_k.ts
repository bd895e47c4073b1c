import { GROUP } from "./kernels/constants.ts"
import type { Region } from "./kernels/region.ts"

/**
 * The score that the top-k step keeps: the k-th greatest, 1 <= k <= vocab. `scores` holds no NaN, and
 * the maxima of its groups stand in the region.
 */
export function topKThreshold(region: Region, scores: Float32Array, k: number): number {
  const { maxima, candidates } = region
  // Each of k groups has a score at the k-th greatest maximum or over it: so is the threshold.
  let floor = -Infinity
  if (k <= maxima.length) {
    candidates.set(maxima)
    floor = nthGreatest(candidates, maxima.length, k)
  }
  let count = 0
  for (let g = 0; g < maxima.length; g++) {
    if (maxima[g] < floor) continue
    const to = Math.min((g + 1) * GROUP, scores.length)
    for (let v = g * GROUP; v < to; v++) if (scores[v] >= floor) candidates[count++] = scores[v]
  }
  return nthGreatest(candidates, count, k)
}

/** The n-th greatest of the first `count` values, 1 <= n <= count, reordering them: quickselect. */
function nthGreatest(values: Float32Array, count: number, n: number): number {
  const place = n - 1
  let from = 0
  let to = count - 1
  while (from < to) {
    const pivot = median(values[from], values[(from + to) >> 1], values[to])
    let i = from
    let j = to
    while (i <= j) {
      while (values[i] > pivot) i++
      while (values[j] < pivot) j--
      if (i > j) break
      const value = values[i]
      values[i++] = values[j]
      values[j--] = value
    }
    // All up to j are >= pivot, all from i are <= pivot, and between them all are the pivot.
    if (place <= j) to = j
    else if (place >= i) from = i
    else return pivot
  }
  return values[place]
}

function median(a: number, b: number, c: number): number {
  return a > b ? (b > c ? b : a > c ? c : a) : a > c ? a : b > c ? c : b
}
