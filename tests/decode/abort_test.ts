import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert"
import {
  arm,
  defineGraph,
  defineReward,
  GenArmError,
  type Generation,
  openPipeline,
  type Pipeline,
  prompted,
  type TokenEvent,
} from "genarm"
import { describe, it } from "node:test"
import {
  always,
  open,
  openTrained,
  script,
  take,
  watch,
  type Watched,
  withTrained,
} from "./_pipelines.ts"

const why = new Error("the reader has left")

/** A base and a reward; `onCall` hears of each distribution that the base computes. */
function twoModels(onCall: (call: number) => void = () => {}): Watched {
  let call = 0
  const says = script([1, 2, 3, 4, 5, 6, 7, 8, 9])
  return watch({
    base: {
      contextLength: 4_000,
      next: (ids) => {
        onCall(++call)
        return says(ids)
      },
    },
    good: { contextLength: 4_000, next: always(1, 1, 1, 1, 1, 1, 1, 1, 1, 1) },
  })
}

const openBoth = (models: Watched) =>
  open(models, { rewards: { good: { reward: arm({ model: "good" }), weight: 1 } } })

/** Checks the error of an aborted request, and gives what had been generated. */
function assertAborted<Partial = Omit<Generation, "stopReason">>(
  error: unknown,
  cause: unknown = why,
): Partial {
  assertInstanceOf(error, GenArmError)
  assertEquals(error.reason._tag, "Aborted")
  assertStrictEquals(error.cause, cause)
  assert(error.reason._tag === "Aborted" && error.reason.cause === cause)
  assertStrictEquals(error.partial, error.reason.partial)
  return error.partial as Partial
}

