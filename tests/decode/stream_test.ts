import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert"
import { arm, GenArmError, greedy, logitBias, type Pipeline, type TokenEvent } from "genarm"
import { describe, it } from "node:test"
import {
  always,
  letters,
  open,
  openTrained,
  script,
  take,
  watch,
  withTrained,
} from "./_pipelines.ts"

const alphabet = () => watch({ base: { next: script([1, 2, 3, 4, 5, 6, 7, 8, 9]) } })
const texts = (events: readonly TokenEvent[]) => events.map(({ text }) => text)

describe("a stream", () => {
  it("computes nothing until it is asked, and then one token at a time", async () => {
    const models = alphabet()
    await using pipeline = await open(models)
    const stream = pipeline.stream("a", { maxTokens: 5 })
    await new Promise((resolve) => setTimeout(resolve, 1))
    assertEquals(models.calls.base, undefined)
    assertEquals(models.openCaches(), 0)
    let pulled = 0
    for await (const _ of stream) {
      pulled++
      await new Promise((resolve) => setTimeout(resolve, 1))
      assertEquals(models.calls.base, pulled)
    }
    assertEquals(pulled, 5)
    assertEquals(models.calls.base, 5)
  })

  it("frees its caches at break, return, throw and its end", async () => {
    const models = watch({
      base: { next: script([1, 2, 3, 4, 5, 6, 7, 8, 9]) },
      good: { next: always(1, 1, 1, 1, 1, 1, 1, 1, 1, 1) },
    })
    await using pipeline = await open(models, {
      rewards: { good: { reward: arm({ model: "good" }), weight: 1 } },
    })
    const start = () => pipeline.stream("a", { maxTokens: 5 })
    assertEquals(texts(await take(start(), 2)), ["b", "c"])
    assertEquals(models.openCaches(), 0)
    const iterator = start()[Symbol.asyncIterator]()
    await iterator.next()
    assertEquals(models.openCaches(), 2)
    await iterator.return!()
    assertEquals(models.openCaches(), 0)
    await assertRejects(
      async () => {
        for await (const _ of start()) throw new Error("the consumer's own")
      },
      Error,
      "the consumer's own",
    )
    assertEquals(models.openCaches(), 0)
    assertEquals(texts(await take(start(), 9)), ["b", "c", "d", "e", "f"])
    assertEquals(models.openCaches(), 0)
    assertEquals(models.calls, { base: 9, good: 9 })
  })

  it("can be awaited at once, after some of its tokens, and after all", async () => {
    const models = alphabet()
    await using pipeline = await open(models)
    const options = { maxTokens: 4, seed: 6 }
    const whole = await pipeline.generate("a", options)
    assertEquals(whole.text, "bcde")

    assertEquals(await pipeline.stream("a", options), whole)

    const some = pipeline.stream("a", options)
    const iterator = some[Symbol.asyncIterator]()
    const first = (await iterator.next()).value
    assertEquals(first, whole.tokens[0])
    assertEquals(await some, whole)
    assertEquals((await iterator.next()).done, true)

    const all = pipeline.stream("a", options)
    const events = await take(all, 9)
    assertEquals(events, whole.tokens)
    assertEquals(await all, whole)
    assertStrictEquals(await all, await all)
    assertEquals(models.openCaches(), 0)
    assertEquals(models.calls.base, 16)
  })

  it("goes on where an earlier iterator stopped", async () => {
    await using pipeline = await open(alphabet())
    const stream = pipeline.stream("a", { maxTokens: 4 })
    const first = stream[Symbol.asyncIterator]()
    const second = stream[Symbol.asyncIterator]()
    const found: string[] = []
    for (const iterator of [first, first, second, second]) {
      found.push((await iterator.next()).value.text)
    }
    assertEquals(found, ["b", "c", "d", "e"])
    assertEquals((await second.next()).done, true)
  })

  it("that was left cannot be awaited, and says so", async () => {
    await using pipeline = await open(alphabet())
    const stream = pipeline.stream("a", { maxTokens: 4 })
    await take(stream, 1)
    const error = await assertRejects(() => stream, GenArmError, "left before its end")
    assertEquals(error.reason._tag, "Aborted")
  })

  it("that failed gives the same error to everybody who asks", async () => {
    let step = 0
    const models = watch({
      base: {
        next: () => {
          if (++step === 3) throw new Error("no more")
          return [1]
        },
      },
    })
    await using pipeline = await open(models)
    const stream = pipeline.stream("a", { maxTokens: 9 })
    const error = await assertRejects(() => take(stream, 9), GenArmError, "no more")
    assertEquals(error.reason, { _tag: "EngineFailed", engine: "base" })
    assertStrictEquals(await assertRejects(() => stream), error)
    assertStrictEquals(await assertRejects(() => take(stream, 9)), error)
    assertEquals(models.openCaches(), 0)
    assertEquals((await pipeline.generate("a", { maxTokens: 2 })).text, "aa")
  })

  it("refuses wrong options when it is first asked", async () => {
    const models = alphabet()
    await using pipeline = await open(models)
    const wrong: readonly (readonly [unknown, readonly (string | number)[]])[] = [
      [{ maxTokens: 0 }, ["maxTokens"]],
      [{ maxTokens: 1.5 }, ["maxTokens"]],
      [{ maxTokens: "9" }, ["maxTokens"]],
      [{ seed: -1 }, ["seed"]],
      [{ seed: 2 ** 32 }, ["seed"]],
      [{ seed: 0.5 }, ["seed"]],
      [{ stop: "x" }, ["stop"]],
      [{ stop: [""] }, ["stop", 0]],
      [{ signal: "x" }, ["signal"]],
      [{ n: 0 }, ["n"]],
      [{ n: 2 }, ["n"]],
      [{ maxTokes: 3 }, ["maxTokes"]],
    ]
    for (const [options, path] of wrong) {
      const stream = pipeline.stream("a", options as never)
      const error = await assertRejects(() => stream, GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
      await assertRejects(() => pipeline.generate("a", options as never), GenArmError)
    }
    assertEquals(models.calls.base, undefined)
    const { ids } = await pipeline.generate("a", {
      maxTokens: 1,
      seed: undefined,
      stop: undefined,
      signal: undefined,
    } as never)
    assertEquals(ids.length, 1)
  })
})

describe("the end of a text", () => {
  const ended = (next: (ids: readonly number[]) => number[], eos: readonly number[]) =>
    watch({ base: { vocabulary: [...letters.slice(0, 8), "<x>", "<y>"], next, eos } })

  it("is any of the ids that end texts, and the last event has no text", async () => {
    for (const [end, word] of [[8, "<x>"], [9, "<y>"]] as const) {
      await using pipeline = await open(ended(script([1, 2, end]), [8, 9]))
      const events = await take(pipeline.stream("a"), 99)
      assertEquals(texts(events), ["b", "c", ""], word)
      const { text, ids, stopReason } = await pipeline.generate("a")
      assertEquals([text, ids, stopReason], ["bc", [1, 2, end], "eos"])
    }
  })

  it("is not an id that the model does not end with", async () => {
    await using pipeline = await open(ended(script([1, 9, 8]), [8]))
    const { ids, text, stopReason } = await pipeline.generate("a")
    assertEquals([ids, text, stopReason], [[1, 9, 8], "b", "eos"])
  })

  it("is guided like any token: a reward can bring it on, or keep it away", async () => {
    const models = ended(() => [0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.5], [9])
    await using never = await open(models, {
      rewards: { more: { reward: logitBias({ bias: { 9: "ban" } }), weight: 1 } },
    })
    const { text, stopReason } = await never.generate("a", { maxTokens: 50 })
    assertEquals([text, stopReason], ["b".repeat(50), "length"])
    await using now = await open(models, {
      rewards: { less: { reward: logitBias({ bias: { 9: 100 } }), weight: 1 } },
    })
    assertEquals((await now.generate("a")).ids, [9])
  })

  it("is the limit of tokens, one for instance", async () => {
    const models = alphabet()
    await using pipeline = await open(models)
    const { text, stopReason, ids } = await pipeline.generate("a", { maxTokens: 1 })
    assertEquals([text, stopReason, ids], ["b", "length", [1]])
    assertEquals(models.calls.base, 1)
  })

  it("is an end token even where it is the last that is allowed", async () => {
    await using pipeline = await open(ended(script([1, 9]), [9]))
    assertEquals((await pipeline.generate("a", { maxTokens: 2 })).stopReason, "eos")
  })

  it("is the end of the context, of whichever model is full first", async () => {
    const next = always(0, 1)
    const small = watch({ base: { next, contextLength: 6 } })
    await using alone = await open(small)
    // The last token that is written need not fit: nothing comes after it.
    const { ids, stopReason } = await alone.generate("aaa")
    assertEquals([ids.length, stopReason], [4, "length"])
    assertEquals((await alone.generate("aaaaaa")).ids.length, 1)
    const mixed = watch({ base: { next, contextLength: 50 }, good: { next, contextLength: 8 } })
    await using pipeline = await open(mixed, {
      rewards: {
        good: { reward: arm({ model: "good" }), weight: 1, template: "none" },
        padded: { reward: arm({ model: "good" }), weight: 1, template: "cc{prompt}" },
      },
    })
    assertEquals((await pipeline.generate("aaa")).ids.length, 4)
  })

  it("is 256 tokens where nothing else ends it", async () => {
    await using pipeline = await open(watch({ base: { next: always(0, 1) } }))
    assertEquals((await pipeline.generate("a")).ids.length, 256)
  })
})

describe("a stream of a trained model", withTrained, () => {
  it("gives the text piece by piece, freed at break and usable after", async () => {
    await using pipeline: Pipeline = await openTrained({ sampler: greedy() })
    const whole = await pipeline.generate("Once", { maxTokens: 30 })
    const stream = pipeline.stream("Once", { maxTokens: 30 })
    assertEquals(texts(await take(stream, 99)).join(""), whole.text)
    const part = await take(pipeline.stream("Once", { maxTokens: 30 }), 4)
    assert(whole.text.startsWith(texts(part).join("")))
    assertEquals((await pipeline.generate("Once", { maxTokens: 30 })).ids, whole.ids)
  })
})
