import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { gzipSync } from "node:zlib"
import { GenArmError } from "../../../src/errors.ts"
import type { PreferencePair } from "../../../src/train/data/pairs.ts"
import {
  readPreferences,
  type ReadPreferencesOptions,
} from "../../../src/train/data/preferences.ts"
import { jsonLines, published, readAll, withFile } from "./_preferences.ts"

const user = (content: string) => ({ role: "user", content })
const assistant = (content: string) => ({ role: "assistant", content })
const blue = { prompt: "The sky is", chosen: " blue.", rejected: " green." }

describe("a file of pairs", () => {
  it("gives prompt and responses as they are", async () => {
    const rows = [blue, { prompt: "", chosen: "a\n", rejected: "é😀\u2028", more: 1 }]
    const { pairs, file } = await readAll(jsonLines(rows))
    assertEquals(pairs, [blue, { prompt: "", chosen: "a\n", rejected: "é😀\u2028" }])
    assertEquals(file.dropped, [])
  })

  it("may have blank lines, be one array, and be packed", async () => {
    const rows = [blue, { ...blue, prompt: "Is the sky" }]
    const contents = [
      "\n" + jsonLines([rows[0]]) + "  \n\r\n" + jsonLines([rows[1]]) + "\n",
      JSON.stringify(rows),
      "\n " + JSON.stringify(rows, undefined, 2) + "\n",
    ]
    for (const content of contents) {
      assertEquals((await readAll(content)).pairs, rows)
      assertEquals((await readAll(gzipSync(content))).pairs, rows)
    }
    assertEquals((await readAll("[]")).pairs, [])
    assertEquals((await readAll("")).pairs, [])
  })

  const question = [user("What colour is the sky?")]
  const asked = { prompt: question, chosen: "Blue.", rejected: "Green." }
  const turns = [
    { role: "system", content: "Be brief." },
    user("Hi"),
    assistant("Hello"),
    user("?"),
  ]
  const shapes: readonly (readonly [what: string, row: object, pair: PreferencePair])[] = [
    ["a conversation and its answers", {
      prompt: question,
      chosen: [assistant("Blue.")],
      rejected: [assistant("Green.")],
    }, asked],
    ["a conversation and texts", asked, asked],
    ["conversations that begin alike", {
      chosen: [...question, assistant("Blue.")],
      rejected: [...question, assistant("Green.")],
    }, asked],
    ["a conversation that the answers repeat", {
      prompt: question,
      chosen: [...question, assistant("Blue.")],
      rejected: [...question, assistant("Green.")],
    }, asked],
    ["a text that the conversations repeat", {
      prompt: "What colour is the sky?",
      chosen: [...question, assistant("Blue.")],
      rejected: [...question, assistant("Green.")],
    }, asked],
    ["a text and messages that answer it", {
      prompt: "What colour is the sky?",
      chosen: [assistant("Blue.")],
      rejected: [assistant("Green.")],
    }, asked],
    ["several turns", {
      chosen: [...turns, assistant("a")],
      rejected: [...turns, assistant("b")],
    }, { prompt: turns, chosen: "a", rejected: "b" }],
    ["equal conversations", {
      chosen: [...question, assistant("Blue.")],
      rejected: [...question, assistant("Blue.")],
    }, { ...asked, rejected: "Blue." }],
  ]
  for (const [what, row, pair] of shapes) {
    it(`takes ${what}`, async () => {
      assertEquals((await readAll(jsonLines([row]), { format: "pairs" })).pairs, [pair])
      assertEquals((await readAll(jsonLines([row]))).pairs, [pair], "without being told")
    })
  }

  const faults: readonly (readonly [what: string, row: unknown, field: string, part: string])[] = [
    ["is no object", [1], "[0]", "holds 1 at [0]: expected an object"],
    ["has no prompt", { chosen: "a", rejected: "b" }, "prompt", 'has no "prompt": expected a text'],
    ["has a number as response", { ...blue, chosen: 7 }, "chosen", 'has 7 as "chosen"'],
    ["has null as response", { ...blue, rejected: null }, "rejected", 'has null as "rejected"'],
    [
      "has a message and a text as responses",
      { ...blue, chosen: [assistant("a")] },
      "rejected",
      "expected messages as",
    ],
    [
      "has a message without a role",
      { prompt: [{ content: "a" }], chosen: "a", rejected: "b" },
      "prompt[0].role",
      'has no "prompt[0].role"',
    ],
    [
      "has a message of several parts",
      {
        prompt: [user("a"), { role: "user", content: [{ type: "text", text: "b" }] }],
        chosen: "c",
        rejected: "d",
      },
      "prompt[1].content",
      "expected a text",
    ],
    ["has an empty conversation", { ...blue, prompt: [] }, "prompt", "at least one message"],
    [
      "has conversations that begin differently",
      { chosen: [user("a"), assistant("b")], rejected: [user("c"), assistant("b")] },
      "chosen",
      "one answer of the assistant after the 0 messages",
    ],
    [
      "has answers and no question",
      { chosen: [assistant("a")], rejected: [assistant("b")] },
      "prompt",
      "messages that begin both conversations",
    ],
    [
      "ends with the user",
      { prompt: [user("a")], chosen: [user("b")], rejected: [assistant("c")] },
      "chosen",
      "one answer of the assistant",
    ],
    [
      "asks something other than its conversations",
      { prompt: "d", chosen: [user("a"), assistant("b")], rejected: [user("a"), assistant("c")] },
      "prompt",
      'that "chosen" repeats',
    ],
    [
      "has another conversation as prompt",
      {
        prompt: [user("d")],
        chosen: [user("a"), assistant("b")],
        rejected: [user("a"), assistant("c")],
      },
      "chosen",
      "the answer alone",
    ],
  ]
  for (const [what, row, field, part] of faults) {
    it(`is refused where a row ${what}, by line and field`, async () => {
      const content = Array.isArray(row) ? JSON.stringify(row) : jsonLines([blue, row])
      const read = () => readAll(content, { format: "pairs" })
      const error = await assertRejects(read, GenArmError, part)
      assert(error.reason._tag === "InvalidDataFile")
      assertEquals([error.reason.field, error.reason.line], [
        field,
        Array.isArray(row) ? undefined : 2,
      ])
      assert(error.message.startsWith(error.reason.file + (Array.isArray(row) ? " " : ":2 ")))
    })
  }

  it("names the place in an array", async () => {
    const read = () => readAll(JSON.stringify([blue, { ...blue, chosen: 1 }]))
    const error = await assertRejects(read, GenArmError, 'has 1 as "[1].chosen": expected a text')
    assert(error.reason._tag === "InvalidDataFile")
    assertEquals([error.reason.field, error.reason.line], ["[1].chosen", undefined])
  })

  it("gives its pairs up to line 17, which is not JSON", async () => {
    const lines = jsonLines(Array(20).fill(blue)).split("\n")
    lines[16] = lines[16].slice(0, -5)
    let count = 0
    const read = () =>
      withFile(lines.join("\n"), async (path) => {
        for await (const _ of readPreferences(path)) count++
      })
    const error = await assertRejects(read, GenArmError, ":17 is not JSON")
    assert(error.reason._tag === "InvalidDataFile")
    assertEquals([error.reason.line, count], [17, 16])
  })

  it("is refused where it is an array cut off", async () => {
    const read = () => readAll(JSON.stringify([blue, blue]).slice(0, -10))
    await assertRejects(read, GenArmError, "is not JSON")
  })
})

