import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert"
import { readFileSync } from "node:fs"
import { describe, it } from "node:test"
import { GenArmError } from "../../../src/errors.ts"
import { openTokenizer, type Tokenizer } from "../../../src/files/tokenizer.ts"
import type { PreferencePair } from "../../../src/train/data/pairs.ts"
import { readPreferences } from "../../../src/train/data/preferences.ts"
import {
  type PreferenceReport,
  printPreferenceReport,
} from "../../../src/train/data/preferences_report.ts"
import {
  tokenizePreferences,
  type TokenizePreferencesOptions,
} from "../../../src/train/data/preferences_tokens.ts"
import { fixture } from "../../_fixtures.ts"
import { noTrained, trained } from "../../engine/_engines.ts"
import { jsonLines, published, withFile } from "./_preferences.ts"

/** Begins texts with BOS, and has no chat template. */
const llama = await openTokenizer(fixture("llama"))
/** Has a chat template, and no BOS. */
const qwen = await openTokenizer(fixture("qwen2"))

const pair = (prompt: string, chosen: string, rejected: string): PreferencePair => ({
  prompt,
  chosen,
  rejected,
})

const blue = pair("The sky is", " blue.", " green.")

describe("pairs of tokens", () => {
  it("are prompt with BOS and continuations with EOS", async () => {
    for (const tokenizer of [llama, qwen]) {
      const { pairs } = await tokenizePreferences([blue], tokenizer, { maxTokens: 100 })
      const eos = tokenizer.eos as number
      assertEquals(pairs, [{
        prompt: tokenizer.encode("The sky is"),
        chosen: [...tokenizer.encodeContinuation(" blue."), eos],
        rejected: [...tokenizer.encodeContinuation(" green."), eos],
      }])
      const text = tokenizer.decode([...pairs[0].prompt, ...pairs[0].chosen])
      assertEquals(text, "The sky is blue.")
    }
    assertEquals(llama.token(llama.encode("The sky is")[0]), "<s>")
  })

  it("come from arrays, generators and files", async () => {
    const rows = [blue, pair("", "a", "b")]
    const expected = await tokenizePreferences(rows, llama, { maxTokens: 100 })
    assertEquals(expected.report.kept, 2)
    async function* generated() {
      yield* rows
    }
    assertEquals(await tokenizePreferences(generated(), llama, { maxTokens: 100 }), expected)
    await withFile(jsonLines(rows), async (path) => {
      const file = readPreferences(path)
      assertEquals(await tokenizePreferences(file, llama, { maxTokens: 100 }), expected)
    })
  })

  it("end as they are asked to", async () => {
    const chosenOf = async (changes: Partial<TokenizePreferencesOptions>, text = " blue.") => {
      const rows = [{ ...blue, chosen: text }]
      const { pairs } = await tokenizePreferences(rows, llama, { maxTokens: 100, ...changes })
      return pairs[0].chosen
    }
    const ids = llama.encodeContinuation(" blue.")
    assertEquals(await chosenOf({ eos: "none" }), ids)
    assertEquals(await chosenOf({ eos: 7 }), [...ids, 7])
    assertEquals(await chosenOf({}, " blue.</s>"), [...ids, llama.eos as number], "once")
  })

  it("have their prompts in the template", async () => {
    const promptOf = async (tokenizer: Tokenizer, template: string | undefined, prompt = blue) => {
      const options = { maxTokens: 200, ...template !== undefined && { template } }
      return (await tokenizePreferences([prompt], tokenizer, options)).pairs[0].prompt
    }
    assertEquals(await promptOf(llama, "none"), llama.encode("The sky is"))
    assertEquals(
      await promptOf(llama, "USER: {prompt} ASSISTANT:", pair("$& {prompt}", "a", "b")),
      llama.encode("USER: $& {prompt} ASSISTANT:"),
    )
    const messages = [{ role: "user", content: "The sky is" }]
    assertEquals(await promptOf(qwen, "chat"), qwen.encodeChat(messages))
    const asked = { ...blue, prompt: messages }
    assertEquals(await promptOf(qwen, undefined, asked), qwen.encodeChat(messages))
    assertEquals(await promptOf(qwen, "chat", asked), qwen.encodeChat(messages))
    assertEquals(await promptOf(qwen, "none", asked), qwen.encode("The sky is"))
    assertEquals(await promptOf(llama, "Q: {prompt}", asked), llama.encode("Q: The sky is"))
  })

  it("have no prompt of several messages in a template of text", async () => {
    const messages = ["system", "user"].map((role) => ({ role, content: "a" }))
    const error = await assertRejects(
      () =>
        tokenizePreferences([blue, { ...blue, prompt: messages }], qwen, {
          maxTokens: 100,
          template: "none",
        }),
      GenArmError,
      "the prompt of pair 2 is a conversation of 2 messages (system, user)",
    )
    assertEquals(error.reason, { _tag: "InvalidOption", path: ["template"] })
  })

  it("need a chat template for conversations", async () => {
    const prompt = [{ role: "user", content: "a" }]
    const error = await assertRejects(
      () => tokenizePreferences([{ ...blue, prompt }], llama, { maxTokens: 100 }),
      GenArmError,
      "pair 1: ",
    )
    assertEquals(error.reason._tag, "InvalidPrompt")
  })
})

