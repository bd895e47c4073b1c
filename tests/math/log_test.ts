import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { fastExp, fastLog } from "genarm/math"
import { uniforms } from "./_reference.ts"

describe("fastLog", () => {
  it("is the logarithm, to a relative error of 1e-15", () => {
    const next = uniforms(1)
    for (let i = 0; i < 20000; i++) {
      // Near 1, where the logarithm is small, and over the whole range.
      for (const x of [1 + (next() - 0.5) * 0.01, Math.exp((next() - 0.5) * 1400)]) {
        const exact = x > 0.99 && x < 1.01 ? Math.log1p(x - 1) : Math.log(x)
        assert(Math.abs(fastLog(x) - exact) <= 1e-15 * Math.abs(exact), `${x}: ${fastLog(x)}`)
      }
    }
  })

  it("is exact at 1, follows powers of 2, and knows the ends", () => {
    assertEquals(fastLog(1), 0)
    for (const power of [-1074, -1023, -1022, -1, 1, 52, 1023]) {
      const expected = power * Math.LN2
      assert(Math.abs(fastLog(2 ** power) / expected - 1) < 1e-15, String(power))
    }
    assertEquals(fastLog(1 - 2 ** -53), -(2 ** -53))
    assertEquals([0, -0, Infinity].map(fastLog), [-Infinity, -Infinity, Infinity])
    assertEquals([-1, -Infinity, NaN].map(fastLog), [NaN, NaN, NaN])
  })

  it("undoes fastExp", () => {
    for (let x = -600; x < 600; x += 0.37) assert(Math.abs(fastLog(fastExp(x)) - x) < 2e-9)
  })

  it("has the same bits on every engine", () => {
    const next = uniforms(2)
    const float = new Float64Array(1)
    const words = new Uint32Array(float.buffer)
    let hash = 0
    for (let i = 0; i < 10000; i++) {
      float[0] = fastLog(next() + 1e-9)
      hash = Math.imul(Math.imul(hash, 31) + words[0], 31) + words[1] | 0
    }
    assertEquals(hash, HASH)
  })
})

/** Of the bits of 10,000 logarithms. */
const HASH = -69283682
