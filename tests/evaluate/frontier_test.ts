import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { GenArmError } from "genarm"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { hypervolume, meanInnerProduct, paretoFront, type Point } from "../../src/evaluate/mod.ts"

const random = randomStream(9)
/** On a grid, so that points meet and share coordinates. */
const points = (count: number, size = 12): Point[] =>
  Array.from({ length: count }, () => [
    Math.floor(random.nextUniform() * size),
    Math.floor(random.nextUniform() * size),
  ])

describe("the Pareto front", () => {
  it("is all that no point beats, for any points", () => {
    for (let round = 0; round < 200; round++) {
      const all = points(round % 20)
      const isBeaten = ([x, y]: Point) => all.some(([a, b]) => a >= x && b >= y && (a > x || b > y))
      const expected = all.map((_, i) => i).filter((i) => !isBeaten(all[i]))
      const found = paretoFront(all)
      assertEquals([...found].sort((a, b) => a - b), expected)
      for (let i = 1; i < found.length; i++) assert(all[found[i - 1]][0] <= all[found[i]][0])
    }
  })
})

describe("the hypervolume", () => {
  it("is the number of cells under the points, for any points on a grid", () => {
    for (let round = 0; round < 200; round++) {
      const all = points(round % 15)
      const reference: Point = [round % 4, round % 3]
      let cells = 0
      for (let x = reference[0]; x < 12; x++) {
        for (let y = reference[1]; y < 12; y++) {
          if (all.some(([a, b]) => a > x && b > y)) cells++
        }
      }
      assertEquals(hypervolume(all, reference), cells)
    }
  })

  it("never falls when a point is added", () => {
    let all: Point[] = []
    let before = 0
    for (let i = 0; i < 100; i++) {
      all = [...all, [random.nextUniform(), random.nextUniform()]]
      const now = hypervolume(all, [0, 0])
      assert(now >= before - 1e-12)
      before = now
    }
    assertAlmostEquals(before, 1, 0.25)
  })

  it("refuses NaN", () => {
    assertThrows(() => hypervolume([[1, NaN]], [0, 0]), GenArmError, "points.0")
    assertThrows(() => hypervolume([], [NaN, 0]), GenArmError, "reference")
    assertThrows(() => paretoFront([[NaN, 0]]), GenArmError, "points.0")
  })
})

describe("the mean inner product", () => {
  it("is the mean over preferences", () => {
    assertAlmostEquals(meanInnerProduct([[0.5, 0.5], [1, 0]], [[2, 4], [3, 9]]), 3, 1e-12)
    assertThrows(() => meanInnerProduct([], []), GenArmError)
    assertThrows(() => meanInnerProduct([[1]], [[1, 2]]), GenArmError)
  })
})
