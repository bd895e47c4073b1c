import { assertEquals, assertRejects } from "@std/assert"
import { Effect, Layer } from "effect"
import {
  arm,
  type ChatMessage,
  defineReward,
  GenArmError,
  type GraphSpec,
  type Prompt,
  prompted,
} from "genarm"
import { Runtime } from "genarm/effect"
import { readFileSync } from "node:fs"
import { describe, it } from "node:test"
import { openTokenizer } from "../../src/files/tokenizer.ts"
import { TableEngine } from "../../src/runtime/table_runtime.ts"
import { fixture } from "../_fixtures.ts"
import { always, open, watch } from "./_pipelines.ts"

const vocabulary = [..."abcdefgh$&{}<>promt"]
const next = always(...vocabulary.map(() => 1))
const bos = 7
const idsOf = (text: string) => [...text].map((letter) => vocabulary.indexOf(letter))

/** The ids that a graph's models read for a prompt; the models are `base` and `other`. */
async function read(prompt: Prompt, spec: Partial<GraphSpec> = {}, contextLength = 64) {
  const table = { vocabulary, next, bos, contextLength }
  const models = watch({ base: table, other: table })
  await using pipeline = await open(models, spec)
  try {
    await pipeline.generate(prompt, { maxTokens: 1 })
  } finally {
    assertEquals(models.openCaches(), 0)
  }
  return models.last
}

const other = (template?: string): Partial<GraphSpec> => ({
  rewards: {
    x: { reward: arm({ model: "other" }), weight: 1, ...template !== undefined && { template } },
  },
})

async function refuse(body: () => Promise<unknown>, ...parts: string[]): Promise<void> {
  const error = await assertRejects(body, GenArmError)
  assertEquals(error.reason, { _tag: "InvalidPrompt" })
  for (const part of parts) {
    if (!error.message.includes(part)) throw new Error(`expected ${part} in: ${error.message}`)
  }
}

describe("a text prompt", () => {
  it("begins with the token that the tokenizer puts there", async () => {
    assertEquals(await read("abc", other()), {
      base: [bos, ...idsOf("abc")],
      other: [bos, ...idsOf("abc")],
    })
  })

  it("goes through the template of each term, which is the base's where it has none", async () => {
    const base = { model: "base", template: "c{prompt}d" }
    assertEquals(await read("ab", { base, ...other() }), {
      base: [bos, ...idsOf("cabd")],
      other: [bos, ...idsOf("cabd")],
    })
    assertEquals(await read("ab", { base, ...other("{prompt}{prompt}") }), {
      base: [bos, ...idsOf("cabd")],
      other: [bos, ...idsOf("abab")],
    })
    assertEquals(await read("ab", { base, ...other("none") }), {
      base: [bos, ...idsOf("cabd")],
      other: [bos, ...idsOf("ab")],
    })
  })

  it("goes through the template of a reward's own source before the term's", async () => {
    const framed = defineReward({
      name: "framed",
      sources: () => ({ model: { model: "other", template: "e{prompt}", prefix: "f" } }),
      open: () => ({ score: ({ model }, out) => out.set(model) }),
    })
    const rewards = { x: { reward: framed(), weight: 1, template: "g{prompt}" } }
    assertEquals((await read("ab", { rewards })).other, [bos, ...idsOf("feab")])
  })

  it("may hold what replacement patterns and templates are made of", async () => {
    for (const prompt of ["$&", "$$", "a$&b", "{prompt}", "{}"]) {
      assertEquals((await read(prompt, other("<{prompt}>"))).other, [bos, ...idsOf(`<${prompt}>`)])
    }
  })

  it("follows the prefix of a prompted reward", async () => {
    const sad = (weight: number) => ({ reward: prompted({ prefix: "ef", model: "other" }), weight })
    assertEquals((await read("ab", { rewards: { x: sad(1) } })).other, [bos, ...idsOf("efab")])
    const base = { model: "base", template: "c{prompt}d" }
    assertEquals(await read("ab", { base, rewards: { x: sad(0) } }), {
      base: [bos, ...idsOf("cabd")],
      other: [bos, ...idsOf("efcabd")],
    })
  })

  it("is read once by terms that put it alike to one model", async () => {
    const models = watch({ base: { vocabulary, next } })
    await using pipeline = await open(models, {
      rewards: {
        same: { reward: arm({ model: "base" }), weight: 1 },
        other: { reward: prompted({ prefix: "c" }), weight: 1 },
        again: { reward: prompted({ prefix: "c" }), weight: 1 },
      },
    })
    await pipeline.generate("ab", { maxTokens: 3 })
    assertEquals(models.calls.base, 6)
  })

  it("that is empty needs a token that begins texts, in every model", async () => {
    assertEquals((await read("", other())).base, [bos])
    const models = watch({ base: { vocabulary, next, bos }, other: { vocabulary, next } })
    await using pipeline = await open(models, other())
    await refuse(() => pipeline.generate(""), "empty", "x has no token")
    await using plain = await open(watch({ base: { vocabulary, next } }))
    await refuse(() => plain.generate(""), "empty", "base has no token")
    assertEquals(models.openCaches(), 0)
  })

  it("must fit into the context of every model", async () => {
    assertEquals((await read("abcd", other(), 5)).base.length, 5)
    await refuse(() => read("abcde", {}, 5), "6 tokens long for base", "holds 5")
    await refuse(() => read("abcd", other("{prompt}a"), 5), "6 tokens long for x", "holds 5")
  })

  it("that a tokenizer has no tokens for is refused", async () => {
    await refuse(() => read("a?"), "?")
  })
})

