import { assertAlmostEquals, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { TokenDistribution, type Truncation } from "genarm/math"

const A = [2, 1, 0.5, 0.25, -1, -3, 1.75, 0, -0.5, 1]
const B = [0, 0, 0, 0, 0, 0, 0, 0]
const C = [10, 1, 2, -Infinity, 9.5, 2, 2, -20]

// The log-probabilities by id that the TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
// and MinPLogitsWarper of Hugging Face transformers 5.23.0 leave of these logits, in that order.
const WARPED: [number[], Truncation, Record<number, number>][] = [
  [A, { temperature: 1 }, {
    0: -1.158581,
    1: -2.158581,
    2: -2.658581,
    3: -2.908581,
    4: -4.158581,
    5: -6.158581,
    6: -1.408581,
    7: -3.158581,
    8: -3.658581,
    9: -2.158581,
  }],
  [A, { temperature: 0.5 }, {
    0: -0.6855,
    1: -2.6855,
    2: -3.6855,
    3: -4.1855,
    4: -6.6855,
    5: -10.6855,
    6: -1.1855,
    7: -4.6855,
    8: -5.6855,
    9: -2.6855,
  }],
  [A, { temperature: 1, topK: 3 }, { 0: -0.922098, 1: -1.922098, 6: -1.172098, 9: -1.922098 }],
  [A, { temperature: 1, topK: 4 }, { 0: -0.922098, 1: -1.922098, 6: -1.172098, 9: -1.922098 }],
  [A, { temperature: 2, topK: 100 }, {
    0: -1.598253,
    1: -2.098253,
    2: -2.348253,
    3: -2.473253,
    4: -3.098253,
    5: -4.098253,
    6: -1.723253,
    7: -2.598253,
    8: -2.848253,
    9: -2.098253,
  }],
  [A, { temperature: 1, topP: 0.5 }, { 0: -0.575939, 6: -0.825939 }],
  [A, { temperature: 1, topP: 0.9 }, {
    0: -1.068656,
    1: -2.068656,
    2: -2.568656,
    3: -2.818656,
    6: -1.318656,
    9: -2.068656,
  }],
  [A, { temperature: 0.7, topP: 0.9 }, {
    0: -0.831296,
    1: -2.259868,
    2: -2.974154,
    6: -1.188439,
    9: -2.259868,
  }],
  [A, { temperature: 1, topP: 1e-06 }, { 0: 0.0 }],
  [A, { temperature: 1, topP: 0.999 }, {
    0: -1.158581,
    1: -2.158581,
    2: -2.658581,
    3: -2.908581,
    4: -4.158581,
    5: -6.158581,
    6: -1.408581,
    7: -3.158581,
    8: -3.658581,
    9: -2.158581,
  }],
  [A, { temperature: 1, minP: 0.1 }, {
    0: -1.114092,
    1: -2.114092,
    2: -2.614092,
    3: -2.864092,
    6: -1.364092,
    7: -3.114092,
    9: -2.114092,
  }],
  [A, { temperature: 1, minP: 0.3 }, { 0: -0.922098, 1: -1.922098, 6: -1.172098, 9: -1.922098 }],
  [A, { temperature: 1, minP: 1.0 }, { 0: 0.0 }],
  [A, { temperature: 2, minP: 0.3 }, {
    0: -1.470789,
    1: -1.970789,
    2: -2.220789,
    3: -2.345789,
    6: -1.595789,
    7: -2.470789,
    9: -1.970789,
  }],
  [A, { temperature: 1, topK: 5, topP: 0.8 }, {
    0: -0.922098,
    1: -1.922098,
    6: -1.172098,
    9: -1.922098,
  }],
  [A, { temperature: 0.8, topK: 6, topP: 0.9, minP: 0.2 }, {
    0: -0.834918,
    1: -2.084918,
    6: -1.147418,
    9: -2.084918,
  }],
  [A, { temperature: 1.3, topK: 4, topP: 0.95, minP: 0.5 }, { 0: -0.601609, 6: -0.793917 }],
  [B, { temperature: 1, topK: 3 }, {
    0: -2.079442,
    1: -2.079442,
    2: -2.079442,
    3: -2.079442,
    4: -2.079442,
    5: -2.079442,
    6: -2.079442,
    7: -2.079442,
  }],
  [B, { temperature: 1, minP: 1.0 }, {
    0: -2.079442,
    1: -2.079442,
    2: -2.079442,
    3: -2.079442,
    4: -2.079442,
    5: -2.079442,
    6: -2.079442,
    7: -2.079442,
  }],
  [C, { temperature: 1, topK: 4 }, {
    0: -0.474703,
    2: -8.474703,
    4: -0.974703,
    5: -8.474703,
    6: -8.474703,
  }],
  [C, { temperature: 3, topP: 0.95 }, {
    0: -0.720243,
    2: -3.386909,
    4: -0.886909,
    5: -3.386909,
    6: -3.386909,
  }],
  [C, { temperature: 3, minP: 0.05 }, {
    0: -0.720243,
    2: -3.386909,
    4: -0.886909,
    5: -3.386909,
    6: -3.386909,
  }],
  [C, { temperature: 3, topK: 5, topP: 0.99, minP: 0.01 }, {
    0: -0.720243,
    2: -3.386909,
    4: -0.886909,
    5: -3.386909,
    6: -3.386909,
  }],
]

describe("the warpers of Hugging Face transformers", () => {
  it("leave the same ids with the same probabilities", () => {
    for (const [scores, truncation, expected] of WARPED) {
      const distribution = new TokenDistribution(scores.length)
        .set(Float32Array.from(scores), truncation)
      const text = JSON.stringify(truncation)
      assertEquals(distribution.count, Object.keys(expected).length, text)
      for (const [id, logProbability] of Object.entries(expected)) {
        assertAlmostEquals(distribution.logProbability(Number(id)), logProbability, 2e-6, text)
      }
    }
  })

  // TopPLogitsWarper sorts upwards and so keeps ids 3 to 7 of B at 0.6.
  it("keep as many of equally likely ids, though not the lowest", () => {
    const distribution = new TokenDistribution(8)
      .set(Float32Array.from(B), { temperature: 1, topP: 0.6 })
    assertEquals(distribution.count, 5)
    assertEquals(distribution.draw(0), 0)
    assertAlmostEquals(distribution.logProbability(4), -1.609438, 2e-6)
  })
})
