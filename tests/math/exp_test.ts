import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { fastExp } from "genarm/math"

describe("fastExp", () => {
  it("agrees with Math.exp to a relative error of 1e-9 over the normal float64 numbers", () => {
    let worst = 0
    for (let x = -708; x < 709.7; x += 0.00317) {
      worst = Math.max(worst, Math.abs(fastExp(x) / Math.exp(x) - 1))
    }
    for (let x = -1; x <= 1; x += 0.0000317) {
      worst = Math.max(worst, Math.abs(fastExp(x) / Math.exp(x) - 1))
    }
    assert(worst < 1e-9, `worst relative error ${worst}`)
  })

  it("is continuous where two steps of its table meet", () => {
    for (let k = 1; k < 20000; k++) {
      const seam = -(k - 0.5) / 256
      const ratio = fastExp(seam - 1e-12) / fastExp(seam + 1e-12)
      assert(Math.abs(ratio - 1) < 1e-9, `ratio ${ratio} at ${seam}`)
    }
  })

  it("gives 1 for 0 and -0, and NaN for NaN", () => {
    assertEquals(fastExp(0), 1)
    assertEquals(fastExp(-0), 1)
    assertEquals(fastExp(NaN), NaN)
  })

  it("falls through the subnormal numbers to 0", () => {
    assert(Math.abs(fastExp(-720) / Math.exp(-720) - 1) < 1e-6)
    assert(fastExp(-744) > 0)
    assertEquals([-746, -1e6, -1e300, -Infinity].map(fastExp), [0, 0, 0, 0])
  })

  it("gives Infinity over the greatest float64", () => {
    assert(fastExp(709.7) < Infinity)
    assertEquals([709.8, 711, 1e300, Infinity].map(fastExp), Array(4).fill(Infinity))
  })

  it("gives the same 64 bits on every engine", () => {
    for (const [x, expected] of GOLDEN) assertEquals(bits(fastExp(x)), expected, `e^${x}`)
  })
})

// Computed once by this implementation; the error against Math.exp is tested above.
const GOLDEN: [number, string][] = [
  [-1e-9, "3fefffffff768f9c"],
  [-0.001953125, "3feff003ff800000"],
  [-0.1, "3fecf46d99e2b4cf"],
  [-0.5, "3fe368b2fc6f961e"],
  [-1, "3fd78b56362cef38"],
  [-2.718281828, "3fb0e497881246ac"],
  [-17.3, "3e60772c098216d2"],
  [-100, "36ea8c1f14e2af76"],
  [-689.99, "01b7811574c0e0ce"],
  [-700, "00d14f2b0fb930f0"],
  [0.1, "3ff1aec7b351bc64"],
  [1, "4005bf0a8b145769"],
  [42.42, "43c25e36138d1fac"],
  [700, "7f0d945df4f8ebcd"],
]

function bits(x: number): string {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, x)
  return view.getBigUint64(0).toString(16).padStart(16, "0")
}
