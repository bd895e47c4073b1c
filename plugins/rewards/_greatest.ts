/** The k-th greatest number of a row, without sorting it. */

/**
 * The `k`-th greatest of `scores`, equal ones counted each; -Infinity where there are fewer. NaN counts
 * as nothing.
 *
 * @param heap Working space, `[k]` at least.
 */
export function kthGreatest(scores: Float32Array, k: number, heap: Float32Array): number {
  if (scores.length < k) return -Infinity
  // The k greatest so far; the least of them is on top.
  const top = heap.subarray(0, k).fill(-Infinity)
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]
    if (!(score > top[0])) continue
    let hole = 0
    while (true) {
      let child = 2 * hole + 1
      if (child + 1 < k && top[child + 1] < top[child]) child++
      if (child >= k || top[child] >= score) break
      top[hole] = top[child]
      hole = child
    }
    top[hole] = score
  }
  return top[0]
}
