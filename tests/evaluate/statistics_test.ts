import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { GenArmError } from "genarm"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import {
  bootstrap,
  distinct,
  meanEstimate,
  pairedDifference,
  ratioEstimate,
  shareEstimate,
  winRate,
  wordsOf,
} from "../../src/evaluate/mod.ts"

const random = randomStream(3)
/** Skewed, with mean 1. */
const exponential = (count: number) =>
  Array.from({ length: count }, () => -Math.log(1 - random.nextUniform()))

/** How often intervals of fresh samples hold the truth. */
function coverage(truth: number, interval: () => { low: number; high: number }, times = 400) {
  let held = 0
  for (let i = 0; i < times; i++) {
    const { low, high } = interval()
    if (low <= truth && truth <= high) held++
  }
  return held / times
}

describe("the interval of a mean", () => {
  it("holds the true mean about as often as it says", () => {
    const options = { resamples: 400 }
    const share = coverage(1, () => meanEstimate(exponential(60), options))
    assert(share > 0.9 && share < 0.98, `${share} of 95 %`)
    const half = coverage(1, () => meanEstimate(exponential(60), { ...options, level: 0.5 }))
    assert(half > 0.42 && half < 0.58, `${half} of 50 %`)
  })

  it("is what the normal law says for many values", () => {
    const values = Array.from({ length: 1000 }, (_, i) => i % 2)
    const { value, low, high } = meanEstimate(values)
    assertEquals(value, 0.5)
    const half = 1.96 * 0.5 / Math.sqrt(1000)
    assertAlmostEquals(low, 0.5 - half, 0.004)
    assertAlmostEquals(high, 0.5 + half, 0.004)
  })

  it("is the same for one seed and another for another", () => {
    const values = exponential(20)
    assertEquals(meanEstimate(values, { seed: 5 }), meanEstimate(values, { seed: 5 }))
    assert(meanEstimate(values, { seed: 5 }).low !== meanEstimate(values, { seed: 6 }).low)
  })

  it("has no ends for one value, and no width for equal ones", () => {
    assertEquals(meanEstimate([4]), { value: 4, low: -Infinity, high: Infinity })
    assertEquals(meanEstimate([2, 2, 2]), { value: 2, low: 2, high: 2 })
    const endless = meanEstimate([-Infinity, -Infinity])
    assertEquals(endless, { value: -Infinity, low: -Infinity, high: -Infinity })
  })

  it("refuses nothing, NaN and options out of range", () => {
    const cases: [() => unknown, string][] = [
      [() => meanEstimate([]), "one value or more"],
      [() => meanEstimate([1, NaN]), "found NaN at numerators[1]"],
      [() => meanEstimate([1], { level: 1 }), "level"],
      [() => meanEstimate([1], { resamples: 0 }), "resamples"],
      [() => meanEstimate([1], { seed: -1 }), "seed"],
      [() => meanEstimate([1], { sed: 1 } as never), "sed"],
      [() => ratioEstimate([1], [1, 2]), "found 1 and 2"],
      [() => pairedDifference([1], [1, 2]), "found 1 and 2"],
      [() => bootstrap(1.5, () => 0), "found 1.5"],
    ]
    for (const [run, part] of cases) {
      assertEquals(assertThrows(run, GenArmError, part).reason._tag, "InvalidOption")
    }
  })
})

describe("a ratio of sums", () => {
  it("weighs texts by their length, and its interval holds the truth", () => {
    assertEquals(ratioEstimate([1, 10], [1, 2]).value, 11 / 3)
    const share = coverage(2, () => {
      const lengths = exponential(60).map((length) => 1 + length)
      const sums = lengths.map((length) => 2 * length * (0.5 + random.nextUniform()))
      return ratioEstimate(sums, lengths, { resamples: 300 })
    })
    assert(share > 0.9 && share < 0.985, `${share}`)
  })
})

