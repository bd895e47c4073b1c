import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { gzipSync } from "node:zlib"
import { randomStream } from "genarm/math"
import { GenArmError } from "../../../src/errors.ts"
import { type CorpusText, readTexts, type ReadTextsOptions } from "../../../src/train/data/texts.ts"
import { temporaryFolder } from "../../files/_altered.ts"

/** The texts of a file with these contents. */
async function textsOf(
  content: string | Uint8Array,
  options?: ReadTextsOptions,
  name = "texts.txt",
): Promise<CorpusText[]> {
  using folder = temporaryFolder()
  const path = join(folder.path, name)
  writeFileSync(path, content)
  return await Array.fromAsync(readTexts(path, options))
}

const whole = (text: string): CorpusText => ({ text, complete: true })
const cut = (text: string): CorpusText => ({ text, complete: false })

describe("a plain text", () => {
  it("is cut at the separator, and what follows the last one is not complete", async () => {
    const content = "one\ntwo\n<|endoftext|>\n\n  three  <|endoftext|>four<|endoftext|>\nfive, bu"
    assertEquals(await textsOf(content), [
      ...[whole("one\ntwo"), whole("three"), whole("four"), cut("five, bu")],
    ])
  })

  it("leaves out what is empty", async () => {
    assertEquals(await textsOf(""), [])
    assertEquals(await textsOf("\n \n<|endoftext|>\n<|endoftext|>a<|endoftext|>\n\n"), [whole("a")])
  })

  it("without a separator is one that is not complete", async () => {
    assertEquals(await textsOf("a <|endoftext> b\n"), [cut("a <|endoftext> b")])
  })

  it("may have any separator, of several lines too", async () => {
    assertEquals(await textsOf("a\nb\n\nc\n\n", { separator: "\n\n" }), [whole("a\nb"), whole("c")])
    assertEquals(await textsOf("a\nb\n", { separator: "\n" }), [whole("a"), whole("b")])
    assertEquals(await textsOf("a\n--\n\n--\nb\n--\nc", { separator: "\n--\n" }), [
      ...[whole("a"), whole("b"), cut("c")],
    ])
    assertEquals(await textsOf("axbxxc", { separator: "x" }), [whole("a"), whole("b"), cut("c")])
    assertEquals(await textsOf("aabaac", { separator: "aa" }), [whole("b"), cut("c")])
  })

  it("loses its byte order mark and carriage returns", async () => {
    assertEquals(await textsOf("\ufeffa\r\nb\r\n---\r\nc", { separator: "\n---\n" }), [
      ...[whole("a\nb"), cut("c")],
    ])
  })

  it("is the same in pieces of any length as whole", async () => {
    const random = randomStream(3)
    for (let round = 0; round < 20; round++) {
      const separator = ["\n\n", "<|endoftext|>", "ab", "a\nb"][round % 4]
      let content = ""
      for (let i = 0; i < 200; i++) {
        const parts = ["a", "b", "\n", " é🙂", separator, separator.slice(0, -1)]
        content += parts[Math.floor(random.nextUniform() * parts.length)]
      }
      if (!content.endsWith("\n")) content += "\n"
      const parts = content.split(separator).map((part) => part.trim())
      const expected = parts.map((text, i) => ({ text, complete: i < parts.length - 1 }))
      assertEquals(
        await textsOf(content, { separator }),
        expected.filter(({ text }) => text !== ""),
      )
    }
  })

  it("may be packed, and far longer than what is read at a time", async () => {
    const long = "é🙂 one line\n".repeat(40_000).trim()
    const content = `${long}\n<|endoftext|>\nshort\n<|endoftext|>`
    assertEquals(await textsOf(content), [whole(long), whole("short")])
    assertEquals(await textsOf(gzipSync(content), {}, "texts.txt.gz"), [
      ...[whole(long), whole("short")],
    ])
  })

  it("is read from its start again by every loop, and left early without harm", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "texts.txt")
    writeFileSync(path, "a<|endoftext|>b<|endoftext|>")
    const texts = readTexts(path)
    for await (const text of texts) {
      assertEquals(text, whole("a"))
      break
    }
    assertEquals((await Array.fromAsync(texts)).length, 2)
  })
})

describe("JSON lines", () => {
  it("have a text each, and may say that it is not complete", async () => {
    const content = [
      '{"text": " a\\n<|endoftext|>b ", "complete": false, "source": 7}',
      "",
      '{"complete": true, "text": "c"}\r',
      '{"text": "  "}',
      '{"text": "d\u2028e"}',
    ].join("\n")
    const expected = [cut("a\n<|endoftext|>b"), whole("c"), whole("d\u2028e")]
    assertEquals(await textsOf(content, {}, "texts.jsonl"), expected)
    assertEquals(await textsOf(gzipSync(content), {}, "texts.jsonl.gz"), expected)
  })

  const cases: [string, string, string, string | undefined][] = [
    ["what is no JSON", '{"text": "a"', "is not JSON", undefined],
    ["what is no object", '["a"]', 'has ["a"]: expected {"text": "..."}', undefined],
    ["no text", '{"texts": "a"}', 'has no "text"', "text"],
    ["a text of another type", '{"text": 7}', 'has 7 as "text"', "text"],
    ["complete as a text", '{"text": "a", "complete": "no"}', 'has "no" as "complete"', "complete"],
  ]
  for (const [name, line, message, field] of cases) {
    it(`refuse ${name}, with the line`, async () => {
      const error = await assertRejects(
        () => textsOf(`{"text": "fine"}\n\n${line}\n`, {}, "texts.jsonl"),
        GenArmError,
        `texts.jsonl:3 ${message}`,
      )
      assert(error.reason._tag === "InvalidDataFile")
      assertEquals([error.reason.line, error.reason.field], [3, field])
    })
  }
})

describe("reading texts", () => {
  it("says which line is not UTF-8", async () => {
    const error = await assertRejects(
      () => textsOf(Uint8Array.of(0x61, 0x0a, 0x62, 0x0a, 0xff, 0x0a)),
      GenArmError,
      "texts.txt:3 is not UTF-8",
    )
    assert(error.reason._tag === "InvalidDataFile")
    assertEquals(error.reason.line, 3)
  })

  it("says that a file is missing, a folder, or damaged", async () => {
    using folder = temporaryFolder()
    const missing = join(folder.path, "missing.txt")
    const damaged = join(folder.path, "damaged.txt.gz")
    writeFileSync(damaged, gzipSync("a".repeat(1000)).subarray(0, 20))
    for (const path of [missing, folder.path, damaged]) {
      const error = await assertRejects(() => Array.fromAsync(readTexts(path)), GenArmError, path)
      assertEquals(error.reason, { _tag: "InvalidDataFile", file: path })
    }
  })

  const cases: [string, string, unknown, string][] = [
    ["an empty separator", "a.txt", { separator: "" }, "separator"],
    ["a separator that is no text", "a.txt", { separator: 7 }, "separator"],
    ["a separator of JSON lines", "a.jsonl", { separator: "\n" }, "separator"],
    ["an unknown option", "a.txt", { split: "\n" }, "split"],
  ]
  for (const [name, path, options, option] of cases) {
    it(`refuses ${name} at once`, () => {
      const error = assertThrows(() => readTexts(path, options as ReadTextsOptions), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path: [option] })
    })
  }
})
