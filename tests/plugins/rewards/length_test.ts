import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { GenArmError } from "genarm/plugin"
import { describe, it } from "node:test"
import { length, type LengthOptions } from "../../../plugins/rewards/length.ts"
import { open, watch } from "../../decode/_pipelines.ts"
import { drawIds, openReward, scoresOf, sequenceIn, sequenceOf, tokenizers } from "./_sequences.ts"

const names = ["a", "b", " ", " a b", "'", ".", "! ", "?”", "é", "<0xC3>", "<0xA9>", "。", "<end>"]
const end = 12

/** The score of an end after some tokens, and which others are ruled out. */
function after(options: LengthOptions, ids: readonly number[]) {
  const sequence = sequenceOf(names)
  const state = openReward(length(options), sequence)
  for (const id of ids) state.accept!(id)
  const scores = [...scoresOf(state, sequence)]
  const others = scores.slice(0, end)
  assert(others.every((score) => score === 0 || score === -Infinity))
  return { end: scores[end], ruledOut: [...others.keys()].filter((id) => others[id] !== 0) }
}

const wordsIn = (text: string) =>
  (text.match(/[\p{L}\p{M}\p{N}'’]+/gu) ?? []).filter((run) => /[^'’]/.test(run)).length

/** Sentences, cut at every end and counted. */
const sentencesIn = (text: string) =>
  text.split(/(?<=[.!?…]["'”’)\]]*)(?=\s|$)|(?<=[。！？])(?![。！？])/u)
    .filter((part) => /[\p{L}\p{N}][^]*([.!?…]["'”’)\]]*|[。！？]+)$/u.test(part)).length

const textOf = (ids: readonly number[]) => sequenceOf(names).decode(ids)

describe("length", () => {
  it("holds ends back before its target, and presses for them after it, evenly", () => {
    const ends = [0, 1, 2, 3, 4, 5, 6].map((count) =>
      after({ target: 4, width: 2 }, Array(count).fill(0)).end
    )
    assertEquals(ends, [-2, -1.5, -1, -0.5, 0, 0.5, 1])
    assertAlmostEquals(after({ target: 40 }, [0, 0]).end, -9.5, 1e-6)
    assertEquals(after({ target: 4 }, [0]).ruledOut, [])
  })

  it("rules an end out before min, and all else at max", () => {
    const all = Array.from({ length: end }, (_, id) => id)
    assertEquals(after({ min: 2, max: 3 }, [0]), { end: -Infinity, ruledOut: [] })
    assertEquals(after({ min: 2, max: 3 }, [0, 1]), { end: 0, ruledOut: [] })
    assertEquals(after({ min: 2, max: 3 }, [0, 1, 2]), { end: 0, ruledOut: all })
  })

  it("counts words, of which the last may be finished", () => {
    const ends = (ids: readonly number[]) => after({ target: 1, width: 1, unit: "words" }, ids).end
    for (let seed = 0; seed < 40; seed++) {
      const ids = drawIds(seed, end, 15)
      assertEquals(ends(ids), wordsIn(textOf(ids)) - 1, textOf(ids))
    }
    const { ruledOut } = after({ max: 2, unit: "words" }, [0, 2, 1])
    assertEquals(ruledOut.map((id) => names[id]), [" a b"])
    const full = after({ max: 2, unit: "words" }, [0, 2, 1, 2]).ruledOut
    assertEquals(full.map((id) => names[id]), ["a", "b", " a b", "é"])
    const half = after({ max: 1, unit: "words" }, [0, 2, 9]).ruledOut
    assertEquals(half.map((id) => names[id]), ["a", "b", " a b", "é", "<0xA9>"])
  })

  it("rules out exactly what would be longer than max words", () => {
    const sequence = sequenceOf(names)
    for (let seed = 0; seed < 20; seed++) {
      const state = openReward(length({ max: 3, unit: "words" }), sequence)
      const ids: number[] = []
      for (const id of drawIds(seed, end, 30)) {
        const scores = scoresOf(state, sequence)
        for (let other = 0; other < end; other++) {
          const isLonger = wordsIn(textOf([...ids, other])) > 3
          assertEquals(scores[other], isLonger ? -Infinity : 0, `${textOf(ids)} + ${names[other]}`)
        }
        if (scores[id] !== 0) continue
        ids.push(id)
        state.accept!(id)
      }
    }
  })

  it("counts sentences, and rules out all but the end after the last", () => {
    const ends = (ids: readonly number[]) =>
      after({ target: 1, width: 1, unit: "sentences" }, ids).end
    for (let seed = 0; seed < 60; seed++) {
      const ids = drawIds(seed, end, 14)
      assertEquals(ends(ids), sentencesIn(textOf(ids)) - 1, textOf(ids))
    }
    assertEquals(after({ max: 1, unit: "sentences" }, [0, 2, 1]).ruledOut, [])
    assertEquals(after({ max: 1, unit: "sentences" }, [0, 5]).ruledOut.length, end)
  })

  for (const [path, options] of tokenizers) {
    it(`counts whatever the tokens, in ${path.split("/").at(-1)}`, options, async () => {
      const sequence = await sequenceIn(path)
      const text = " She said: “Don’t go.” Why? Café 3.14 … is open! And"
      const endAfter = (unit: "words" | "sentences") => {
        const state = openReward(length({ target: 1, width: 1, unit }), sequence)
        for (const id of sequence.encode(text)) state.accept!(id)
        return scoresOf(state, sequence)[sequence.eos[0]]
      }
      assertEquals(endAfter("words"), 11 - 1)
      assertEquals(endAfter("sentences"), sentencesIn(text) - 1)
    })
  }

  it("forks and rewinds", () => {
    const sequence = sequenceOf(names)
    for (const unit of ["tokens", "words", "sentences"] as const) {
      const options = { target: 3, min: 1, max: 6, unit }
      const state = openReward(length(options), sequence)
      const ids = [0, 5, 2, 1, 2, 9]
      for (const id of ids) state.accept!(id)
      const copy = state.fork!({})
      copy.rewind!(4)
      const fresh = openReward(length(options), sequence)
      for (const id of ids.slice(0, 2)) fresh.accept!(id)
      assertEquals(scoresOf(copy, sequence), scoresOf(fresh, sequence))
      for (const id of ids.slice(2)) copy.accept!(id)
      assertEquals(scoresOf(copy, sequence), scoresOf(state, sequence))
    }
  })

  it("is refused where it would do nothing, or contradicts itself", () => {
    const pathOf = (options: LengthOptions) => {
      const { reason } = assertThrows(() => length(options), GenArmError)
      assert(reason._tag === "InvalidOption")
      return reason.path
    }
    assertEquals(pathOf({}), [])
    assertEquals(pathOf({ width: 2, max: 3 }), ["width"])
    assertEquals(pathOf({ min: 4, max: 3 }), ["max"])
    assertEquals(pathOf({ target: 0 }), ["target"])
    const endless = sequenceOf(["a"])
    const error = assertThrows(() => openReward(length({ max: 3 }), endless), GenArmError)
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "length" })
  })

  it("moves the lengths of a pipeline's texts towards its target", async () => {
    const models = watch({
      base: { vocabulary: ["a", "<end>"], eos: [1], next: () => [0.9, 0.1], contextLength: 4000 },
    })
    const lengths = async (weight: number) => {
      await using pipeline = await open(models, {
        rewards: { x: { reward: length({ target: 30, width: 2 }), weight } },
      })
      const all: number[] = []
      for (let seed = 0; seed < 40; seed++) {
        const { text } = await pipeline.generate("a", { maxTokens: 200, seed, trace: "none" })
        all.push(text.length)
      }
      return all
    }
    const distance = (all: readonly number[]) =>
      all.reduce((sum, count) => sum + Math.abs(count - 31), 0) / all.length
    const [free, guided] = [await lengths(0), await lengths(1)]
    assert(distance(guided) < 5 && distance(free) > 10, `${distance(guided)} ${distance(free)}`)
  })
})
