/**
 * Trade-offs between two qualities: the settings that no other beats in both, and how much ground
 * they cover. Greater is better on both axes; put in a cost, such as a divergence, with its sign
 * turned.
 */
import { GenArmError } from "../errors.ts"

/** `[x, y]`, both the greater the better. */
export type Point = readonly [number, number]

/**
 * The points that no other beats: none is at least as good in both and better in one. Equal points
 * are all kept.
 *
 * @returns Their indices, by rising x.
 * @throws {GenArmError} Reason `InvalidOption` when a coordinate is NaN.
 *
 * @example
 * ```ts
 * import { paretoFront } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(paretoFront([[3, 1], [1, 1], [1, 3], [2, 2]]), [2, 3, 0])
 * ```
 */
export function paretoFront(points: readonly Point[]): number[] {
  points.forEach((point, i) => checkPoint(point, ["points", i]))
  const order = points.map((_, i) => i).sort((a, b) =>
    points[b][0] - points[a][0] || points[b][1] - points[a][1] || b - a
  )
  const front: number[] = []
  let best: Point | undefined
  for (const i of order) {
    const [x, y] = points[i]
    const isEqual = best !== undefined && x === best[0] && y === best[1]
    if (best !== undefined && !(y > best[1]) && !isEqual) continue
    best = points[i]
    front.push(i)
  }
  return front.reverse()
}

/**
 * The area that the points dominate above a reference point: the union of the rectangles between
 * each point and the reference. Points that are not above it in both add nothing.
 *
 * @throws {GenArmError} Reason `InvalidOption` when a coordinate is NaN.
 *
 * @example
 * ```ts
 * import { hypervolume } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(hypervolume([[1, 3], [2, 2], [1, 1]], [0, 0]), 5)
 * ```
 */
export function hypervolume(points: readonly Point[], reference: Point): number {
  checkPoint(reference, ["reference"])
  const front = paretoFront(points).map((i) => points[i])
    .filter(([x, y]) => x > reference[0] && y > reference[1])
  let area = 0
  let from = reference[0]
  for (const [x, y] of front) {
    // Of equal points, only the first is any wider than what came before.
    if (x > from) area += (x - from) * (y - reference[1])
    from = x
  }
  return area
}

/**
 * How well results follow preferences: the mean over settings of the inner product of the
 * preference, e.g. `[0.3, 0.7]`, with the qualities it led to.
 *
 * @throws {GenArmError} Reason `InvalidOption` when there is none, or the lists differ in length.
 *
 * @example
 * ```ts
 * import { meanInnerProduct } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(meanInnerProduct([[1, 0], [0, 1]], [[4, 1], [2, 6]]), 5)
 * ```
 */
export function meanInnerProduct(
  preferences: readonly (readonly number[])[],
  results: readonly (readonly number[])[],
): number {
  const fits = preferences.length === results.length &&
    preferences.every((preference, i) => preference.length === results[i].length)
  if (!fits || preferences.length === 0) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["results"] },
      "expected a result for each preference, with a quality for each of its parts",
    )
  }
  const products = preferences.map((preference, i) =>
    preference.reduce((sum, part, j) => sum + part * results[i][j], 0)
  )
  return products.reduce((sum, product) => sum + product, 0) / products.length
}

function checkPoint(point: Point, path: readonly (string | number)[]): void {
  if (point.length === 2 && point.every((part) => !Number.isNaN(part))) return
  throw new GenArmError(
    { _tag: "InvalidOption", path },
    `expected two numbers, found ${point.join(", ")} at ${path.join(".")}`,
  )
}
