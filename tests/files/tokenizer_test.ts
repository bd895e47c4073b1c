import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { GenArmError } from "../../src/errors.ts"
import { type ChatMessage, openTokenizer } from "../../src/files/tokenizer.ts"
import { fixture } from "../_fixtures.ts"
import { noTrained, trained } from "../engine/_engines.ts"
import { altered, type Change, temporaryFolder } from "./_altered.ts"

/** What `tokenizers` gives for one `tokenizer.json`. */
interface ExpectedTokenizer {
  readonly same_tokenizer: readonly string[]
  readonly vocab_size: number
  readonly texts: readonly {
    readonly text: string
    readonly ids: readonly number[]
    readonly decoded: string
  }[]
  readonly chat?: { readonly messages: readonly ChatMessage[]; readonly ids: readonly number[] }
}

const expected: Readonly<Record<string, ExpectedTokenizer>> = JSON.parse(
  readFileSync(new URL("../fixtures/tokenizer_expected.json", import.meta.url), "utf8"),
)

describe("the tokenizer of", () => {
  for (const { same_tokenizer, vocab_size, texts, chat } of Object.values(expected)) {
    for (const name of same_tokenizer) {
      it(`${name} gives the ids and texts of tokenizers`, async () => {
        const tokenizer = await openTokenizer(fixture(name))
        assertEquals(tokenizer.size, vocab_size)
        for (const { text, ids, decoded } of texts) {
          assertEquals(tokenizer.encode(text), [...ids], JSON.stringify(text))
          assertEquals(tokenizer.decode(ids), decoded, JSON.stringify(text))
        }
      })

      if (chat !== undefined) {
        it(`${name} renders a conversation as transformers does`, async () => {
          const tokenizer = await openTokenizer(fixture(name))
          assertEquals(tokenizer.encodeChat(chat.messages), [...chat.ids])
        })
      } else {
        it(`${name}, without a chat template, says so`, async () => {
          const tokenizer = await openTokenizer(fixture(name))
          const chat = () => tokenizer.encodeChat([{ role: "user", content: "a" }])
          const error = assertThrows(
            chat,
            GenArmError,
            "a model without a chat template takes text",
          )
          assertEquals(error.reason._tag, "InvalidPrompt")
        })
      }
    }
  }
})

describe("a tokenizer", () => {
  it("names its ids, and none beyond them", async () => {
    const json = JSON.parse(readFileSync(join(fixture("extra_token"), "tokenizer.json"), "utf8"))
    const tokenizer = await openTokenizer(fixture("extra_token"))
    for (const [name, id] of Object.entries<number>(json.model.vocab)) {
      assertEquals(tokenizer.token(id), name)
    }
    assertEquals([tokenizer.token(300), tokenizer.token(301)], ["<pad>", undefined])
    assertEquals(tokenizer.size, 301)
  })

  it("gives a continuation no token that opens a text", async () => {
    const tokenizer = await openTokenizer(fixture("llama"))
    for (const text of ["a", " a", "The rain", "\n", "é 😀"]) {
      const ids = tokenizer.encodeContinuation(text)
      assertEquals(tokenizer.decode([...tokenizer.encode("a"), ...ids]), `a${text}`)
    }
    assertEquals(tokenizer.encodeContinuation(""), [])
  })

  it("reads the template of chat_template.jinja before that of tokenizer_config.json", async () => {
    using folder = altered("tinyllama", {
      "chat_template.jinja": "{% for m in messages %}[{{ m.content }}]{% endfor %}",
    })
    const tokenizer = await openTokenizer(folder.path)
    const ids = tokenizer.encodeChat([{ role: "user", content: "b" }])
    assertEquals(tokenizer.decode(ids), "[b]")
  })

  it("says what is wrong with a conversation that its template refuses", async () => {
    using folder = altered("tinyllama", {
      "chat_template.jinja": "{{ raise_exception('only users may speak') }}",
    })
    const tokenizer = await openTokenizer(folder.path)
    const chat = () => tokenizer.encodeChat([{ role: "wizard", content: "b" }])
    const error = assertThrows(chat, GenArmError, "only users may speak")
    assertEquals(error.reason._tag, "InvalidPrompt")
  })

  const faults: readonly (readonly [what: string, files: Record<string, Change>, part: string])[] =
    [
      ["is missing", { "tokenizer.json": null }, "a model folder needs its tokenizer.json"],
      ["is empty", { "tokenizer.json": "" }, "tokenizer.json is not JSON"],
      ["is cut off", { "tokenizer.json": '{"model": {' }, "tokenizer.json is not JSON"],
      ["is a list", { "tokenizer.json": "[]" }, "tokenizer.json is not a JSON object"],
      ["holds nothing", { "tokenizer.json": "{}" }, "does not describe a tokenizer"],
      [
        "has no vocabulary",
        { "tokenizer.json": { json: { model: { type: "BPE" } } } },
        "does not describe a tokenizer",
      ],
      ["is a page of HTML", { "tokenizer.json": "<html></html>" }, "tokenizer.json is not JSON"],
      [
        "has a broken tokenizer_config.json",
        { "tokenizer_config.json": "{" },
        "tokenizer_config.json is not JSON",
      ],
    ]
  for (const [what, files, part] of faults) {
    it(`is refused that ${what}`, async () => {
      using folder = altered("llama", files)
      const error = await assertRejects(() => openTokenizer(folder.path), GenArmError, part)
      assertEquals(error.reason._tag, "InvalidModelFile")
    })
  }

  it("is refused where there is no folder", async () => {
    using folder = temporaryFolder()
    const open = () => openTokenizer(join(folder.path, "none"))
    const error = await assertRejects(open, GenArmError, "is missing")
    assertEquals(error.reason._tag, "InvalidModelFile")
  })

  it("reads its own text of the trained model", { skip: noTrained }, async () => {
    const tokenizer = await openTokenizer(trained)
    const { cases, greedy_text } = JSON.parse(readFileSync(join(trained, "expected.json"), "utf8"))
    for (const { prompt, tokens } of cases) assertEquals(tokenizer.encode(prompt), tokens)
    assert(greedy_text.length > 100)
    assertEquals(tokenizer.decode(tokenizer.encode(greedy_text)), greedy_text)
  })
})
