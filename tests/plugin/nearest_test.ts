import { assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { hint, nearest } from "../../src/plugin/nearest.ts"

const known = ["arm", "contrast", "logitBias", "prompted", "union"]

describe("the nearest name", () => {
  it("is found over letters that are missing, too much, wrong or swapped", () => {
    for (
      const [name, expected] of [
        ...[["arn", "arm"], ["amr", "arm"], ["rm", "arm"], ["armm", "arm"], ["ARM", "arm"]],
        ...[["contast", "contrast"], ["contrats", "contrast"], ["logit_bias", "logitBias"]],
        ...[["promted", "prompted"], ["unoin", "union"], ["prompt", "prompted"]],
      ]
    ) {
      assertEquals(nearest(name, known), expected, name)
    }
  })

  it("is none where all are far", () => {
    for (const name of ["", "x", "greedy", "interpolated", "a".repeat(1_000)]) {
      assertEquals(nearest(name, known), undefined, name)
    }
    assertEquals(nearest("arm", []), undefined)
  })

  it("is the first of several that are equally near", () =>
    assertEquals(nearest("bat", ["cat", "rat", "bar"]), "cat"))

  it("is no hint where it is the name itself", () => {
    assertEquals(hint("arm", known), "")
    assertEquals(hint("amr", known, " (", ")"), ' (did you mean "arm"?)')
    assertEquals(hint("greedy", known, " (", ")"), "")
  })
})
