import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { argmax, randomStream, TokenDistribution, type Truncation } from "genarm/math"
import { referenceLogSumExp, type ScoreCase, scoreCases, softmax, truncated } from "./_reference.ts"

const TRUNCATIONS: Truncation[] = [
  { temperature: 1 },
  { temperature: 0.3 },
  { temperature: 5 },
  { temperature: 1, topK: 1 },
  { temperature: 1, topK: 3 },
  { temperature: 0.7, topK: 50 },
  { temperature: 1, topK: 1000 },
  { temperature: 1, topP: 0.001 },
  { temperature: 1, topP: 0.5 },
  { temperature: 1, topP: 0.9 },
  { temperature: 2, topP: 0.97 },
  { temperature: 1, topP: 0.999 },
  { temperature: 1000, topP: 0.61 },
  { temperature: 1, minP: 0.02 },
  { temperature: 1, minP: 1 },
  { temperature: 0.8, topK: 40, topP: 0.95 },
  { temperature: 1.2, topK: 2000, topP: 0.83 },
  { temperature: 1, topK: 100, topP: 0.9, minP: 0.05 },
  { temperature: 1, typicalP: 0.001 },
  { temperature: 1, typicalP: 0.5 },
  { temperature: 0.6, typicalP: 0.95 },
  { temperature: 1, typicalP: 0.999 },
  { temperature: 1.5, topK: 200, topP: 0.95, minP: 0.01, typicalP: 0.7 },
]

function forEachCase(
  seed: number,
  check: (distribution: TokenDistribution, scores: Float32Array, expected: number[]) => void,
): void {
  for (const { name, scores } of scoreCases(seed)) {
    const distribution = new TokenDistribution(scores.length)
    for (const truncation of TRUNCATIONS) {
      try {
        const expected = truncated(scores, truncation)
        check(distribution.set(scores, truncation), scores, expected)
      } catch (cause) {
        throw new Error(`${name}, ${JSON.stringify(truncation)}: ${cause}`, { cause })
      }
    }
  }
}