/** A tokenizer whose ids can be read: one for each letter, 0 begins and 27 ends a text. */
const letters = (bos: boolean): Tokenizer => {
  const idsOf = (text: string) => Array.from(text, (letter) => letter.charCodeAt(0) - 96)
  return {
    size: 28,
    eos: 27,
    token: (id) => String(id),
    encode: (text) => [...bos ? [0] : [], ...idsOf(text)],
    encodeContinuation: idsOf,
    encodeChat: () => [],
    decode: (ids) => String.fromCharCode(...ids.map((id) => id + 96)),
  }
}

describe("the cut of a pair", () => {
  /** prompt | chosen | rejected, with ^ for BOS and $ for EOS. */
  const cut = async (
    prompt: string,
    chosen: string,
    rejected: string,
    options: TokenizePreferencesOptions,
    bos = true,
  ) => {
    const rows = [pair(prompt, chosen, rejected)]
    const { pairs: [ids], report } = await tokenizePreferences(rows, letters(bos), options)
    const print = (ids: readonly number[]) =>
      ids.map((id) => id === 0 ? "^" : id === 27 ? "$" : String.fromCharCode(id + 96)).join("")
    const { cutPrompts, cutResponses } = report
    const text = [ids.prompt, ids.chosen, ids.rejected].map(print).join("|")
    assertEquals(
      report.longest,
      ids.prompt.length + Math.max(ids.chosen.length, ids.rejected.length),
    )
    assertEquals(report.responseTokens, ids.chosen.length + ids.rejected.length)
    return `${text} ${cutPrompts}${cutResponses}`
  }

  const cases: readonly (readonly [
    what: string,
    options: TokenizePreferencesOptions,
    pair: readonly [string, string, string],
    expected: string,
  ])[] = [
    ["takes nothing where all fits", { maxTokens: 10 }, ["abcd", "wxyz", "v"], "^abcd|wxyz$|v$ 00"],
    [
      "takes the prompt's beginning first",
      { maxTokens: 9 },
      ["abcd", "wxyz", "v"],
      "^bcd|wxyz$|v$ 10",
    ],
    ["leaves a prompt half", { maxTokens: 8 }, ["abcdef", "wxyz", "v"], "^def|wxyz|v$ 11"],
    ["leaves a short prompt whole", { maxTokens: 8 }, ["ab", "qrstuvw", "v"], "^ab|qrstu|v$ 01"],
    ["takes EOS alone", { maxTokens: 7 }, ["ab", "wxyz", "v"], "^ab|wxyz|v$ 01"],
    ["takes both ends", { maxTokens: 6 }, ["abcd", "uwxyz", "vwxyz"], "^cd|uwx|vwx 11"],
    [
      "holds prompts to what they are given",
      { maxTokens: 20, maxPromptTokens: 3 },
      ["abcd", "wxyz", "v"],
      "^cd|wxyz$|v$ 10",
    ],
    [
      "gives responses what such prompts leave",
      { maxTokens: 6, maxPromptTokens: 2 },
      ["abcd", "wxyz", "v"],
      "^d|wxyz|v$ 11",
    ],
    ["may leave BOS alone", { maxTokens: 20, maxPromptTokens: 1 }, ["ab", "y", "z"], "^|y$|z$ 10"],
  ]
  for (const [what, options, [prompt, chosen, rejected], expected] of cases) {
    it(what, async () => assertEquals(await cut(prompt, chosen, rejected, options), expected))
  }

  it("keeps no first token that is not BOS", async () => {
    assertEquals(await cut("abcd", "wxyz", "v", { maxTokens: 6 }, false), "bcd|wxy|v$ 11")
  })

  it("drops pairs that differ in what is cut off, and those of which nothing is left", async () => {
    const rows = [pair("a", "bcdef", "bcdeg"), pair("a", "bc", "b"), pair("a", "x", "y")]
    const { pairs, report } = await tokenizePreferences(rows, letters(true), { maxTokens: 4 })
    assertEquals(pairs.map(({ prompt }) => prompt), [[0, 1], [0, 1]])
    assertEquals(report.dropped, [
      { reason: "equal after truncation", count: 1, first: ["pair 1"] },
    ])
    const error = await assertRejects(
      () => tokenizePreferences(rows, letters(true), { maxTokens: 1 }),
      GenArmError,
      "dropped 3: no response tokens (pair 1, pair 2, pair 3)",
    )
    assertEquals(error.reason._tag, "NoTrainingData")
  })
})

