import { regionFor } from "./kernels/region.ts"

/**
 * Whether every score is below Infinity: a number, or -Infinity for an id that is ruled out. What
 * breaks this is NaN or Infinity, from a broken model or weights that overflow.
 *
 * @param scores `[vocab]`, any unit.
 *
 * @example
 * ```ts
 * import { areBelowInfinity } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(areBelowInfinity(Float32Array.of(1, -Infinity)), true)
 * assertEquals(areBelowInfinity(Float32Array.of(1, NaN)), false)
 * ```
 */
export function areBelowInfinity(scores: Float32Array): boolean {
  const region = regionFor(scores)
  return region.kernels.areBelowInfinity(region.place(scores))
}
