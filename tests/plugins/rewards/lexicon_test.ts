import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { GenArmError, type RewardState, type SequenceInfo } from "genarm/plugin"
import { describe, it } from "node:test"
import { tokenBytes } from "../../../plugins/rewards/_known_tokens.ts"
import { bytesOf } from "../../../plugins/rewards/_token_bytes.ts"
import { lexicon, type LexiconOptions } from "../../../plugins/rewards/lexicon.ts"
import { open, watch } from "../../decode/_pipelines.ts"
import {
  drawIds,
  drawing,
  openReward,
  scoresOf,
  sequenceIn,
  sequenceOf,
  tokenizers,
} from "./_sequences.ts"

/** The score of a finished text, counted word by word. */
function scoreOf(text: string, { words, caseSensitive = false }: LexiconOptions): number {
  const fold = (word: string) => caseSensitive ? word : word.toLowerCase().replaceAll("ς", "σ")
  const table = new Map(
    (Array.isArray(words) ? words.map((word) => [word, 1] as const) : Object.entries(words))
      .map(([word, score]) => [fold(word), score]),
  )
  return [...text.replaceAll("’", "'").matchAll(/[\p{L}\p{M}\p{N}']+/gu)]
    .map(([word]) => table.get(fold(word.replace(/^'+|'+$/g, ""))) ?? 0)
    .reduce((sum, score) => sum + score, 0)
}

/** The text of ids, from their bytes. */
function textOf(sequence: SequenceInfo, ids: readonly number[]): string {
  const tokens = tokenBytes(sequence)
  return new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...bytesOf(tokens, id)])))
}

/** Accepts ids; gives the sum of what they were scored. */
function writeAll(state: RewardState, sequence: SequenceInfo, ids: readonly number[]): number {
  let sum = 0
  for (const id of ids) {
    sum += scoresOf(state, sequence)[id]
    state.accept!(id)
  }
  return sum
}

const names = ["a", "b", "ab", " ", "c", "'", "a b", "ba ab", ".", "é", "<0xC3>", "<0xA9>", "<end>"]
const settings: Record<string, LexiconOptions> = {
  "a list": { words: ["a", "ab"] },
  "scores": { words: { a: 1, ab: -2, "ba": 4, "a'b": 8, "é": 16, abc: 0.5 } },
  "spread scores": { words: { ab: 2, abc: -3, abab: 8, "a'b": 6, "éé": 4 }, spread: true },
}

