import { GROUP } from "./kernels/constants.ts"
import { regionFor } from "./kernels/region.ts"

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
  if (scores.length === 0) return -1
  const region = regionFor(scores)
  const { maxima } = region
  region.kernels.groupMaxima(region.place(scores), maxima)
  let max = -Infinity
  let group = -1
  for (let g = 0; g < maxima.length; g++) if (maxima[g] > max) max = maxima[group = g]
  return group < 0 ? -1 : scores.indexOf(max, group * GROUP)
}
