import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { type DraftCosts, DraftLength } from "../../../plugins/strategies/_draft_length.ts"

/** Tokens for one step's time, on average, of drafts of `k` that are accepted at `rate` each. */
function gain(k: number, rate: number, { draft, verify }: DraftCosts): number {
  let tokens = 0
  for (let i = 0; i <= k; i++) tokens += rate ** i
  return tokens / (1 + k * (draft + verify))
}

/** Drafts of `count` tokens in `rounds` rounds; each is accepted at `rate` until one is refused. */
function teach(length: DraftLength, rate: number, rounds = 2_000, seed = 1): void {
  const random = randomStream(seed)
  for (let round = 0; round < rounds; round++) {
    let accepted = 0
    while (accepted < 8 && random.nextUniform() < rate) accepted++
    length.record(8, accepted)
  }
}

/** What a draft that always has `k` tokens is told when its acceptance is exactly `rate`. */
function settle(length: DraftLength, rate: number): void {
  // Fractions of tokens, so that the estimate is the rate and not a sample of it.
  for (let i = 0; i < 500; i++) length.record(1 / (1 - rate), rate / (1 - rate))
}

const many: DraftCosts[] = [
  { draft: 0.15, verify: 0.15 },
  { draft: 0, verify: 0.15 },
  { draft: 0, verify: 0.5 },
  { draft: 0.05, verify: 0.02 },
  { draft: 0.4, verify: 0.2 },
]

describe("the length of drafts", () => {
  it("is the one that gives most tokens for its cost", () => {
    for (const costs of many) {
      for (let rate = 0.03; rate < 0.99; rate += 0.05) {
        for (const most of [1, 3, 8, 20]) {
          const length = new DraftLength(most, costs)
          settle(length, rate)
          const gains = Array.from({ length: most + 1 }, (_, k) => gain(k, rate, costs))
          const best = Math.max(...gains)
          const chosen = length.next()
          // Where nothing beats plain steps, one token is tried before they are taken.
          if (best > gains[0] + 1e-9) assertAlmostEquals(gains[chosen], best, 1e-9)
          else assertEquals([chosen, length.next()], [1, 0])
        }
      }
    }
  })

  it("follows what is accepted, whatever was before", () => {
    const length = new DraftLength(8, many[0])
    teach(length, 0.98)
    const [, long] = [length.next(), length.next()]
    teach(length, 0.5)
    const short = length.next()
    teach(length, 0.98)
    assert(long >= 7 && short <= 2 && length.next() >= 7, `${long}, ${short}`)
  })

  it("is never more than asked for, and a whole number", () => {
    for (const most of [1, 2, 8]) {
      const length = new DraftLength(most, { draft: 0, verify: 0 })
      for (let i = 0; i < 1_000; i++) {
        const count = length.next()
        assert(Number.isInteger(count) && count >= 0 && count <= most)
        length.record(count, count)
      }
      assertEquals(length.next(), most)
    }
  })

  it("is the most where drafts cost nothing, however few are accepted", () => {
    const length = new DraftLength(5, { draft: 0, verify: 0 })
    for (let i = 0; i < 1_000; i++) {
      assertEquals(length.next(), 5)
      length.record(5, i % 10 === 0 ? 1 : 0)
    }
  })

  it("is a number even when nothing was accepted for so long that its share underflows", () => {
    for (const costs of [...many, { draft: 0, verify: 0 }]) {
      const length = new DraftLength(5, costs)
      for (let i = 0; i < 20_000; i++) length.record(5, 0)
      const counts = Array.from({ length: 200 }, () => length.next())
      assert(counts.every((count) => count === 0 || count === 1) && counts.includes(1))
    }
  })

  it("is none where even drafts that are always right would cost more than they give", () => {
    for (
      const costs of [{ draft: 0.5, verify: 0.5 }, { draft: 1, verify: 1 }, {
        draft: 1e300,
        verify: 0,
      }]
    ) {
      const length = new DraftLength(8, costs)
      for (let i = 0; i < 200; i++) assertEquals(length.next(), 0)
    }
  })

  it("loses little where drafts are nearly worth it", () => {
    for (const costs of [...many, { draft: 0.3, verify: 0.6 }]) {
      for (const part of [0.5, 0.8, 0.95]) {
        const rate = part * (costs.draft + costs.verify)
        const length = new DraftLength(8, costs)
        const random = randomStream(3)
        let [tokens, time] = [0, 0]
        while (tokens < 20_000) {
          const count = length.next()
          let accepted = 0
          while (accepted < count && random.nextUniform() < rate) accepted++
          length.record(count, accepted)
          tokens += 1 + accepted
          time += 1 + count * (costs.draft + costs.verify)
        }
        assert(time < 1.04 * tokens, `${time / tokens} of the time of plain steps`)
      }
    }
  })

  it("rests longer and longer while nothing is accepted, but never for good", () => {
    const length = new DraftLength(8, many[0])
    const rests: number[] = []
    let rest = 0
    while (rests.length < 12) {
      const count = length.next()
      length.record(count, 0)
      if (count === 0) rest++
      else {
        if (rest > 0) rests.push(rest)
        rest = 0
      }
    }
    assertEquals(rests.slice(0, 4), [32, 64, 128, 128])
    assertEquals(Math.max(...rests), 128)
  })

  it("comes back when drafts have become good, and then forgets the long rests", () => {
    const length = new DraftLength(8, many[0])
    for (let i = 0; i < 1_000; i++) length.record(length.next(), 0)
    let [tokens, steps] = [0, 0]
    for (let i = 0; i < 4_000; i++) {
      const count = length.next()
      length.record(count, count)
      steps++
      tokens += 1 + count
    }
    assert(length.next() >= 7 && tokens / steps > 3, `${tokens / steps}`)
    const rests: number[] = []
    for (let i = 0; i < 100; i++) {
      const count = length.next()
      length.record(count, 0)
      rests.push(count)
    }
    const first = rests.indexOf(0)
    assertEquals(rests.slice(first, first + 33), [...Array(32).fill(0), 1])
  })

  it("learns nothing from a round without a draft", () => {
    const [one, other] = [new DraftLength(8, many[0]), new DraftLength(8, many[0])]
    for (let i = 0; i < 1_000; i++) one.record(0, 0)
    assertEquals(one.next(), other.next())
  })
})