describe("the report of a set of pairs", () => {
  const rows: PreferencePair[] = [
    pair("a", " same", " same"),
    pair("a", "", " b"),
    pair("a", " b", " \n"),
    blue,
    pair("a", " same", " same"),
  ]

  it("counts what is dropped by reason, and says where", async () => {
    const { report } = await tokenizePreferences(rows, llama, { maxTokens: 100 })
    const prompt = llama.encode("The sky is").length
    const chosen = llama.encodeContinuation(" blue.").length + 1
    const rejected = llama.encodeContinuation(" green.").length + 1
    assertEquals(report, {
      pairs: 5,
      kept: 1,
      dropped: [
        { reason: "equal responses", count: 2, first: ["pair 1", "pair 5"] },
        { reason: "empty response", count: 2, first: ["pair 2", "pair 3"] },
      ],
      cutPrompts: 0,
      cutResponses: 0,
      longest: prompt + Math.max(chosen, rejected),
      responseTokens: chosen + rejected,
    })
    assertEquals(
      printPreferenceReport(report),
      `kept 1 of 5 pairs: ${
        chosen + rejected
      } response tokens, the longest text ${report.longest}\n` +
        "cut: 0 prompts, responses of 0 pairs\n" +
        "dropped 2: equal responses (pair 1, pair 5)\n" +
        "dropped 2: empty response (pair 2, pair 3)",
    )
  })

  it("names the first few of many", async () => {
    const { report } = await tokenizePreferences([...Array(9).fill(rows[0]), blue], llama, {
      maxTokens: 100,
    })
    assertStringIncludes(
      printPreferenceReport(report),
      "dropped 9: equal responses (pair 1, pair 2, pair 3, pair 4, pair 5, ...)",
    )
  })

  it("counts what the reader of a file dropped", async () => {
    const turn = (human: string, answer: string) => `\n\nHuman: ${human}\n\nAssistant:${answer}`
    const transcripts = [
      { chosen: turn("Hi", " A"), rejected: turn("Hi", " B") },
      { chosen: turn("Hi", " A"), rejected: turn("Ho", " A") },
      { chosen: turn("Hi", " A"), rejected: turn("Hi", " A") },
    ]
    await withFile(jsonLines(transcripts), async (path) => {
      const { report } = await tokenizePreferences(readPreferences(path), llama, { maxTokens: 99 })
      assertEquals([report.pairs, report.kept], [3, 1])
      assertEquals(report.dropped, [
        { reason: "no common prompt", count: 1, first: ["line 2"] },
        { reason: "equal responses", count: 1, first: ["pair 2"] },
      ])
    })
  })

  it("tells of prompts without tokens, and of texts that are the same tokens", async () => {
    const tokenizer: Tokenizer = {
      ...letters(false),
      encodeContinuation: (text) => text === "?" ? [] : [text.toLowerCase().charCodeAt(0) - 96],
    }
    const rows = [pair("", "a", "b"), pair("a", "b", "B"), pair("a", "?", "b"), pair("a", "b", "c")]
    const { report } = await tokenizePreferences(rows, tokenizer, { maxTokens: 9 })
    assertEquals(report.dropped.map(({ reason, first }) => `${reason}: ${first}`), [
      "no prompt tokens: pair 1",
      "equal tokens: pair 2",
      "no response tokens: pair 3",
    ])
  })

  it("is in the error where nothing is kept", async () => {
    const error = await assertRejects(
      () => tokenizePreferences(rows.slice(0, 3), llama, { maxTokens: 100 }),
      GenArmError,
      "expected at least one pair to train on, and none is left:\nkept 0 of 3 pairs",
    )
    assert(error.reason._tag === "NoTrainingData")
    const report = error.reason.report as PreferenceReport
    assertEquals(report.dropped.map(({ reason, count }) => [reason, count]), [
      ["empty response", 2],
      ["equal responses", 1],
    ])
    await assertRejects(
      () => tokenizePreferences([], llama, { maxTokens: 100 }),
      GenArmError,
      "kept 0 of 0 pairs",
    )
  })
})