describe("a file of HH-RLHF transcripts", () => {
  const turn = (human: string, answer: string) => `\n\nHuman: ${human}\n\nAssistant:${answer}`

  it("has the shared turns as prompts, with the last Assistant: of them", async () => {
    const { pairs, file } = await readAll(jsonLines([
      { chosen: turn("Hi", " Hello."), rejected: turn("Hi", " Help!") },
      {
        chosen: turn("Hi", " Hello.") + turn("Why?", " So."),
        rejected: turn("Hi", " Hello.") + turn("Why?", ""),
      },
      { chosen: turn("Hi", " A") + turn("a", " b"), rejected: turn("Hi", " B") },
    ]))
    assertEquals(pairs, [
      { prompt: turn("Hi", ""), chosen: " Hello.", rejected: " Help!" },
      { prompt: turn("Hi", " Hello.") + turn("Why?", ""), chosen: " So.", rejected: "" },
      { prompt: turn("Hi", ""), chosen: " A" + turn("a", " b"), rejected: " B" },
    ])
    assertEquals(file.dropped, [])
  })

  it("drops rows that share no turn, and says where, anew each time it is read", async () => {
    const good = { chosen: turn("Hi", " A"), rejected: turn("Hi", " B") }
    const bad = { chosen: turn("Hi", " A"), rejected: turn("Hello", " A") }
    await withFile(jsonLines([good, bad, good, bad]), async (path) => {
      const file = readPreferences(path)
      assertEquals(file.dropped, [])
      for (let times = 0; times < 2; times++) {
        assertEquals((await Array.fromAsync(file)).length, 2)
        assertEquals(file.dropped, [
          { reason: "no common prompt", count: 2, first: ["line 2", "line 4"] },
        ])
      }
    })
  })

  it("is refused where a transcript is missing", async () => {
    const read = () => readAll(jsonLines([{ chosen: turn("a", "b") }]), { format: "hh-rlhf" })
    await assertRejects(read, GenArmError, ':1 has no "rejected"')
  })

  const { path, missing } = published("hh-rlhf-harmless-base-test.jsonl.gz")
  it("gives the published pairs", { skip: missing }, async () => {
    const file = readPreferences(path)
    const pairs = await Array.fromAsync(file)
    assertEquals([pairs.length, file.dropped], [2312, []])
    for (const { prompt, chosen, rejected } of pairs) {
      assert(typeof prompt === "string" && prompt.startsWith("\n\nHuman:"))
      assert(prompt.endsWith("\n\nAssistant:"))
      assert(chosen.startsWith(" ") && rejected.startsWith(" ") && chosen !== rejected)
    }
    assertEquals(pairs[0].chosen.slice(0, 40), " No, sorry!  All of these involve a pen,")
  })
})

