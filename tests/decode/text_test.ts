import { assert, assertEquals } from "@std/assert"
import type { GenerateOptions, Pipeline, TableModel } from "genarm"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { StopMatcher } from "../../src/decode/stop_matcher.ts"
import { TextStream } from "../../src/decode/text_stream.ts"
import { openTokenizer } from "../../src/files/tokenizer.ts"
import { fixture } from "../_fixtures.ts"
import { open, script, take, watch } from "./_pipelines.ts"

/** A model that writes the given tokens, one for each word of `tokens`, and then ends. */
async function writing(tokens: readonly string[]): Promise<Pipeline> {
  const vocabulary = ["a", ...new Set(tokens), "<end>"]
  const ids = [...tokens.map((token) => vocabulary.lastIndexOf(token)), vocabulary.length - 1]
  return await open(
    watch({ base: { vocabulary, next: script(ids), eos: [vocabulary.length - 1] } }),
  )
}

/** The text of each event of a model that writes `tokens`, and how it ended. */
async function write(tokens: readonly string[], options: GenerateOptions = {}) {
  await using pipeline = await writing(tokens)
  const stream = pipeline.stream("a", options)
  const pieces = (await take(stream, 1_000)).map(({ text }) => text)
  const { text, stopReason, tokens: recorded, ids } = await stream
  assertEquals(text, pieces.join(""))
  assertEquals(recorded.map((event) => event.text), pieces)
  assertEquals(ids.length, pieces.length)
  for (const stop of options.stop ?? []) assert(!text.includes(stop))
  return { pieces, text, stopReason }
}

const bytes = (...values: number[]) =>
  values.map((value) => `<0x${value.toString(16).toUpperCase().padStart(2, "0")}>`)
const smile = bytes(0xf0, 0x9f, 0x98, 0x80)

describe("text of byte tokens", () => {
  it("comes a character at a time", async () => {
    const { pieces, stopReason } = await write(["b", ...smile, "c", ...bytes(0xc3, 0xa9)])
    assertEquals(pieces, ["b", "", "", "", "😀", "c", "", "é", ""])
    assertEquals(stopReason, "eos")
  })

  it("has U+FFFD for a character that the limit cuts short", async () => {
    const { pieces, stopReason } = await write(["b", ...smile], { maxTokens: 3 })
    assertEquals(pieces, ["b", "", "\uFFFD"])
    assertEquals(stopReason, "length")
  })

  it("has U+FFFD for a character that an end token cuts short", async () => {
    const { text, stopReason } = await write(["b", ...smile.slice(0, 2)])
    assertEquals([text, stopReason], ["b\uFFFD", "eos"])
  })

  it("has U+FFFD for bytes that are no character, as soon as that is certain", async () => {
    const { pieces, text } = await write(["b", ...bytes(0xff), "c", "b"])
    assertEquals(text, "b\uFFFDcb")
    assertEquals(pieces, ["b", "", "\uFFFDc", "b", ""])
  })

  it("does not hold back a long run of them for ever, and loses none", async () => {
    const { text, pieces } = await write([...Array(40).fill(bytes(0xff)[0]), "b"])
    assertEquals(text, "\uFFFD".repeat(40) + "b")
    assert(pieces.slice(0, 30).some((piece) => piece.length > 0))
  })

  it("completes a character that the prompt has begun", async () => {
    const vocabulary = [...smile, "b", "<end>"]
    const models = watch({ base: { vocabulary, next: script([3, 4, 5], 3), eos: [5] } })
    await using pipeline = await open(models)
    const { text, tokens } = await pipeline.generate([0, 1, 2])
    assertEquals(text, "😀b")
    assertEquals(tokens.map((event) => event.text), ["😀", "b", ""])
  })

  it("is never half a surrogate pair, however tokens are cut", async () => {
    const random = randomStream(3)
    const encoder = new TextEncoder()
    for (let round = 0; round < 30; round++) {
      const characters = Array.from(
        { length: 8 },
        () => ["a", "é", "€", "😀", "👩‍🚀", "\u200d", " "][random.nextUint32() % 7],
      )
      const { pieces, text } = await write(
        [...encoder.encode(characters.join(""))].flatMap((byte) => bytes(byte)),
      )
      assertEquals(text, characters.join(""))
      for (const piece of pieces) assertEquals(piece.isWellFormed(), true)
    }
  })
})

describe("text of real tokenizers", () => {
  for (const name of ["llama", "qwen2", "tinyllama"]) {
    it(`goes on from a prompt of ${name} that ends anywhere, spaces and all`, async () => {
      const tokenizer = await openTokenizer(fixture(name))
      const ids = tokenizer.encode("The river 😀 is cold, she said: été")
      const whole = tokenizer.decode(ids)
      assertEquals(whole, "The river 😀 is cold, she said: été")
      for (let split = 1; split < ids.length; split++) {
        const stream = new TextStream(tokenizer, ids.slice(0, split))
        const pieces = ids.slice(split).map((id) => stream.push(id))
        const before = tokenizer.decode(ids.slice(0, split)).replace(/\uFFFD+$/, "")
        assertEquals(before + pieces.join("") + stream.flush(), whole)
        for (const piece of pieces) assert(piece.isWellFormed())
      }
    })
  }
})