describe("the options of tokenizing", () => {
  const faults: readonly (readonly [object, path: readonly string[], part: string])[] = [
    [{}, ["maxTokens"], "maxTokens"],
    [{ maxTokens: 0 }, ["maxTokens"], "found 0"],
    [{ maxTokens: 1.5 }, ["maxTokens"], "found 1.5"],
    [{ maxTokens: 9, maxPromptTokens: 0 }, ["maxPromptTokens"], "found 0"],
    [{ maxTokens: 9, maxLength: 9 }, ["maxLength"], "Expected no key but maxTokens"],
    [{ maxTokens: 9, template: "USER:" }, ["template"], "a text with {prompt} in it"],
    [{ maxTokens: 9, eos: -1 }, ["eos"], "found -1"],
    [{ maxTokens: 9, eos: 1e6 }, ["eos"], "expected an id of the tokenizer as eos"],
    [{ maxTokens: 9, signal: "now" }, ["signal"], "expected an AbortSignal"],
  ]
  for (const [options, path, part] of faults) {
    it(`are refused as ${JSON.stringify(options)}`, async () => {
      const tokenize = () => tokenizePreferences([blue], llama, options as never)
      const error = await assertRejects(tokenize, GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    })
  }

  it("must name an end where the tokenizer names none", async () => {
    const endless = { ...letters(true), eos: undefined }
    const rows = [pair("a", "b", "c")]
    const tokenize = () => tokenizePreferences(rows, endless, { maxTokens: 9 })
    await assertRejects(tokenize, GenArmError, 'give its id as eos, or eos: "none"')
    const { pairs } = await tokenizePreferences(rows, endless, { maxTokens: 9, eos: "none" })
    assertEquals(pairs, [{ prompt: [0, 1], chosen: [2], rejected: [3] }])
  })

  it("abort", async () => {
    const controller = new AbortController()
    function* endless() {
      for (let i = 0;; i++) {
        if (i === 3) controller.abort(new Error("enough"))
        yield blue
      }
    }
    const options = { maxTokens: 99, signal: controller.signal }
    const tokenize = () => tokenizePreferences(endless(), llama, options)
    const error = await assertRejects(tokenize, GenArmError, "enough")
    assertEquals(error.reason._tag, "Aborted")
  })

  const pairs: readonly (readonly [unknown, field: string])[] = [
    [{ prompt: 1, chosen: "a", rejected: "b" }, "prompt"],
    [{ prompt: [], chosen: "a", rejected: "b" }, "prompt"],
    [{ prompt: ["a"], chosen: "a", rejected: "b" }, "prompt"],
    [{ prompt: "a", rejected: "b" }, "chosen"],
    [{ prompt: "a", chosen: "a", rejected: null }, "rejected"],
    [null, "prompt"],
  ]
  for (const [wrong, field] of pairs) {
    it(`do not make up for a pair that is ${JSON.stringify(wrong)}`, async () => {
      const tokenize = () => tokenizePreferences([blue, wrong as never], llama, { maxTokens: 99 })
      const error = await assertRejects(tokenize, GenArmError, `as ${field}: expected a text`)
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["pairs", 1, field] })
    })
  }
})