describe("token ids as prompt", () => {
  it("go unchanged to every model", async () => {
    const ids = [3, 1, bos, 2]
    assertEquals(await read(ids, other()), { base: ids, other: ids })
    assertEquals(await read(ids, other("none")), { base: ids, other: ids })
  })

  it("are refused together with a template or a prefix, naming who has it", async () => {
    await refuse(() => read([1], other("c{prompt}")), "x asks for a template", "as text")
    await refuse(() => read([1], other("chat")), "x asks for a template")
    const base = { model: "base", template: "c{prompt}" }
    await refuse(() => read([1], { base }), "base asks for a template")
    const rewards = { x: { reward: prompted({ prefix: "c" }), weight: 0 } }
    await refuse(() => read([1], { rewards }), "x asks for a prefix")
  })

  it("must be ids of every model", async () => {
    for (const id of [-1, 19, 1.5, NaN, Infinity, 2 ** 32]) {
      await refuse(() => read([1, id]), `0 to 18, found ${id} at position 1`)
    }
    const far = [...Array(600).fill(1), -1]
    await refuse(() => read(far, {}, 1_000), "found -1 at position 600")
    const small = { vocabulary: vocabulary.slice(0, 10), next: always(...Array(10).fill(1)) }
    const models = watch({ base: { vocabulary, next }, other: small })
    await using pipeline = await open(models, other())
    await refuse(() => pipeline.generate([1, 10]), "x, 0 to 9, found 10 at position 1")
    assertEquals(models.openCaches(), 0)
    assertEquals(models.calls, {})
  })

  it("must be some", async () => {
    await refuse(() => read([]), "empty")
  })
})

describe("what is no prompt", () => {
  it("is refused with what was found", async () => {
    const wrong: readonly unknown[] = [undefined, null, 7, true, {}, [null], ["a"], [{
      role: "user",
    }], [
      1,
      "a",
    ], 5n]
    for (const prompt of wrong) {
      await refuse(() => read(prompt as never), "expected a text, token ids or messages")
    }
  })
})

/** A graph over the tokenizers of model folders; `seen` has the ids that each model read. */
function tokenizers() {
  const seen: Record<string, readonly number[]> = {}
  const runtime = Layer.succeed(
    Runtime,
    Runtime.of({
      name: "tokenizers",
      open: ({ ref: { model } }) =>
        Effect.promise(async () => ({
          engine: new TableEngine(model, {
            vocabulary: Array.from({ length: 300 }, String),
            next: (ids) => {
              seen[model] = [...ids]
              return Array(300).fill(1)
            },
          }),
          tokenizer: await openTokenizer(fixture(model)),
          eos: [],
        })),
    }),
  )
  return { runtime, seen }
}