describe("TokenDistribution", () => {
  it("keeps the ids of a full sort, and gives their probabilities", () => {
    forEachCase(20, (distribution, _, expected) => {
      assertEquals(distribution.count, expected.filter((p) => p > 0).length)
      for (let id = 0; id < expected.length; id++) {
        const found = distribution.logProbability(id)
        if (expected[id] === 0) assertEquals(found, -Infinity)
        else assertAlmostEquals(found, Math.log(expected[id]), 2e-7)
      }
    })
  })

  it("weighs by the exponential of the score, as near as float32 comes", () => {
    for (const { name, scores } of scoreCases(29)) {
      for (const temperature of [0.1, 1, 3]) {
        const exact = softmax(scores, temperature)
        const distribution = new TokenDistribution(scores.length).set(scores, { temperature })
        for (let id = 0; id < scores.length; id++) {
          const found = Math.exp(distribution.logProbability(id))
          // 2^-126 is the least normal float32.
          const near = exact[id] * (5e-7 - 2e-7 * Math.log(exact[id] + 1e-40)) + 2 ** -125
          assertAlmostEquals(found, exact[id], near, name)
        }
      }
    }
  })

  it("writes the probabilities it draws with", () => {
    forEachCase(28, (distribution, scores) => {
      const out = new Float32Array(scores.length).fill(NaN)
      distribution.probabilities(out)
      for (let id = 0; id < out.length; id++) {
        assertAlmostEquals(out[id], Math.exp(distribution.logProbability(id)), 2e-7 * out[id])
      }
      assertAlmostEquals(out.reduce((sum, p) => sum + p, 0), 1, 1e-6)
    })
  })

  it("draws by the inverse cumulative in id order", () => {
    const stream = randomStream(21)
    forEachCase(21, (distribution, _, expected) => {
      const cumulative = [0]
      for (const p of expected) cumulative.push(cumulative[cumulative.length - 1] + p)
      for (let i = 0; i < 20; i++) {
        const uniform = stream.nextUniform()
        const id = distribution.draw(uniform)
        assert(expected[id] > 0)
        assert(cumulative[id] <= uniform + 1e-6 && uniform - 1e-6 <= cumulative[id + 1])
      }
    })
  })

  it("never draws an id that was cut, even at the ends of the uniform numbers", () => {
    forEachCase(22, (distribution, _, expected) => {
      const first = distribution.draw(0)
      const last = distribution.draw(1 - 2 ** -53)
      assert(expected[first] > 0 && expected[last] > 0)
      assert(expected.slice(0, first).every((p) => p === 0))
      assert(expected.slice(last + 1).every((p) => p < 1e-6))
    })
  })

  it("gives the log-normaliser over all ids, whatever the truncation", () => {
    for (const { name, scores } of scoreCases(23)) {
      const distribution = new TokenDistribution(scores.length)
      for (const truncation of TRUNCATIONS) {
        const expected = referenceLogSumExp(scores, truncation.temperature)
        const found = distribution.set(scores, truncation).logNormalizer
        assertAlmostEquals(found, expected, 1e-6 + 1e-9 * Math.abs(expected), name)
      }
    }
  })

  it("draws the greatest score alone at a small temperature", () => {
    for (const { name, scores } of scoreCases(24).filter(hasOneMaximum)) {
      for (const temperature of [1e-15, Number.MIN_VALUE]) {
        const distribution = new TokenDistribution(scores.length).set(scores, { temperature })
        assertEquals(distribution.draw(0), argmax(scores), name)
        assertEquals(distribution.draw(0.999), argmax(scores), name)
      }
    }
  })

  it("draws in proportion to the stated probabilities", () => {
    const scores = Float32Array.from({ length: 600 }, (_, v) => 3 * Math.sin(v * v))
    const truncation = { temperature: 0.9, topK: 400, topP: 0.98, minP: 0.01 }
    const distribution = new TokenDistribution(600).set(scores, truncation)
    const draws = 100000
    const counts = new Float64Array(600)
    const stream = randomStream(25)
    for (let i = 0; i < draws; i++) counts[distribution.draw(stream.nextUniform())]++
    let chiSquared = 0
    for (let id = 0; id < 600; id++) {
      const expected = draws * Math.exp(distribution.logProbability(id))
      if (expected === 0) assertEquals(counts[id], 0)
      else chiSquared += (counts[id] - expected) ** 2 / expected
    }
    const freedom = distribution.count - 1
    const deviations = (chiSquared - freedom) / Math.sqrt(2 * freedom)
    assert(Math.abs(deviations) < 4, `${deviations} standard deviations`)
  })

  it("keeps all but rounding errors at a top-p just below 1", () => {
    for (const { name, scores } of scoreCases(27)) {
      const distribution = new TokenDistribution(scores.length)
      distribution.set(scores, { temperature: 1, topP: 1 - 2 ** -53 })
      let mass = 0
      const all = truncated(scores, { temperature: 1 })
      for (let id = 0; id < all.length; id++) {
        if (distribution.logProbability(id) > -Infinity) mass += all[id]
      }
      assertAlmostEquals(mass, 1, 1e-6, name)
    }
  })

  it("decides alike on every engine", () => {
    const stream = randomStream(26)
    let hash = 2166136261
    for (const { scores } of scoreCases(26)) {
      const distribution = new TokenDistribution(scores.length)
      for (const truncation of TRUNCATIONS) {
        distribution.set(scores, truncation)
        hash = Math.imul(hash ^ distribution.count, 16777619)
        for (let i = 0; i < 20; i++) {
          hash = Math.imul(hash ^ distribution.draw(stream.nextUniform()), 16777619)
        }
      }
    }
    // Computed once by this implementation; what it decides is tested above.
    assertEquals(hash >>> 0, 1000499889)
  })
})

function hasOneMaximum({ scores }: ScoreCase): boolean {
  return scores.lastIndexOf(scores[argmax(scores)]) === argmax(scores)
}