describe("published preferences", () => {
  const hh = published("hh-rlhf-harmless-base-test.jsonl.gz")
  const skip = hh.missing || noTrained
  it("of HH-RLHF become tokens, and all that are not are accounted for", { skip }, async () => {
    const tokenizer = await openTokenizer(trained)
    const texts: PreferencePair[] = []
    for await (const pair of readPreferences(hh.path)) if (texts.push(pair) === 600) break
    const { pairs, report } = await tokenizePreferences(texts, tokenizer, { maxTokens: 512 })
    const blank = texts.filter(({ chosen, rejected }) => !chosen.trim() || !rejected.trim())
    assert(blank.length > 0)
    const empty = report.dropped.find(({ reason }) => reason === "empty response")
    assertEquals([report.pairs, pairs.length, empty?.count], [600, report.kept, blank.length])
    assert(report.kept > 580 && report.cutPrompts > 0 && report.cutResponses > 0)
    assertEquals(report.longest, 512)
    const bos = tokenizer.encode("")
    assertEquals(bos.length, 1)
    for (const { prompt, chosen, rejected } of pairs) {
      assertEquals(prompt.slice(0, 1), bos)
      assert(prompt.length + Math.max(chosen.length, rejected.length) <= 512)
    }
    // The first reads as it was written, but for the beginning that was cut.
    const text = tokenizer.decode([...pairs[0].prompt, ...pairs[0].chosen])
    assert(`${texts[0].prompt}${texts[0].chosen}`.endsWith(text))
    assert(text.startsWith("\n\nAssistant: Are you") && text.endsWith(texts[0].chosen))
  })

  const panda = published("pandalm-testset-v1.json")
  it("of PandaLM need a few lines of a program", { skip: panda.missing }, async () => {
    interface Row {
      readonly instruction: string
      readonly input: string
      readonly response1: unknown
      readonly response2: unknown
      readonly annotator1: number
      readonly annotator2: number
      readonly annotator3: number
    }
    function* pairsOf(rows: readonly Row[]): Generator<PreferencePair> {
      for (const row of rows) {
        const votes = [row.annotator1, row.annotator2, row.annotator3]
        const first = votes.filter((vote) => vote === 1).length
        const second = votes.filter((vote) => vote === 2).length
        if (first === second) continue
        // A few responses are `true` or a number in the file.
        const responses = [String(row.response1), String(row.response2)]
        const [chosen, rejected] = first > second ? responses : responses.toReversed()
        yield { prompt: `${row.instruction}\n\n${row.input}`.trim(), chosen, rejected }
      }
    }
    const rows = JSON.parse(readFileSync(panda.path, "utf8"))
    const template = "USER: {prompt} ASSISTANT:"
    const options = { maxTokens: 256, template }
    const { pairs, report } = await tokenizePreferences(pairsOf(rows), llama, options)
    const expected = [...pairsOf(rows)].filter(({ chosen, rejected }) => chosen !== rejected)
    assert(expected.length > 800 && report.kept > 600)
    assertEquals(pairs[0].prompt[0], llama.encode("")[0])
    assert(llama.decode(pairs[0].prompt).endsWith(" ASSISTANT:"))
    assert(
      llama.decode(pairs[0].chosen).startsWith("If you have any questions, please let me know."),
    )
  })

  const bar = published("llmbar-natural.json")
  it("of LLMBar need a few lines of a program", { skip: bar.missing }, async () => {
    const rows: { input: string; output_1: string; output_2: string; label: 1 | 2 }[] = JSON.parse(
      readFileSync(bar.path, "utf8"),
    )
    const pairs = rows.map(({ input, output_1, output_2, label }) => ({
      prompt: input,
      chosen: label === 1 ? output_1 : output_2,
      rejected: label === 1 ? output_2 : output_1,
    }))
    const { report } = await tokenizePreferences(pairs, qwen, { maxTokens: 512, template: "chat" })
    assertEquals(report.pairs, 100)
    assert(report.kept > 90, printPreferenceReport(report))
  })
})