describe("lexicon", () => {
  it("pays the token that makes a word, and takes back where it becomes another", () => {
    const sequence = sequenceOf(["hap", "py", "ish", " ", "happy", "<end>"])
    const state = openReward(lexicon({ words: { happy: 2 } }), sequence)
    const steps = [0, 1, 2, 3, 4].map((id) => {
      const scores = [...scoresOf(state, sequence)]
      state.accept!(id)
      return scores
    })
    assertEquals(steps, [
      [0, 0, 0, 0, 2, 0],
      [0, 2, 0, 0, 0, 0],
      [-2, -2, -2, 0, -2, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 2, 0],
    ])
  })

  it("pays the beginnings of a word where it is spread, and settles at its end", () => {
    const sequence = sequenceOf(["hap", "py", "pen", " ", "<end>"])
    const state = openReward(lexicon({ words: { happy: 5, happen: -1 }, spread: true }), sequence)
    assertEquals([...scoresOf(state, sequence)], [3, 0, 0, 0, 0])
    state.accept!(0)
    assertEquals([...scoresOf(state, sequence)], [-3, 2, -4, -3, -3])
    state.accept!(1)
    assertEquals([...scoresOf(state, sequence)], [-5, -5, -5, 0, 0])
  })

  for (const [name, options] of Object.entries(settings)) {
    it(`sums to the score of the text at any moment, whatever comes: ${name}`, () => {
      for (let seed = 0; seed < 30; seed++) {
        // What is spread over a word that the prompt begins has been paid there.
        const promptIds = seed % 3 === 0 && !options.spread ? [3, 0, 1] : []
        const sequence = sequenceOf(names, { promptIds })
        const state = openReward(lexicon(options), sequence)
        const ids = [...promptIds]
        let sum = scoreOf(textOf(sequence, ids), options)
        for (const id of drawIds(seed, 12, 25)) {
          sum += writeAll(state, sequence, [id])
          ids.push(id)
          const text = textOf(sequence, ids)
          const end = scoresOf(state, sequence)[12]
          if (!options.spread) assertEquals(end, 0)
          assertAlmostEquals(sum + end, scoreOf(text, options), 1e-4, text)
        }
      }
    })
  }

  it("scores every id by what it adds to the text", () => {
    for (const options of Object.values(settings).filter(({ spread }) => !spread)) {
      const sequence = sequenceOf(names)
      const ids: number[] = []
      const state = openReward(lexicon(options), sequence)
      for (const id of drawIds(11, 12, 60)) {
        const before = scoreOf(textOf(sequence, ids), options)
        const added = names.map((_, id) =>
          scoreOf(textOf(sequence, [...ids, id]), options) - before
        )
        assertEquals([...scoresOf(state, sequence)], added, textOf(sequence, ids))
        ids.push(id)
        state.accept!(id)
      }
    }
  })

  for (const [path, options] of tokenizers) {
    it(`finds words whatever the tokens, in ${path.split("/").at(-1)}`, options, async () => {
      const sequence = await sequenceIn(path)
      const words = { happy: 1, "don't": 2, "día": 4, "ΛΌΓΟΣ": 8, it: 16, "7up": 32 }
      const text = " Happy? (happy) unhappy, it's it. Don’t DÍA λόγος 'happy' 7up IT"
      const wanted = 3 + 2 + 4 + 8 + 2 * 16 + 32
      const run = (words: LexiconOptions) =>
        writeAll(openReward(lexicon(words), sequence), sequence, sequence.encode(text))
      assertAlmostEquals(run({ words }), wanted, 1e-4)
      assertAlmostEquals(run({ words, caseSensitive: true }), 2 + 16 + 32, 1e-4)
      const spread = openReward(lexicon({ words, spread: true }), sequence)
      const ids = [...sequence.encode(text), sequence.eos[0]]
      assertAlmostEquals(writeAll(spread, sequence, ids), wanted, 1e-4)
    })
  }

  it("goes on with the word that the prompt leaves open", () => {
    const options = { words: { abc: 4, c: 1, ab: 2 } }
    const sequence = sequenceOf(names, { promptIds: [3, 2] })
    const scores = scoresOf(openReward(lexicon(options), sequence), sequence)
    assertEquals([...scores].slice(0, 5), [-2, -2, -2, 0, 2])
  })

  it("forks and rewinds", () => {
    const sequence = sequenceOf(names)
    const draw = drawing(3)
    const options = settings["spread scores"]
    const state = openReward(lexicon(options), sequence)
    const ids = drawIds(5, 12, 20)
    writeAll(state, sequence, ids)
    const copy = state.fork!({})
    const back = 1 + draw(10)
    copy.rewind!(back)
    const fresh = openReward(lexicon(options), sequence)
    writeAll(fresh, sequence, ids.slice(0, -back))
    assertEquals(scoresOf(copy, sequence), scoresOf(fresh, sequence))
    writeAll(copy, sequence, ids.slice(-back))
    assertEquals(scoresOf(copy, sequence), scoresOf(state, sequence))
  })

  it("refuses what is no word, and scores that contradict each other", () => {
    const problem = (words: LexiconOptions["words"]) => {
      const error = assertThrows(() => lexicon({ words }), GenArmError)
      assert(error.reason._tag === "InvalidOption")
      return [error.reason.path, error.message.split(",")[0]]
    }
    const expected = "lexicon: expected one word of letters and digits"
    assertEquals(problem({ "ice cream": 1 }), [["words", "ice cream"], expected])
    assertEquals(problem(["a", ":)"]), [["words", 1], expected])
    assertEquals(problem([""]), [["words", 0], expected])
    assertEquals(problem({ May: 1, may: 2 })[0], ["words", "may"])
    assertEquals(lexicon({ words: { May: 1, may: 2 }, caseSensitive: true }).plugin, "lexicon")
  })

  it("steers a pipeline towards its words", async () => {
    const vocabulary = ["good", "bad", " ", "<end>"]
    const next = (ids: readonly number[]) => ids.at(-1) === 2 ? [1, 1, 0, 0] : [0, 0, 1, 0]
    await using pipeline = await open(watch({ base: { vocabulary, next } }), {
      rewards: { x: { reward: lexicon({ words: { good: Math.log(3) } }), weight: 1 } },
    })
    const { tokens } = await pipeline.generate(" ", { maxTokens: 1, seed: 2, trace: { top: 2 } })
    assertAlmostEquals(Math.exp(tokens[0].top![0].logprob.guided), 0.75, 1e-6)
  })
})
