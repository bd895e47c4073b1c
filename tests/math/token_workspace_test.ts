import { assert, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import {
  areBelowInfinity,
  argmax,
  logSumExp,
  mixInto,
  randomStream,
  TokenDistribution,
  TokenWorkspace,
  type Truncation,
} from "genarm/math"
import { scoreCasesOfSize } from "./_reference.ts"

const truncations: Truncation[] = [
  { temperature: 1 },
  { temperature: 0.7, topK: 20 },
  { temperature: 1, topP: 0.9 },
  { temperature: 1.3, topK: 700, topP: 0.8, minP: 0.01 },
]

/** All that can be asked of scores. */
function answers(scores: Float32Array, distribution: TokenDistribution): unknown[] {
  const stream = randomStream(5)
  const told: unknown[] = [argmax(scores), logSumExp(scores), areBelowInfinity(scores)]
  for (const truncation of truncations) {
    distribution.set(scores, truncation)
    const out = new Float32Array(scores.length)
    distribution.probabilities(out)
    told.push(distribution.count, distribution.logNormalizer, [...out])
    for (let i = 0; i < 10; i++) told.push(distribution.draw(stream.nextUniform()))
  }
  return told
}

describe("TokenWorkspace", () => {
  it("changes no bit of what is computed on its arrays", () => {
    for (const size of [10, 1023, 1024, 1500, 4097]) {
      const [base, a, b, c, d, e] = scoreCasesOfSize(size, size).map(({ scores }) => scores)
      const rows = [a, b, c, d, e, base.subarray(0, size - 3)]
      const weights = [0.5, 0.2, 0, 1.5, -0.25, 0.1]
      const elsewhere = new Float32Array(size)
      mixInto(base, rows, weights, elsewhere)

      const workspace = TokenWorkspace.acquire(size, 4)
      // Some rows in the workspace, one of them short, and some outside.
      const placed = rows.map((row, i) => {
        if (i % 2 === 1) return row
        workspace.rows[i / 2].set(row)
        return workspace.rows[i / 2].subarray(0, row.length)
      })
      mixInto(base, placed, weights, workspace.scores)
      assertEquals([...workspace.scores], [...elsewhere])
      workspace.rows[3].set(base)
      mixInto(workspace.rows[3], placed, weights, workspace.scores)
      assertEquals([...workspace.scores], [...elsewhere])
      // Into an array outside, of rows inside.
      const out = new Float32Array(size)
      mixInto(workspace.rows[3], placed, weights, out)
      assertEquals([...out], [...elsewhere])

      const distribution = new TokenDistribution(size)
      const told = answers(workspace.scores, distribution)
      assertEquals(told, answers(elsewhere, new TokenDistribution(size)))
      assertEquals(told, answers(elsewhere, distribution))
      workspace.release()
    }
  })

  it("gives arrays of zeros, again after they were used", () => {
    for (let round = 0; round < 3; round++) {
      const workspace = TokenWorkspace.acquire(2000, 2)
      for (const array of [...workspace.rows, workspace.scores]) {
        assertEquals(array.length, 2000)
        assert(array.every((value) => value === 0))
        array.fill(7)
      }
      workspace.release()
    }
  })

  it("uses the room again that was given back", () => {
    const first = TokenWorkspace.acquire(50000, 1)
    const { buffer, byteOffset } = first.scores
    first.release()
    first.release()
    const second = TokenWorkspace.acquire(50000, 1)
    assert(second.scores.buffer === buffer)
    assertEquals(second.scores.byteOffset, byteOffset)
    second.release()
  })

  it("keeps the arrays of many apart, the last of them in plain memory", () => {
    const many = Array.from({ length: 24 }, () => TokenWorkspace.acquire(1_000_000, 1))
    many.forEach(({ rows, scores }, i) => {
      rows[0].fill(i)
      scores.fill(-i)
    })
    many.forEach(({ rows, scores }, i) => {
      assert(rows[0].every((value) => value === i))
      assert(scores.every((value) => value === -i))
    })
    assert(many[0].scores.buffer !== many[23].scores.buffer)
    const distributions = [many[0], many[23]].map(({ scores }) => {
      scores[12345] = 40
      return new TokenDistribution(1_000_000).set(scores, { temperature: 1, topP: 0.5 })
    })
    for (const distribution of distributions) assertEquals(distribution.draw(0.5), 12345)
    for (const workspace of many) workspace.release()
  })

  it("holds one distribution; one that was set before keeps what it had", () => {
    for (const size of [9, 3000]) {
      const workspace = TokenWorkspace.acquire(size, 0)
      workspace.scores.set(scoreCasesOfSize(size, 3)[1].scores)
      const alone = new TokenDistribution(size).set(workspace.scores, { temperature: 2 })
      const before = Array.from({ length: size }, (_, id) => alone.logProbability(id))
      const other = new TokenDistribution(size).set(workspace.scores, { temperature: 1, topK: 1 })
      assertEquals(Array.from({ length: size }, (_, id) => alone.logProbability(id)), before)
      const out = new Float32Array(size)
      alone.probabilities(out)
      assertEquals(
        alone.draw(0.3),
        new TokenDistribution(size).set(workspace.scores, {
          temperature: 2,
        }).draw(0.3),
      )
      assertEquals(other.count, 1)
      workspace.release()
    }
  })

  it("unsets the distributions of its scores when it is given back", () => {
    const workspace = TokenWorkspace.acquire(3000, 0)
    const distribution = new TokenDistribution(3000).set(workspace.scores, { temperature: 1 })
    workspace.release()
    assertThrows(() => distribution.draw(0.5), RangeError, "call set")
    distribution.set(new Float32Array(3000), { temperature: 1 })
    assertEquals(distribution.draw(0), 0)
  })

  it("keeps distributions over scores elsewhere, of however many vocabularies", () => {
    const distributions = [1100, 1200, 1300, 1400, 1500, 1600].map((size) =>
      new TokenDistribution(size).set(new Float32Array(size), { temperature: 1 })
    )
    distributions.forEach((distribution, i) => {
      assertEquals(distribution.count, 1100 + 100 * i)
      assertEquals(distribution.draw(0.5), (1100 + 100 * i) / 2)
    })
  })

  it("refuses sizes that are none", () => {
    for (const size of [0, -1, 1.5, NaN]) {
      assertThrows(() => TokenWorkspace.acquire(size, 1), RangeError, `size of ${size}`)
    }
    for (const rows of [-1, 0.5]) {
      assertThrows(() => TokenWorkspace.acquire(5, rows), RangeError, `found ${rows}`)
    }
  })
})
