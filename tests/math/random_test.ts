import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { drawSeed, RandomStream, randomStream } from "genarm/math"

function take<T>(count: number, next: () => T): T[] {
  return Array.from({ length: count }, next)
}

describe("RandomStream", () => {
  // Printed by a C program around next() of https://prng.di.unimi.it/xoshiro128starstar.c; the
  // first row is also the test vector of the Rust crate rand_xoshiro.
  it("gives the numbers of the published xoshiro128**", () => {
    const small = new RandomStream(1, 2, 3, 4)
    assertEquals(
      take(10, () => small.nextUint32()),
      [
        [11520, 0, 5927040, 70819200, 2031721883],
        [1637235492, 1287239034, 3734860849, 3729100597, 4258142804],
      ].flat(),
    )
    const large = new RandomStream(0xdeadbeef, 0x01234567, 0x89abcdef, 0xffffffff)
    assertEquals(
      take(8, () => large.nextUint32()),
      [
        [2576977298, 1162350735, 2291329051, 732944927],
        [482780208, 3416574328, 2872943131, 1297184098],
      ].flat(),
    )
  })

  it("makes 53 bits of two integers, the first one the upper", () => {
    const integers = new RandomStream(5, 6, 7, 8)
    const uniforms = new RandomStream(5, 6, 7, 8)
    for (let i = 0; i < 100; i++) {
      const high = BigInt(integers.nextUint32() >>> 5)
      const low = BigInt(integers.nextUint32() >>> 6)
      assertEquals(uniforms.nextUniform(), Number(high << 26n | low) / 2 ** 53)
    }
  })

  it("refuses a state that is not of uint32, or all zeros", () => {
    assertThrows(() => new RandomStream(0, 0, 0, 0), RangeError, "other than 0")
    assertThrows(() => new RandomStream(1, 2, 3, -4), RangeError, "found -4")
    assertThrows(() => new RandomStream(1, 2 ** 32, 3, 4), RangeError, "found 4294967296")
  })
})

describe("randomStream", () => {
  // Printed by the same C program, seeded with fmix32 of MurmurHash3 in C.
  it("seeds the generator through a SplitMix counter", () => {
    const first = (seed: number) => {
      const stream = randomStream(seed)
      return [...take(4, () => stream.nextUint32()), stream.nextUniform(), stream.nextUniform()]
    }
    assertEquals(
      first(0),
      [3809008728, 1133695204, 53579671, 2891528803, 0.032522145755498943, 0.024408060085556516],
    )
    assertEquals(
      first(1),
      [2442144158, 3238099751, 3819917871, 2104621829, 0.47058241801983591, 0.35296769838967534],
    )
    assertEquals(
      first(4294967295),
      [835879718, 1921286648, 2356205009, 1885780724, 0.2282790634437124, 0.85620972196593104],
    )
  })

  it("refuses a seed that is not a uint32", () => {
    for (const seed of [-1, 0.5, 2 ** 32, NaN, Infinity]) {
      assertThrows(() => randomStream(seed), RangeError, `found ${seed}`)
    }
  })

  it("is uniform over 256 bins, from the high and from the low bits", () => {
    for (const seed of [0, 1, 2, 12345, 0xffffffff]) {
      const stream = randomStream(seed)
      const high = new Float64Array(256)
      const low = new Float64Array(256)
      for (let i = 0; i < 100000; i++) {
        const uniform = stream.nextUniform()
        high[Math.floor(uniform * 256)]++
        low[(uniform * 2 ** 53) % 256]++
      }
      // 255 degrees of freedom: mean 255, standard deviation 22.6; 375 is beyond five of them.
      for (const bins of [high, low]) {
        const expected = 100000 / 256
        const chiSquared = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
        assert(chiSquared > 160 && chiSquared < 375, `chi-squared ${chiSquared} of seed ${seed}`)
      }
    }
  })

  it("gives consecutive seeds streams without correlation", () => {
    for (let seed = 0; seed < 20; seed++) {
      const one = randomStream(seed)
      const next = randomStream(seed + 1)
      const count = 20000
      let product = 0
      for (let i = 0; i < count; i++) {
        product += (one.nextUniform() - 0.5) * (next.nextUniform() - 0.5)
      }
      // In units of the standard deviation of a sum of independent products.
      const deviations = product / Math.sqrt(count / 144)
      assert(Math.abs(deviations) < 4, `${deviations} deviations between ${seed} and ${seed + 1}`)
    }
  })

  it("spreads the first numbers of consecutive seeds evenly", () => {
    const bins = new Float64Array(256)
    for (let seed = 0; seed < 100000; seed++) {
      bins[Math.floor(randomStream(seed).nextUniform() * 256)]++
    }
    const expected = 100000 / 256
    const chiSquared = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
    assert(chiSquared > 160 && chiSquared < 375, `chi-squared ${chiSquared}`)
  })
})

describe("drawSeed", () => {
  it("gives uint32 seeds that differ", () => {
    const seeds = take(8, drawSeed)
    for (const seed of seeds) assert(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)
    assertNotEquals(new Set(seeds).size, 1)
  })
})
