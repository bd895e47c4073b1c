import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { defineGraph, GenArmError, openPipeline } from "genarm"
import type { PluginNode, RewardState, SequenceInfo } from "genarm/plugin"
import { describe, it } from "node:test"
import { pattern } from "../../../plugins/rewards/pattern.ts"
import { open, watch } from "../../decode/_pipelines.ts"
import {
  type Draw,
  drawing,
  folder,
  openReward,
  scoresOf,
  sequenceIn,
  sequenceOf,
  tokenizers,
} from "./_sequences.ts"

function allowed(state: RewardState, sequence: SequenceInfo): number[] {
  const scores = scoresOf(state, sequence)
  const ids = [...scores.keys()].filter((id) => scores[id] === 0)
  const refused = scores.filter((score) => score === -Infinity)
  assertEquals(ids.length + refused.length, scores.length, "0 and -Infinity only")
  return ids
}

/** Writes with ids drawn among those allowed, ending one time in four where it may end. */
function write(
  node: PluginNode<"reward">,
  sequence: SequenceInfo,
  draw: Draw,
  most = 60,
): number[] | undefined {
  const state = openReward(node, sequence)
  const ids: number[] = []
  while (ids.length < most) {
    const next = allowed(state, sequence)
    assert(next.length > 0, `nothing may follow ${JSON.stringify(sequence.decode(ids))}`)
    const ends = next.filter((id) => sequence.eos.includes(id))
    const others = next.filter((id) => !sequence.eos.includes(id))
    if (ends.length > 0 && (others.length === 0 || draw(4) === 0)) return ids
    const id = others[draw(others.length)]
    ids.push(id)
    state.accept!(id)
  }
  return undefined
}

describe("pattern", () => {
  const sources = [
    "(yes|no|maybe)\\.",
    "[A-Z][a-z]+( [a-z]+){0,3}[.!?]",
    "\\d{4}-\\d{2}-\\d{2}",
    "[^\\x00-\\x7f]{1,4}",
    "(🙂|é|日本)+",
    '"[^"\\n]{0,20}"',
    ".{0,12}",
  ]

  for (const [path, options] of tokenizers) {
    it(
      `writes texts that match, with the tokens of ${path.split("/").at(-1)}`,
      options,
      async () => {
        const sequence = await sequenceIn(path)
        const draw = drawing(1)
        for (const regex of sources) {
          const expected = new RegExp(`^(?:${regex})$`, "u")
          let written = 0
          for (let round = 0; round < 8; round++) {
            const ids = write(pattern({ regex }), sequence, draw)
            if (ids === undefined) continue
            written++
            // A tokenizer may drop a space that nothing precedes.
            const text = sequence.decode([...sequence.promptIds, ...ids])
              .slice(sequence.decode(sequence.promptIds).length)
            assert(expected.test(text), `${regex} wrote ${JSON.stringify(text)}`)
          }
          assert(written > 0, `${regex} came to no end`)
        }
      },
    )
  }

  it("lets exactly those ids through with which a match can be reached", () => {
    const names = [
      "a",
      "b",
      "ab",
      "ba",
      "abc",
      "cab",
      "x",
      "<0xC3>",
      "<0xA9>",
      "éb",
      "<end>",
      "<s>",
    ]
    const bytes = names.map((name) =>
      /^<0x/.test(name) ? [parseInt(name.slice(3, 5), 16)] : [...new TextEncoder().encode(name)]
    )
    // All texts that match, so that every way to write them can be tried out.
    const languages: Record<string, readonly string[]> = {
      "(ab|abc|é)x?": ["ab", "abc", "é", "abx", "abcx", "éx"],
      "(a|ba){2}c?|éb": ["aa", "aba", "baa", "baba", "aac", "abac", "baac", "babac", "éb"],
      // There is no token for "c" alone, nor for "z".
      "a(c|z)?|x(ca)?b|abc": ["a", "ac", "az", "xb", "xcab", "abc"],
    }
    for (const [regex, texts] of Object.entries(languages)) {
      const sequence = sequenceOf(names)
      const targets = texts.map((text) => [...new TextEncoder().encode(text)])
      const begins = (written: readonly number[]) =>
        targets.filter((target) => written.every((byte, i) => target[i] === byte))
      const canEnd = (written: readonly number[]): boolean =>
        begins(written).some((target) =>
          target.length === written.length ||
          bytes.slice(0, 10).some((token) =>
            token.every((byte, i) => target[written.length + i] === byte) &&
            canEnd([...written, ...token])
          )
        )
      let compared = 0
      const compare = (state: RewardState, written: readonly number[]) => {
        const expected = names.flatMap((name, id) => {
          if (name === "<s>") return []
          const isMatch = begins(written).some(({ length }) => length === written.length)
          if (name === "<end>") return isMatch ? [id] : []
          return canEnd([...written, ...bytes[id]]) ? [id] : []
        })
        assertEquals(allowed(state, sequence), expected, `${regex} after ${written}`)
        compared++
        for (const id of expected.filter((id) => id < 10)) {
          const next = state.fork!({})
          next.accept!(id)
          compare(next, [...written, ...bytes[id]])
        }
      }
      compare(openReward(pattern({ regex }), sequence), [])
      assert(compared > 5)
    }
  })

  it("searches along whole tokens where loops lead nowhere", () => {
    const sequence = sequenceOf(["aa", "a", "ab", "bb", "<end>"])
    const none = openReward(pattern({ regex: "c*|a+b{4}" }), sequence)
    // "ab" would leave three of "b", and "bb" writes two at a time.
    assertEquals(allowed(none, sequence), [0, 1, 4])
    none.accept!(1)
    assertEquals(allowed(none, sequence), [0, 1, 3])
  })

  it("fails where the tokens can write no match", () => {
    const sequence = sequenceOf(["a", "<end>"])
    const error = assertThrows(() => openReward(pattern({ regex: "b+" }), sequence), GenArmError)
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "pattern" })
  })

  it("forks and rewinds", async () => {
    const sequence = await sequenceIn(tokenizers[0][0])
    const state = openReward(pattern({ regex: "(red|green) (apple|pear)" }), sequence)
    const ids = sequence.encode("red apple")
    const steps = ids.map((id) => {
      const before = allowed(state, sequence)
      state.accept!(id)
      return before
    })
    assertEquals(allowed(state, sequence), sequence.eos)
    const copy = state.fork!({})
    copy.rewind!(ids.length)
    assertEquals(allowed(copy, sequence), steps[0])
    for (const id of sequence.encode("green")) copy.accept!(id)
    assert(allowed(copy, sequence).length > 0)
    assertEquals(allowed(state, sequence), sequence.eos, "the copy goes on by itself")
    ids.toReversed().forEach((_, i) => {
      state.rewind!(1)
      assertEquals(allowed(state, sequence), steps[steps.length - 1 - i])
    })
  })

  it("holds no text back that has left the pattern", () => {
    const sequence = sequenceOf(["a", "b", "<end>"])
    const state = openReward(pattern({ regex: "a*" }), sequence)
    state.accept!(1)
    assertEquals(allowed(state, sequence), [0, 1, 2])
    state.rewind!(1)
    assertEquals(allowed(state, sequence), [0, 2])
  })

  it("never lets an end stand for its text, or a special token for none", () => {
    const sequence = sequenceOf(["a", ".", "<s>", "<end>"], { eos: [1, 3] })
    const state = openReward(pattern({ regex: "a\\.?" }), sequence)
    assertEquals(allowed(state, sequence), [0])
    state.accept!(0)
    assertEquals(allowed(state, sequence), [1, 3])
  })

  it("says where an option is wrong", () => {
    const problem = (options: unknown) => {
      const error = assertThrows(() => pattern(options as never), GenArmError)
      assert(error.reason._tag === "InvalidOption")
      return [error.reason.path.join("."), error.message.split(",")[0]]
    }
    assertEquals(problem({ regex: "a(" }), ["regex", '"(" is never closed'])
    assertEquals(problem({ regex: "[]" }), ["regex", "no text matches: expected one that does"])
    assertEquals(problem({}), ["", "Expected either `regex` or `jsonSchema`"])
    assertEquals(problem({ regex: "a", jsonSchema: true })[1], problem({})[1])
    assertEquals(problem({ regex: "a", depth: 2 })[0], "depth")
    assertEquals(problem({ regex: "(.{999}){999}" }), [
      "regex",
      "the pattern is too large: more than 200000 states; make its counts or depth smaller",
    ])
  })

  it("does not freeze the schema it is given, and serialises", () => {
    const jsonSchema = { type: "object", properties: { a: { type: "null" } } } as const
    const node = pattern({ jsonSchema })
    assertEquals(Object.isFrozen(jsonSchema.properties), false)
    assertEquals(JSON.parse(JSON.stringify(node.options)), { jsonSchema })
  })
})

