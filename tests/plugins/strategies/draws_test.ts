import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { drawFrom, drawRest } from "../../../plugins/strategies/_draws.ts"

const grid = 20_000

/** The share of each id over an even grid of uniform numbers: its probability, to 1 / grid. */
function shares(size: number, draw: (uniform: number) => number): number[] {
  const counts = new Array<number>(size).fill(0)
  for (let i = 0; i < grid; i++) counts[draw((i + 0.5) / grid)]++
  return counts.map((count) => count / grid)
}

function assertShares(found: readonly number[], expected: ArrayLike<number>): void {
  assertEquals(found.length, expected.length)
  found.forEach((share, id) => assertAlmostEquals(share, expected[id], 2 / grid))
}

/** A distribution that random numbers make, with zeros among it. */
function someDistribution(seed: number, size: number): Float32Array {
  const random = randomStream(seed)
  const weights = Array.from({ length: size }, () => {
    const uniform = random.nextUniform()
    return uniform < 0.3 ? 0 : uniform ** 3
  })
  const sum = weights.reduce((a, b) => a + b)
  return Float32Array.from(weights, (weight) => weight / sum)
}

describe("a draw from probabilities", () => {
  it("gives each id its share, and an id of probability 0 never", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const p = someDistribution(seed, 9)
      const found = shares(9, (uniform) => drawFrom(p, uniform))
      assertShares(found, p)
      p.forEach((probability, id) => probability === 0 && assertEquals(found[id], 0))
    }
  })

  it("is the first id whose cumulative probability exceeds the number", () => {
    const p = Float32Array.of(0, 0.25, 0.5, 0, 0.25, 0)
    const ids = [0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2 ** -53].map((uniform) => drawFrom(p, uniform))
    assertEquals(ids, [1, 1, 2, 2, 4, 4])
  })

  it("takes the sum as it is, where it is not quite 1", () => {
    assertShares(shares(2, (uniform) => drawFrom(Float32Array.of(0.1, 0.3), uniform)), [0.25, 0.75])
    assertEquals(drawFrom(Float32Array.of(0.5, 0.499, 0), 1 - 2 ** -53), 1)
  })

  it("of one certain id is that id", () => {
    for (const uniform of [0, 0.5, 1 - 2 ** -53]) {
      assertEquals(drawFrom(Float32Array.of(0, 0, 1, 0), uniform), 2)
    }
  })
})

describe("a draw in place of a refused one", () => {
  it("makes drafting, accepting and drawing anew the target exactly", () => {
    for (let seed = 1; seed <= 8; seed++) {
      const [target, draft] = [someDistribution(2 * seed, 8), someDistribution(2 * seed + 1, 8)]
      const kept = target.map((p, id) => Math.min(p, draft[id]))
      const refused = 1 - kept.reduce((a, b) => a + b)
      assert(refused > 0.1)
      const rest = shares(8, (uniform) => drawRest(target, draft, 3, uniform))
      assertShares(rest.map((share, id) => kept[id] + refused * share), target)
    }
  })

  it("makes a certain guess the target exactly", () => {
    for (let seed = 1; seed <= 8; seed++) {
      const target = someDistribution(seed, 8)
      for (let guess = 0; guess < 8; guess++) {
        if (target[guess] === 1) continue
        const rest = shares(8, (uniform) => drawRest(target, undefined, guess, uniform))
        assertEquals(rest[guess], 0)
        const refused = 1 - target[guess]
        const all = rest.map((share, id) => refused * share + (id === guess ? target[id] : 0))
        assertShares(all, target)
      }
    }
  })

  it("never is an id that the target rules out, or of which the draft has more", () => {
    const target = Float32Array.of(0, 0.2, 0.5, 0.3)
    const draft = Float32Array.of(0.4, 0.3, 0.2, 0.1)
    assertShares(shares(4, (uniform) => drawRest(target, draft, 0, uniform)), [0, 0, 0.6, 0.4])
  })

  it("of equal distributions, refused by rounding only, is one of the target", () => {
    const p = someDistribution(1, 9)
    assertShares(shares(9, (uniform) => drawRest(p, p, 0, uniform)), p)
    const certain = Float32Array.of(0, 1, 0)
    assertEquals(drawRest(certain, certain, 1, 0.5), 1)
    assertEquals(drawRest(certain, undefined, 1, 0.5), 1)
    assertEquals(drawRest(Float32Array.of(0, 1 - 2 ** -24, 0), undefined, 1, 0.999), 1)
  })

  it("of distributions that share nothing is one of the target", () => {
    const target = Float32Array.of(0.5, 0.5, 0, 0)
    const draft = Float32Array.of(0, 0, 0.5, 0.5)
    assertShares(shares(4, (uniform) => drawRest(target, draft, 2, uniform)), target)
  })
})
