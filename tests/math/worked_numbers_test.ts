import { assertAlmostEquals } from "@std/assert"
import { describe, it } from "node:test"
import { mixInto, TokenDistribution } from "genarm/math"

// A base and one autoregressive reward model over three ids, and the distributions that GenARM
// (arXiv 2410.08193) decodes from, worked by hand: base * reward^alpha, normalised.
const BASE = Float32Array.of(0.5, 0.3, 0.2).map(Math.log)
const REWARD = Float32Array.of(0.2, 0.2, 0.6).map(Math.log)

function guided(baseWeight: number, alpha: number, temperature: number): number[] {
  const base = BASE.map((logarithm) => logarithm * baseWeight)
  const scores = new Float32Array(3)
  mixInto(base, [REWARD], [alpha], scores)
  const distribution = new TokenDistribution(3).set(scores, { temperature })
  return [0, 1, 2].map((id) => Math.exp(distribution.logProbability(id)))
}

function assertClose(found: number[], expected: number[]): void {
  for (let id = 0; id < 3; id++) assertAlmostEquals(found[id], expected[id], 1e-6)
}

describe("the worked numbers of guided decoding", () => {
  it("multiply the base by the reward at alpha 1", () => {
    assertClose(guided(1, 1, 1), [0.357142857, 0.214285714, 0.428571429])
  })

  it("multiply the base by the square of the reward at alpha 2", () => {
    assertClose(guided(1, 2, 1), [0.192307692, 0.115384615, 0.692307692])
  })

  it("take the geometric mean at half weights", () => {
    assertClose(guided(0.5, 0.5, 1), [0.348426983, 0.269890381, 0.381682636])
  })

  it("give the product again when the geometric mean is drawn at temperature 0.5", () => {
    assertClose(guided(0.5, 0.5, 0.5), [0.357142857, 0.214285714, 0.428571429])
  })

  it("leave the base at alpha 0", () => {
    assertClose(guided(1, 0, 1), [0.5, 0.3, 0.2])
  })
})
