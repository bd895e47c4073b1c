/**
 * The id of the greatest score: greedy decoding. Of equal scores the lowest id wins.
 *
 * @param scores `[vocab]`, any unit; NaN is ignored.
 * @returns an id, or -1 when no score is above -Infinity.
 *
 * @example
 * ```ts
 * import { argmax } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(argmax(Float32Array.of(0.5, 2, NaN, 2)), 1)
 * assertEquals(argmax(Float32Array.of(-Infinity)), -1)
 * ```
 */
export function argmax(scores: Float32Array): number {
  const size = scores.length
  const fourfold = size - (size % 4)
  let max = -Infinity
  let id = -1
  // Four behind one joint test, which is almost never true once `max` is high.
  for (let v = 0; v < fourfold; v += 4) {
    const a = scores[v]
    const b = scores[v + 1]
    const c = scores[v + 2]
    const d = scores[v + 3]
    if (a > max || b > max || c > max || d > max) {
      for (let i = v; i < v + 4; i++) {
        if (scores[i] > max) max = scores[id = i]
      }
    }
  }
  for (let v = fourfold; v < size; v++) if (scores[v] > max) max = scores[id = v]
  return id
}
