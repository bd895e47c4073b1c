import { assert, assertEquals, assertThrows } from "@std/assert"
import { GenArmError } from "genarm/plugin"
import { describe, it } from "node:test"
import { repetition, type RepetitionOptions } from "../../../plugins/rewards/repetition.ts"
import { open, watch } from "../../decode/_pipelines.ts"
import { drawIds, openReward, scoresOf, sequenceOf } from "./_sequences.ts"

const sequence = sequenceOf([..."abcde", "<end>"], { promptIds: [4, 4, 0, 1] })

/** The scores of a to e and the end after a text. */
function after(options: RepetitionOptions, text: string): number[] {
  const state = openReward(repetition(options), sequence)
  for (const id of sequence.encode(text)) state.accept!(id)
  return [...scoresOf(state, sequence)]
}

/** The penalties, written down from their definition. */
function expected(options: RepetitionOptions, text: readonly number[]): number[] {
  const { presence = 0, frequency = 0, noRepeatNgram, window = Infinity, prompt } = options
  const all = [...prompt ? sequence.promptIds : [], ...text]
  const written = window < all.length ? all.slice(-window) : all
  return Array.from({ length: 6 }, (_, id) => {
    if (sequence.eos.includes(id)) return 0
    const count = written.filter((other) => other === id).length
    const score = -presence * Math.sign(count) - frequency * count
    if (noRepeatNgram === undefined || all.length < noRepeatNgram - 1) return score + 0
    const gram = [...all.slice(all.length - noRepeatNgram + 1), id].join()
    const stands = written.some((_, i) =>
      i + noRepeatNgram <= written.length && written.slice(i, i + noRepeatNgram).join() === gram
    )
    return stands ? -Infinity : score + 0
  })
}

describe("repetition", () => {
  it("takes presence once and frequency each time from what has been written", () => {
    assertEquals(after({ presence: 0.5 }, "abac"), [-0.5, -0.5, -0.5, 0, 0, 0])
    assertEquals(after({ frequency: 0.25 }, "abac"), [-0.5, -0.25, -0.25, 0, 0, 0])
    assertEquals(after({ presence: 0.5, frequency: 0.25 }, "abac"), [-1, -0.75, -0.75, 0, 0, 0])
    assertEquals(after({ frequency: -1 }, "bb"), [0, 2, 0, 0, 0, 0])
  })

  it("counts the latest tokens only, where there is a window", () => {
    assertEquals(after({ frequency: 1, window: 2 }, "aabc"), [0, -1, -1, 0, 0, 0])
    assertEquals(after({ frequency: 1, window: 3 }, "aabc"), [-1, -1, -1, 0, 0, 0])
  })

  it("counts the prompt where it is asked to", () => {
    assertEquals(after({ frequency: 1 }, "b"), [0, -1, 0, 0, 0, 0])
    assertEquals(after({ frequency: 1, prompt: true }, "b"), [-1, -2, 0, 0, -2, 0])
    assertEquals(after({ noRepeatNgram: 2, prompt: true }, "e"), [-Infinity, 0, 0, 0, -Infinity, 0])
  })

  it("rules out what would repeat an n-gram, as Hugging Face's NoRepeatNGramLogitsProcessor does", () => {
    // From its tests: [[1, 1, 2, 1], [0, 1, 0, 1]] with n-grams of 2 and 3.
    const banned = (noRepeatNgram: number, text: string) =>
      after({ noRepeatNgram }, text).flatMap((score, id) => score === -Infinity ? [id] : [])
    assertEquals(banned(2, "bbcb"), [1, 2])
    assertEquals(banned(3, "bbcb"), [])
    assertEquals(banned(2, "abab"), [0])
    assertEquals(banned(3, "abab"), [0])
    assertEquals(banned(1, "acab"), [0, 1, 2])
    assertEquals(banned(3, "a"), [])
  })

  it("never holds an end back", () => {
    const ended = sequenceOf(["a", "<end>"], { promptIds: [0, 1, 0] })
    const options = { frequency: 1, noRepeatNgram: 2, prompt: true }
    const state = openReward(repetition(options), ended)
    assertEquals([...scoresOf(state, ended)], [-2, 0])
  })

  it("is what its definition says after any tokens, forked and rewound", () => {
    const settings: RepetitionOptions[] = [
      { presence: 0.5, frequency: 0.25 },
      { frequency: 1, window: 5, prompt: true },
      { noRepeatNgram: 2 },
      { noRepeatNgram: 1, window: 3 },
      { noRepeatNgram: 3, prompt: true, presence: 1 },
      { noRepeatNgram: 2, window: 6, frequency: 0.5, prompt: true },
    ]
    for (const options of settings) {
      let state = openReward(repetition(options), sequence)
      const text: number[] = []
      drawIds(7, 4, 60).forEach((id, i) => {
        state.accept!(id)
        text.push(id)
        if (i % 5 === 4) {
          const left = state
          state = left.fork!({})
          left.accept!(3)
          left.rewind!(4)
        }
        if (i % 7 === 6) {
          state.rewind!(3)
          text.length -= 3
        }
        assertEquals([...scoresOf(state, sequence)], expected(options, text))
      })
    }
  })

  it("is refused where it would do nothing", () => {
    const pathOf = (options: RepetitionOptions) => {
      const { reason } = assertThrows(() => repetition(options), GenArmError)
      assert(reason._tag === "InvalidOption")
      return reason.path
    }
    assertEquals(pathOf({ window: 3 }), [])
    assertEquals(pathOf({ noRepeatNgram: 4, window: 3 }), ["noRepeatNgram"])
    assertEquals(pathOf({ frequency: 1, window: 0 }), ["window"])
    assertEquals(pathOf({ frequency: Infinity }), ["frequency"])
  })

  it("changes what a pipeline writes", async () => {
    const models = watch({ base: { next: () => [0.4, 0.3, 0.2, 0.1] } })
    await using pipeline = await open(models, {
      rewards: { x: { reward: repetition({ noRepeatNgram: 2 }), weight: 1 } },
    })
    const { text } = await pipeline.generate("a", { maxTokens: 9, seed: 1 })
    const pairs = [...text].slice(1).map((letter, i) => text[i] + letter)
    assertEquals(new Set(pairs).size, pairs.length)
  })
})