describe("paired differences", () => {
  it("are narrower than the difference of what they pair", () => {
    const before = exponential(100).map((value) => 10 * value)
    const after = before.map((value) => value + 1 + random.nextUniform())
    const paired = pairedDifference(after, before)
    assert(paired.low > 1 && paired.high < 2)
    const alone = meanEstimate(before)
    assert(alone.high - alone.low > 10 * (paired.high - paired.low))
  })
})

describe("a share", () => {
  it("has Wilson's interval", () => {
    // 10 of 100: 0.0552 to 0.1744 (Newcombe 1998 gives the method's worked numbers).
    const { value, low, high } = shareEstimate(10, 100)
    assertEquals(value, 0.1)
    assertAlmostEquals(low, 0.0552, 5e-5)
    assertAlmostEquals(high, 0.1744, 5e-5)
    assertEquals(shareEstimate(0, 5).low, 0)
    assertEquals(shareEstimate(5, 5).high, 1)
    assert(shareEstimate(5, 5).low > 0.5)
    assertThrows(() => shareEstimate(1, 0), GenArmError, "found 1 of 0")
    assertThrows(() => shareEstimate(3, 2), GenArmError, "found 3 of 2")
  })

  it("has an interval that holds the truth", () => {
    const share = coverage(0.9, () => {
      const hits = Array.from({ length: 40 }, () => random.nextUniform() < 0.9).filter(Boolean)
      return shareEstimate(hits.length, 40)
    }, 2000)
    assert(share > 0.92 && share < 0.98, `${share}`)
  })
})

describe("the win rate", () => {
  it("counts wins and half the ties, and turns round with the sides", () => {
    const ours = [1, 2, 3, 4, 5]
    const theirs = [0, 2, 4, 3, 1]
    const { value, low, high, ...counts } = winRate(ours, theirs)
    assertEquals(counts, { wins: 3, ties: 1, losses: 1 })
    assertEquals(value, 0.7)
    const turned = winRate(theirs, ours)
    assertAlmostEquals(turned.value, 0.3, 1e-12)
    assertAlmostEquals(turned.low, 1 - high, 1e-12)
    assertAlmostEquals(turned.high, 1 - low, 1e-12)
  })
})

describe("distinct-n", () => {
  it("is the share of n-grams that are not repeats", () => {
    const texts = ["a b a b", "a b c", ""].map(wordsOf)
    assertEquals(distinct(texts, 1).value, 3 / 7)
    // ab ba ab | ab bc
    assertEquals(distinct(texts, 2).value, 3 / 5)
    // aba bab | abc
    assertEquals(distinct(texts, 3).value, 1)
  })

  it("is the same over ids as over their names", () => {
    const ids = [[1, 2, 1, 2], [11, 2], [1, 12]]
    for (const n of [1, 2, 3]) {
      assertEquals(distinct(ids, n), distinct(ids.map((row) => row.map((id) => `w${id}`)), n))
    }
    assertEquals(distinct([[1, 12], [11, 2]], 2).value, 1, "11,2 is not 1,12")
  })

  it("is none where every text is too short, and refuses n below 1", () => {
    assertEquals(distinct([["a"]], 2), { value: NaN, low: NaN, high: NaN })
    assertThrows(() => distinct([["a"]], 0), GenArmError, "found 0")
  })

  it("has an interval around it that holds what other samples of that size give", () => {
    const sample = () =>
      Array.from(
        { length: 40 },
        () => Array.from({ length: 12 }, () => Math.floor(30 * random.nextUniform() ** 2)),
      )
    const values = Array.from({ length: 300 }, () => distinct(sample(), 2).value)
    const truth = values.reduce((sum, value) => sum + value, 0) / values.length
    const share = coverage(truth, () => distinct(sample(), 2), 300)
    assert(share > 0.9, `${share}`)
  })

  it("knows words by their letters", () => {
    assertEquals(wordsOf("“Don’t!” – said Zoë, 3 times."), ["don't", "said", "zoë", "3", "times"])
  })
})
