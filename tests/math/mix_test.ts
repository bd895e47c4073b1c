import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { mixInto } from "genarm/math"
import { scoreCasesOfSize, SIZES, softmax, uniforms } from "./_reference.ts"

function mix(base: Float32Array, rows: Float32Array[], weights: number[]): Float32Array {
  const out = new Float32Array(base.length).fill(NaN)
  mixInto(base, rows, weights, out)
  return out
}

// The contract, an id at a time, in float32.
function referenceMix(base: Float32Array, rows: Float32Array[], weights: number[]): number[] {
  return Array.from(base, (score, v) => {
    let sum = score
    for (let i = 0; i < rows.length; i++) {
      if (weights[i] === 0) continue
      const term = v < rows[i].length ? rows[i][v] : -Infinity
      if (term === -Infinity || sum === -Infinity) sum = -Infinity
      else sum = Math.fround(sum + Math.fround(Math.fround(weights[i]) * term))
    }
    return sum
  })
}

const WEIGHTS = [
  [],
  [1],
  [0.5],
  [-0.5],
  [0],
  [1, 2],
  [0, 1.5],
  [1, -1],
  [0.1, 0.2, 0.3],
  [
    0.5,
    0,
    0.25,
    -0.125,
  ],
  [0.1, 0.2, 0.3, 0.4],
  [0.1, 0.2, 0.3, 0.4, 0.5],
  [1, -1, 0, 1, -1, 0.3, 0.7],
]

describe("mixInto", () => {
  it("agrees with the definition for rows of every kind and size", () => {
    for (const size of [...SIZES, 1023, 1025, 1500]) {
      const [flat, wide, peaked, level, tied, excluded, far] = scoreCasesOfSize(size, size)
        .map(({ scores }) => scores)
      const short = wide.subarray(0, size >> 1)
      const long = Float32Array.from({ length: size + 3 }, (_, v) => v % 17)
      const rows = [excluded, wide, short, far, flat, long, peaked]
      for (const weights of WEIGHTS) {
        for (const base of [level, tied, excluded]) {
          const used = rows.slice(0, weights.length)
          const text = `weights ${weights} of size ${size}`
          assertEquals([...mix(base, used, weights)], referenceMix(base, used, weights), text)
          const back = used.reverse()
          assertEquals([...mix(base, back, weights)], referenceMix(base, back, weights), text)
        }
      }
    }
  })

  it("excludes an id whatever the sign of the weight that excludes it", () => {
    const base = Float32Array.of(0, -Infinity, -Infinity, 1)
    const row = Float32Array.of(-Infinity, -Infinity, 5, 1)
    for (const weight of [1, -1]) {
      const out = [...mix(base, [row], [weight])]
      assertEquals(out, [-Infinity, -Infinity, -Infinity, 1 + weight])
    }
    const other = Float32Array.of(1, 1, 1, -Infinity)
    assertEquals([...mix(base, [row, other], [2, -3])], new Array(4).fill(-Infinity))
  })

  it("excludes the ids that a shorter vocabulary lacks, and ignores those it has beyond", () => {
    const base = Float32Array.of(1, 2, 3)
    assertEquals([...mix(base, [Float32Array.of(1, 1)], [1])], [2, 3, -Infinity])
    assertEquals([...mix(base, [Float32Array.of(1, 1)], [-1])], [0, 1, -Infinity])
    assertEquals([...mix(base, [Float32Array.of(1, 1)], [0])], [1, 2, 3])
    assertEquals([...mix(base, [Float32Array.of(1, 1, 1, NaN)], [1])], [2, 3, 4])
  })

  it("leaves the base exactly as it is under weights of 0", () => {
    const base = Float32Array.from({ length: 1000 }, (_, v) => Math.sin(v) * 30)
    const row = new Float32Array(1000).fill(-Infinity)
    for (const weights of [[], [0], [-0], [0, 0, 0]]) {
      assertEquals([...mix(base, weights.map(() => row), weights)], [...base])
    }
  })

  it("does not depend on the order of the terms but for rounding", () => {
    const rows = scoreCasesOfSize(257, 9).slice(0, 5).map(({ scores }) => scores)
    const weights = [0.3, 1.7, -0.4, 0.25, 2]
    const base = rows[1]
    const forth = mix(base, rows, weights)
    const back = mix(base, rows.toReversed(), weights.toReversed())
    for (let v = 0; v < 257; v++) {
      assertAlmostEquals(forth[v], back[v], 1e-6 * (1 + Math.abs(back[v])))
    }
  })

  it("counts two halves of a row like the row", () => {
    const [, base, row] = scoreCasesOfSize(257, 10).map(({ scores }) => scores)
    const whole = mix(base, [row], [1.5])
    const halves = mix(base, [row, row], [0.75, 0.75])
    for (let v = 0; v < 257; v++) {
      assertAlmostEquals(whole[v], halves[v], 1e-6 * (1 + Math.abs(whole[v])))
    }
  })

  it("gives the same softmax when a constant is added to a row", () => {
    const next = uniforms(11)
    const row = (scale: number) => Float32Array.from({ length: 100 }, () => next() * scale)
    const [base, reward] = [row(5), row(3)]
    const moved = reward.map((score) => score - 8)
    const expected = softmax(mix(base, [reward], [1.25]))
    const found = softmax(mix(base, [moved], [1.25]))
    for (let v = 0; v < 100; v++) assertAlmostEquals(found[v], expected[v], 1e-6)
  })

  it("may write into its base", () => {
    const base = Float32Array.of(1, 2, 3)
    mixInto(base, [Float32Array.of(1, 0, 1)], [2], base)
    assertEquals([...base], [3, 2, 5])
  })

  it("keeps NaN, for the caller to find", () => {
    const out = mix(Float32Array.of(1, 1), [Float32Array.of(NaN, 1)], [-1])
    assert(Number.isNaN(out[0]))
    assertEquals(out[1], 0)
  })

  it("refuses shapes that do not fit and weights that are not finite", () => {
    const row = new Float32Array(2)
    assertThrows(() => mixInto(row, [row], [], new Float32Array(2)), RangeError, "0 weights and 1")
    assertThrows(() => mixInto(row, [], [], new Float32Array(3)), RangeError, "2, found 3")
    for (const weight of [NaN, Infinity, 1e39]) {
      assertThrows(
        () => mixInto(row, [row], [weight], new Float32Array(2)),
        RangeError,
        `found ${weight} at 0`,
      )
    }
  })
})