describe("a request that is aborted", () => {
  it("before it begins runs nothing", async () => {
    const models = twoModels()
    await using pipeline = await openBoth(models)
    const signal = AbortSignal.abort(why)
    const error = await assertRejects(() => pipeline.generate("a", { signal, seed: 4 }))
    assertEquals(assertAborted(error), { text: "", ids: [], tokens: [], seed: 4 })
    assertAborted(await assertRejects(() => take(pipeline.stream("a", { signal }), 9)))
    assertEquals(
      assertAborted<unknown>(await assertRejects(() => pipeline.generateAll(["a"], { signal }))),
      [],
    )
    assertEquals(models.calls, {})
    assertEquals(models.openCaches(), 0)
    assertEquals((await pipeline.generate("a", { maxTokens: 2 })).text, "bc")
  })

  it("while the prompt runs gives an empty part, and runs no further piece of it", async () => {
    const stop = new AbortController()
    const models = twoModels((call) => call === 1 && stop.abort(why))
    await using pipeline = await openBoth(models)
    const error = await assertRejects(() =>
      pipeline.generate("a".repeat(2_000), { signal: stop.signal, seed: 4 })
    )
    assertEquals(assertAborted(error), { text: "", ids: [], tokens: [], seed: 4 })
    assertEquals(models.calls.base, 1)
    assert(models.last.base.length < 2_000)
    assertEquals(models.openCaches(), 0)
    assertEquals((await pipeline.generate("a", { maxTokens: 2 })).text, "bc")
  })

  it("between two steps gives the text so far", async () => {
    const stop = new AbortController()
    const models = twoModels((call) => call === 4 && stop.abort(why))
    await using pipeline = await openBoth(models)
    const events: TokenEvent[] = []
    const error = await assertRejects(async () => {
      for await (const event of pipeline.stream("a", { signal: stop.signal, seed: 4 })) {
        events.push(event)
      }
    })
    const partial = assertAborted(error)
    assertEquals(partial, { text: "bcd", ids: [1, 2, 3], tokens: events, seed: 4 })
    assertEquals(models.calls.base, 4)
    assertEquals(models.openCaches(), 0)
  })

  it("while its reader pauses frees the caches at once, and tells at the next pull", async () => {
    const stop = new AbortController()
    const models = twoModels()
    await using pipeline = await openBoth(models)
    const stream = pipeline.stream("a", { signal: stop.signal })
    const iterator = stream[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.next()
    assertEquals(models.openCaches(), 2)
    stop.abort(why)
    assertEquals(models.openCaches(), 0)
    const partial = assertAborted(await assertRejects(() => iterator.next()))
    assertEquals([partial.text, partial.ids], ["bc", [1, 2]])
    assertAborted(await assertRejects(() => stream))
    assertEquals(models.calls.base, 2)
    assertEquals((await pipeline.generate("a", { maxTokens: 2 })).text, "bc")
  })

  it("holds its part to what has been told: not a stop string's beginning", async () => {
    const stop = new AbortController()
    const models = twoModels((call) => call === 3 && stop.abort(why))
    await using pipeline = await openBoth(models)
    const error = await assertRejects(() =>
      pipeline.generate("a", { signal: stop.signal, stop: ["cde"] })
    )
    const partial = assertAborted(error)
    assertEquals([partial.text, partial.ids], ["b", [1, 2]])
  })

  it("after its end has ended well", async () => {
    const stop = new AbortController()
    await using pipeline = await openBoth(twoModels())
    const stream = pipeline.stream("a", { signal: stop.signal, maxTokens: 2 })
    const iterator = stream[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.next()
    stop.abort(why)
    assertEquals((await stream).text, "bc")
  })

  it("leaves no listener on a signal that many requests share", async () => {
    const stop = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = stop.signal
    stop.signal.addEventListener = function (...args: never[]) {
      listeners++
      return (addEventListener as (...args: never[]) => void).apply(this, args)
    }
    stop.signal.removeEventListener = function (...args: never[]) {
      listeners--
      return (removeEventListener as (...args: never[]) => void).apply(this, args)
    }
    await using pipeline = await openBoth(twoModels())
    for (let i = 0; i < 3; i++) {
      await pipeline.generate("a", { signal: stop.signal, maxTokens: 2 })
      await take(pipeline.stream("a", { signal: stop.signal }), 2)
    }
    assertEquals(listeners, 0)
  })

  it("for a reason that is no error tells that reason", async () => {
    const stop = new AbortController()
    const models = twoModels((call) => call === 2 && stop.abort("enough"))
    await using pipeline = await openBoth(models)
    const error = await assertRejects(
      () => pipeline.generate("a", { signal: stop.signal }),
      GenArmError,
      "aborted: enough",
    )
    assertEquals(assertAborted(error, "enough").text, "b")
  })

  it("does not become an uncaught error where a reward fails to close", async () => {
    const stop = new AbortController()
    const careless = defineReward({
      name: "careless",
      open: () => ({
        score: (_, out) => out.fill(0),
        close: () => {
          throw new Error("cannot close")
        },
      }),
    })
    const models = twoModels((call) => call === 2 && stop.abort(why))
    await using pipeline = await open(models, { rewards: { x: { reward: careless(), weight: 1 } } })
    const error = await assertRejects(() => pipeline.generate("a", { signal: stop.signal }))
    assertEquals(assertAborted(error).text, "b")
    assertEquals(models.openCaches(), 0)
  })

  it("takes no other request with it", async () => {
    const stop = new AbortController()
    const models = twoModels((call) => call === 8 && stop.abort(why))
    await using pipeline = await openBoth(models)
    const [gone, kept] = await Promise.allSettled([
      pipeline.generate("a", { signal: stop.signal, maxTokens: 8 }),
      pipeline.generate("a", { maxTokens: 8 }),
    ])
    assert(gone.status === "rejected" && kept.status === "fulfilled")
    assertAborted(gone.reason)
    assertEquals(kept.value.text, "bcdefghi")
    assertEquals(models.openCaches(), 0)
  })
})

describe("generateAll that is aborted", () => {
  it("ends all texts, frees their caches, and gives those that were finished", async () => {
    const stop = new AbortController()
    const models = twoModels((call) => call === 25 && stop.abort(why))
    await using pipeline = await openBoth(models)
    const prompts = Array.from({ length: 30 }, () => "a")
    const error = await assertRejects(() =>
      pipeline.generateAll(prompts, { signal: stop.signal, maxTokens: 2 })
    )
    const partial = assertAborted<Generation[]>(error)
    assert(partial.length > 0 && partial.length < 30)
    for (const { text } of partial) assertEquals(text, "bc")
    assertEquals(models.openCaches(), 0)
    assertEquals((await pipeline.generateAll(prompts, { maxTokens: 2 })).length, 30)
  })
})

describe("opening that is aborted", () => {
  it("says so", async () => {
    const graph = defineGraph({ base: "base" })
    const error = await assertRejects(() =>
      openPipeline(graph, { runtime: twoModels().runtime, signal: AbortSignal.abort(why) })
    )
    assertAborted(error)
  })
})

describe("closing a pipeline", () => {
  it("ends what runs, frees its caches, and refuses what comes later", async () => {
    const models = twoModels()
    const pipeline = await openBoth(models)
    const waiting = pipeline.stream("a")
    const paused = pipeline.stream("a")[Symbol.asyncIterator]()
    await paused.next()
    const running = pipeline.generate("a", { maxTokens: 200 })
    const scoring = pipeline.score("a", "b".repeat(200))
    await Promise.all([
      pipeline.close(),
      assertClosed(() => running),
      assertClosed(() => scoring),
    ])
    assertEquals(models.openCaches(), 0)
    await assertClosed(() => paused.next())
    await assertClosed(() => waiting)
    await assertClosed(() => pipeline.generate("a"))
    await assertClosed(() => pipeline.generateAll(["a"]))
    await assertClosed(() => pipeline.score("a", "b"))
    await assertClosed(() => take(pipeline.stream("a"), 1))
    assertEquals(models.openCaches(), 0)
  })

  it("can be asked for again and again, by any name", async () => {
    const pipeline = await openBoth(twoModels())
    await Promise.all([pipeline.close(), pipeline.close(), pipeline[Symbol.asyncDispose]()])
    await pipeline.close()
    await assertClosed(() => pipeline.generate("a"))
  })

  it("happens at the end of a block that uses it", async () => {
    let outer: Pipeline
    {
      await using pipeline = await openBoth(twoModels())
      outer = pipeline
      assertEquals((await pipeline.generate("a", { maxTokens: 1 })).text, "b")
    }
    await assertClosed(() => outer.generate("a"))
  })

  it("leaves other pipelines over the same models alone", async () => {
    const models = twoModels()
    const first = await openBoth(models)
    await using second = await openBoth(models)
    await first.close()
    assertEquals((await second.generate("a", { maxTokens: 2 })).text, "bc")
  })

  it("inside the iteration of a stream ends the stream", async () => {
    const models = twoModels()
    const pipeline = await openBoth(models)
    const texts: string[] = []
    await assertClosed(async () => {
      for await (const { text } of pipeline.stream("a")) {
        texts.push(text)
        await pipeline.close()
      }
    })
    assertEquals(texts, ["b"])
    assertEquals(models.openCaches(), 0)
  })
})

async function assertClosed(body: () => PromiseLike<unknown>): Promise<void> {
  const error = await assertRejects(body, GenArmError, "closed")
  assertEquals(error.reason._tag, "Closed")
}

describe("a trained model", withTrained, () => {
  it("can be aborted during its prompt and during its text, and goes on to work", async () => {
    await using pipeline = await openTrained({
      rewards: { sad: { reward: prompted({ prefix: "Tom was sad. " }), weight: 0.5 } },
    })
    const options = { maxTokens: 30, seed: 3 }
    const whole = await pipeline.generate("Once upon a time", options)
    const early = new AbortController()
    const pending = pipeline.generate("Once upon a time", { ...options, signal: early.signal })
    early.abort(why)
    assertEquals(assertAborted(await assertRejects(() => pending)).ids, [])
    const late = new AbortController()
    const error = await assertRejects(async () => {
      let count = 0
      for await (
        const _ of pipeline.stream("Once upon a time", { ...options, signal: late.signal })
      ) {
        if (++count === 7) late.abort(why)
      }
    })
    const { ids, text } = assertAborted(error)
    assertEquals(ids, whole.ids.slice(0, 7))
    assert(whole.text.startsWith(text))
    assertEquals((await pipeline.generate("Once upon a time", options)).ids, whole.ids)
  })

  it("can be closed while a text runs", async () => {
    const pipeline = await openTrained()
    const running = pipeline.generate("Once", { maxTokens: 200 })
    await pipeline.stream("Once", { maxTokens: 2 })
    await Promise.all([pipeline.close(), assertClosed(() => running)])
  })
})