interface Chat {
  readonly messages: readonly ChatMessage[]
  readonly ids: readonly number[]
}

const chats: Record<string, { readonly chat: Chat }> = JSON.parse(
  readFileSync(new URL("../fixtures/tokenizer_expected.json", import.meta.url), "utf8"),
)

describe("a conversation", () => {
  for (const name of ["tinyllama", "llama3", "qwen2"]) {
    const { messages, ids } = chats[name].chat

    it(`goes through the chat template of ${name}`, async () => {
      const { runtime, seen } = tokenizers()
      for (const template of [undefined, "chat"]) {
        const base = { model: name, ...template !== undefined && { template } }
        await using pipeline = await open({ runtime }, { base })
        await pipeline.generate(messages, { maxTokens: 1 })
        assertEquals(seen[name], ids)
      }
    })

    it(`is a user's message where ${name} is given a text for its chat template`, async () => {
      const { runtime, seen } = tokenizers()
      const tokenizer = await openTokenizer(fixture(name))
      await using pipeline = await open({ runtime }, { base: { model: name, template: "chat" } })
      await pipeline.generate("Is the river cold?", { maxTokens: 1 })
      const content = "Is the river cold?"
      assertEquals(seen[name], tokenizer.encodeChat([{ role: "user", content }]))
    })

    it(`has a prefix in the system message of ${name}`, async () => {
      const tokenizer = await openTokenizer(fixture(name))
      const capture = async (prompt: Prompt, template: string) => {
        const { runtime, seen } = tokenizers()
        const same = {
          llama3: "llama3_config_v4",
          tinyllama: "tinyllama",
          qwen2: "qwen2_yarn",
        }[name]!
        const reward = prompted({ prefix: "Be brief.", model: same })
        await using pipeline = await open({ runtime }, {
          base: name,
          rewards: { x: { reward, weight: 1, template } },
        })
        await pipeline.generate(prompt, { maxTokens: 1 })
        return seen[same]
      }
      const user = { role: "user", content: "Is the river cold?" }
      const brief = { role: "system", content: "Be brief." }
      assertEquals(await capture([user], "chat"), tokenizer.encodeChat([brief, user]))
      assertEquals(await capture(user.content, "chat"), tokenizer.encodeChat([brief, user]))
      const both = { role: "system", content: "Be brief.\n\nBe kind." }
      assertEquals(
        await capture([{ role: "system", content: "Be kind." }, user], "chat"),
        tokenizer.encodeChat([both, user]),
      )
    })
  }

  it("is refused where a model asks for another template", async () => {
    const { messages } = chats.tinyllama.chat
    for (const template of ["none", "User: {prompt}\nAssistant:"]) {
      const { runtime } = tokenizers()
      await using pipeline = await open({ runtime }, { base: { model: "tinyllama", template } })
      await refuse(() => pipeline.generate(messages), "base asks for the template", "as text")
    }
  })

  it("is refused by a model that has no chat template, with what to do", async () => {
    const { runtime } = tokenizers()
    await using pipeline = await open({ runtime }, { base: "llama" })
    await refuse(() => pipeline.generate([{ role: "user", content: "a" }]), "chat template")
  })
})

describe("prompts of real tokenizers", () => {
  it("have a template of one's own after the token that begins texts", async () => {
    const { runtime, seen } = tokenizers()
    const template = "User: {prompt}\nAssistant:"
    await using pipeline = await open({ runtime }, { base: { model: "llama", template } })
    await pipeline.generate("Is the river cold?", { maxTokens: 1 })
    const tokenizer = await openTokenizer(fixture("llama"))
    assertEquals(seen.llama, tokenizer.encode("User: Is the river cold?\nAssistant:"))
    assertEquals(seen.llama[0], 1)
  })

  it("that are empty are refused where no token begins texts", async () => {
    const { runtime, seen } = tokenizers()
    await using qwen = await open({ runtime }, { base: "qwen2" })
    await refuse(() => qwen.generate(""), "empty", "base has no token")
    await using llama = await open({ runtime }, { base: "llama" })
    await llama.generate("", { maxTokens: 1 })
    assertEquals(seen, { llama: [1] })
  })
})