describe("pattern in a pipeline", () => {
  it("masks, and leaves the odds of what it lets through as they were", async () => {
    const models = watch({
      base: { vocabulary: ["a", "b", "c", "<end>"], eos: [3], next: () => [0.1, 0.2, 0.3, 0.4] },
    })
    await using pipeline = await open(models, {
      rewards: { x: { reward: pattern({ regex: "[ab]{3}" }), weight: 0.5 } },
    })
    const { text, tokens, stopReason } = await pipeline.generate("c", { maxTokens: 9, seed: 1 })
    assert(/^[ab]{3}$/.test(text))
    assertEquals(stopReason, "eos")
    for (const { id, logprob } of tokens.slice(0, 3)) {
      assertAlmostEquals(Math.exp(logprob.guided), id === 0 ? 1 / 3 : 2 / 3, 1e-6)
    }
    assertAlmostEquals(tokens[3].logprob.guided, 0, 1e-6)
    const { rewards } = await pipeline.score("c", "abca")
    assertEquals(rewards.x, -Infinity)
  })

  it("holds whatever a model of random weights would rather say, with and without a prompt", async () => {
    for (const model of ["llama", "qwen2"]) {
      const graph = defineGraph({
        base: folder(`tests/fixtures/models/${model}`),
        rewards: { x: { reward: pattern({ regex: "( ?[a-z]{1,6}){2,4}\\." }), weight: 1 } },
      })
      await using pipeline = await openPipeline(graph, { threads: 1, onProgress: () => {} })
      const prompts = model === "llama" ? ["", "It was"] : ["It was"]
      for (const prompt of prompts) {
        for (let seed = 0; seed < 3; seed++) {
          const { text, stopReason } = await pipeline.generate(prompt, { maxTokens: 60, seed })
          assertEquals(stopReason, "eos")
          assert(/^( ?[a-z]{1,6}){2,4}\.$/.test(text), JSON.stringify(text))
        }
      }
    }
  })
})