describe("a file of UltraFeedback rows", () => {
  const row = (chosen: string, rejected: string, scores: object) => ({
    prompt: "Why?",
    prompt_id: "0a",
    chosen: [user("Why?"), assistant(chosen)],
    rejected: [user("Why?"), assistant(rejected)],
    messages: [user("Why?"), assistant(chosen)],
    ...scores,
  })
  const rows = [
    row("a", "b", { score_chosen: 8.5, score_rejected: 4 }),
    row("c", "d", { score_chosen: 6, score_rejected: 6 }),
    row("e", "f", { score_chosen: 7, score_rejected: 6 }),
  ]

  it("gives conversations with two answers", async () => {
    const { pairs, file } = await readAll(jsonLines(rows))
    assertEquals(pairs[0], { prompt: [user("Why?")], chosen: "a", rejected: "b" })
    assertEquals([pairs.length, file.dropped], [3, []])
  })

  it("drops answers of close scores on demand", async () => {
    const { pairs, file } = await readAll(jsonLines(rows), { minScoreGap: 1 })
    assertEquals(pairs.map(({ chosen }) => chosen), ["a", "e"])
    assertEquals(file.dropped, [{ reason: "scores too close", count: 1, first: ["line 2"] }])
  })

  it("is refused with responses that are texts, or scores that are none", async () => {
    const read = (row: object, options: ReadPreferencesOptions) => () =>
      readAll(jsonLines([row]), { format: "ultrafeedback", ...options })
    await assertRejects(read(blue, {}), GenArmError, ':1 has " blue." as "chosen"')
    const without = row("a", "b", { score_rejected: 1 })
    assertEquals((await read(without, {})()).pairs.length, 1)
    await assertRejects(read(without, { minScoreGap: 1 }), GenArmError, 'has no "score_chosen"')
    const text = row("a", "b", { score_chosen: "8", score_rejected: 1 })
    await assertRejects(read(text, {}), GenArmError, 'has "8" as "score_chosen"')
  })
})

describe("a file of PKU-SafeRLHF rows", () => {
  const row = {
    prompt: "How?",
    response_0: "With care.",
    response_1: "Like so: ...",
    is_response_0_safe: true,
    is_response_1_safe: false,
    better_response_id: 1,
    safer_response_id: 0,
  }

  it("gives the more helpful or the safer response as the chosen one", async () => {
    const [helpful] = (await readAll(jsonLines([row]), { preference: "helpful" })).pairs
    assertEquals(helpful, { prompt: "How?", chosen: "Like so: ...", rejected: "With care." })
    const [safe] = (await readAll(jsonLines([row]), { preference: "safe" })).pairs
    assertEquals(safe, { prompt: "How?", chosen: "With care.", rejected: "Like so: ..." })
  })

  it("asks which of the two, and refuses a winner that is neither", async () => {
    const error = await assertRejects(
      () => readAll(jsonLines([row])),
      GenArmError,
      'expected preference: "helpful" or preference: "safe"',
    )
    assertEquals(error.reason, { _tag: "InvalidOption", path: ["preference"] })
    for (const id of [2, "0", null, undefined]) {
      const read = () =>
        readAll(jsonLines([{ ...row, safer_response_id: id }]), { preference: "safe" })
      await assertRejects(read, GenArmError, "expected 0 or 1")
    }
  })
})

describe("the options of a file of preferences", () => {
  const faults: readonly (readonly [ReadPreferencesOptions, key: string, part: string])[] = [
    [{ format: "csv" as never }, "format", "csv"],
    [{ preference: "both" as never }, "preference", "both"],
    [{ fromat: "pairs" } as never, "fromat", "Expected no key but format"],
    [{ minScoreGap: NaN }, "minScoreGap", "NaN"],
    [{ format: "pku-saferlhf" }, "preference", "helpful"],
    [{ format: "pairs", preference: "safe" }, "preference", "leave it out"],
    [{ format: "hh-rlhf", minScoreGap: 1 }, "minScoreGap", "leave it out"],
  ]
  for (const [options, key, part] of faults) {
    it(`are refused at once as ${JSON.stringify(options)}`, () => {
      const error = assertThrows(() => readPreferences("none", options), GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path: [key] })
    })
  }

  it("are refused where they do not go with the format that is found", async () => {
    const read = () => readAll(jsonLines([blue]), { preference: "safe" })
    await assertRejects(read, GenArmError, "is pairs: leave it out")
  })

  it("must give the format of other rows, which cannot", async () => {
    const read = () => readAll(jsonLines([{ question: "a", answer: "b" }]))
    const error = await assertRejects(read, GenArmError, 'not a row of ["question","answer"]')
    assertEquals(error.reason._tag, "InvalidDataFile")
  })
})