describe("a special token within a text", () => {
  it("adds none, and takes no space from the next", async () => {
    const tokenizer = await openTokenizer(fixture("llama"))
    const words = tokenizer.encode("The river is cold")
    const prompt = words.slice(0, 4)
    const ids = words.slice(4).flatMap((id) => [1, id, 0, 0])
    const stream = new TextStream(tokenizer, prompt)
    const pieces = ids.map((id) => stream.push(id))
    assertEquals(pieces.join(""), " river is cold")
    assertEquals(pieces[0], "")
    const many = new TextStream(tokenizer, prompt)
    const long = [...Array(500).fill(0), ...words.slice(4)].map((id) => many.push(id))
    assertEquals(long.join("").trimStart(), "river is cold")
  })
})

describe("a stop string", () => {
  it("inside one token ends the text before it, and what follows in the token is dropped", async () => {
    const { pieces, stopReason } = await write(["b", "cSTOPd", "e"], { stop: ["STOP"] })
    assertEquals(pieces, ["b", "c"])
    assertEquals(stopReason, "stop")
  })

  it("over several tokens is held back until it is certain", async () => {
    const { pieces, stopReason } = await write(["b", "cS", "T", "O", "Pd", "e"], { stop: ["STOP"] })
    assertEquals(pieces, ["b", "c", "", "", ""])
    assertEquals(stopReason, "stop")
  })

  it("that does not come after all is told as text", async () => {
    const { pieces, stopReason } = await write(["S", "T", "O", "x", "S", "T"], { stop: ["STOP"] })
    assertEquals(pieces, ["", "", "", "STOx", "", "", "ST"])
    assertEquals(stopReason, "eos")
  })

  it("begun at the limit is told as text", async () => {
    const { pieces, stopReason } = await write(["b", "S", "T", "O"], {
      stop: ["STOP"],
      maxTokens: 3,
    })
    assertEquals(pieces, ["b", "", "ST"])
    assertEquals(stopReason, "length")
  })

  it("at the limit is a stop", async () => {
    const { text, stopReason } = await write(["b", "STOP"], { stop: ["STOP"], maxTokens: 2 })
    assertEquals([text, stopReason], ["b", "stop"])
  })

  it("that repeats itself is found at its first place", async () => {
    assertEquals((await write(["a", "a", "b", "a", "a", "c"], { stop: ["aac"] })).text, "aab")
    assertEquals((await write(["a", "a", "a", "b"], { stop: ["aab"] })).text, "a")
  })

  it("wins over others by where it begins, not by its place in the list", async () => {
    const stop = ["cd", "bcde", "d"]
    assertEquals((await write(["a", "bcde", "f"], { stop })).text, "a")
    assertEquals((await write(["a", "b", "c", "d", "e"], { stop })).text, "ab")
    assertEquals((await write(["a", "b", "c", "x"], { stop })).text, "abcx")
  })

  it("that only the last held-back bytes complete is found at the end token", async () => {
    const { text, stopReason } = await write(["b", ...bytes(0xff)], { stop: ["\uFFFD"] })
    assertEquals([text, stopReason], ["b", "stop"])
  })

  it("of many bytes is found", async () => {
    const { text, stopReason } = await write(["b", ...smile, "c"], { stop: ["😀"] })
    assertEquals([text, stopReason], ["b", "stop"])
  })

  it("of the request adds to those of the graph", async () => {
    const model: TableModel = { vocabulary: [..."abcd"], next: script([1, 2, 3]) }
    await using pipeline = await open(watch({ base: model }), { stop: ["d"] })
    assertEquals((await pipeline.generate("a", { stop: ["c"] })).text, "b")
    assertEquals((await pipeline.generate("a", { stop: ["x"] })).text, "bc")
    assertEquals((await pipeline.generate("a")).text, "bc")
  })

  it("in the prompt does not count", async () => {
    const model: TableModel = { vocabulary: [..."abcd"], next: script([1, 2, 3], 2) }
    await using pipeline = await open(watch({ base: model }), { stop: ["ca"] })
    assertEquals((await pipeline.generate("ca", { maxTokens: 3 })).text, "bcd")
    assertEquals((await pipeline.generate("aa", { maxTokens: 3, stop: ["ab"] })).text, "bcd")
  })
})

describe("the stop matcher", () => {
  it("finds what searching the whole text finds, however the text is cut", () => {
    const random = randomStream(17)
    const below = (n: number) => random.nextUint32() % n
    const word = (length: number) => Array.from({ length }, () => "ab"[below(2)]).join("")
    let stopped = 0
    for (let round = 0; round < 2_000; round++) {
      const text = word(12)
      const stops = Array.from({ length: 1 + below(3) }, () => word(1 + below(5)))
      const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
      const matcher = new StopMatcher(stops)
      let told = ""
      let end = false
      for (let at = 0; at < text.length && !end;) {
        const size = 1 + below(4)
        const piece = matcher.push(text.slice(at, at += size))
        told += piece.text
        end = piece.stopped
        for (const stop of stops) assert(!told.includes(stop))
      }
      if (!end) told += matcher.flush()
      stopped += Number(end)
      // Cut by pieces, a later stop may be seen first only if the earlier one was not complete.
      const whole = found.length === 0 ? text : text.slice(0, Math.min(...found))
      assertEquals(end, found.length > 0)
      assert(told.startsWith(whole) && (end || told === whole), `${text} ${stops}: ${told}`)
    }
    assert(stopped > 200 && stopped < 1_800)
  })
})
