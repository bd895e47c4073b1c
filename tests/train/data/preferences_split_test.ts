import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { GenArmError } from "../../../src/errors.ts"
import { splitHeldOut } from "../../../src/train/data/preferences_split.ts"

/** Items of `prompts` prompts, `each` of every one, by turns. */
const items = (prompts: number, each = 1) =>
  Array.from({ length: prompts * each }, (_, id) => ({ prompt: `Prompt ${id % prompts}`, id }))

describe("the held-out split", () => {
  it("has the share asked for, and every item once, in order", () => {
    for (const [share, held] of [[0.05, 10], [0.5, 100], [0.99, 198], [0, 0]]) {
      const all = items(200)
      const { train, heldOut } = splitHeldOut(all, share, 1)
      assertEquals([train.length, heldOut.length], [200 - held, held])
      for (const side of [train, heldOut]) {
        assertEquals(side.map(({ id }) => id), side.map(({ id }) => id).toSorted((a, b) => a - b))
      }
      assertEquals(new Set([...train, ...heldOut]).size, 200)
    }
  })

  it("keeps a prompt on one side", () => {
    const { train, heldOut } = splitHeldOut(items(40, 5), 0.1, 3)
    assertEquals(heldOut.length, 20)
    const seen = new Set(train.map(({ prompt }) => prompt))
    assert(heldOut.every(({ prompt }) => !seen.has(prompt)))
  })

  it("depends on the seed, and not on the order of the items", () => {
    const prompts = (all: { prompt: string }[], seed: number) =>
      splitHeldOut(all, 0.2, seed).heldOut.map(({ prompt }) => prompt).toSorted()
    const one = prompts(items(100), 1)
    assertEquals(prompts(items(100), 1), one)
    assertEquals(prompts(items(100).toReversed(), 1), one)
    assertNotEquals(prompts(items(100), 2), one)
    // As a golden value, so that a share held out stays held out in later versions.
    assertEquals(prompts(items(10), 7), golden)
  })

  it("takes prompts that are conversations or token ids", () => {
    const ids = Array.from({ length: 20 }, (_, i) => ({ prompt: [1, i % 10] }))
    const { heldOut } = splitHeldOut(ids, 0.2, 1)
    assertEquals(heldOut.length, 4)
    assertEquals(new Set(heldOut.map(({ prompt }) => prompt[1])).size, 2)
  })

  it("holds out and leaves at least one prompt, however small the share", () => {
    for (const share of [0.001, 0.5, 0.999]) {
      const { train, heldOut } = splitHeldOut(items(2, 50), share, 1)
      assertEquals([train.length, heldOut.length], [50, 50], `${share}`)
    }
    const uneven = [...items(1, 90), { prompt: "other", id: 90 }]
    for (const seed of [0, 1, 2, 3]) {
      assertEquals(splitHeldOut(uneven, 0.05, seed).heldOut, [{ prompt: "other", id: 90 }])
    }
  })

  const faults: readonly (readonly [number, share: number, seed: number, string, string])[] = [
    [10, 1, 0, "share", "found 1"],
    [10, -0.1, 0, "share", "found -0.1"],
    [10, NaN, 0, "share", "found NaN"],
    [10, 0.5, -1, "seed", "found -1"],
    [10, 0.5, 0.5, "seed", "found 0.5"],
    [1, 0.5, 0, "items", "at least two prompts"],
    [0, 0.5, 0, "items", "at least two prompts"],
  ]
  for (const [prompts, share, seed, option, part] of faults) {
    it(`is refused of ${prompts} prompts with share ${share} and seed ${seed}`, () => {
      const split = () => splitHeldOut(items(prompts, 3), share, seed)
      const error = assertThrows(split, GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path: [option] })
    })
  }
})

/** The prompts whose SHA-256 after the seed is smallest, by hashlib of Python. */
const golden = ["Prompt 3", "Prompt 4"]
