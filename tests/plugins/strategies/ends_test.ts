import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert"
import {
  arm,
  defineReward,
  defineSampler,
  GenArmError,
  type Generation,
  type GraphSpec,
  greedy,
  logitBias,
  speculative,
} from "genarm"
import { argmax } from "genarm/math"
import { describe, it } from "node:test"
import { letters, open, take, watch, type Watched } from "../../decode/_pipelines.ts"
import { markov, mostly, product, type Rule } from "./_rules.ts"

const size = letters.length
const [base, kind] = [markov(51, 2, size), markov(52, 2, size)]
const guided = product([base, 1], [kind, 1])

/** Models of which one tells a listener how often it was asked. */
function models(listened = "base", onCall: (call: number) => void = () => {}): Watched {
  let call = 0
  const told = (name: string, rule: Rule): Rule => (ids) => {
    if (name === listened) onCall(++call)
    return rule(ids)
  }
  return watch({
    base: { next: told("base", base) },
    kind: { next: told("kind", kind) },
    draft: { next: told("draft", mostly(guided, markov(53, 1, size), 5)) },
  })
}

const graph: Partial<GraphSpec> = {
  rewards: { kind: { reward: arm({ model: "kind" }), weight: 1 } },
  sampler: greedy(),
}

const strategies: Record<string, GraphSpec["strategy"] & object> = {
  "a model": speculative({ draft: { model: "draft" }, most: 4 }),
  "models in turns": speculative({ draft: { model: "kind" }, alternate: true }),
  "the text itself": speculative({ draft: "lookup" }),
}

const whole = async (): Promise<Generation> => {
  await using pipeline = await open(models(), graph)
  return await pipeline.generate("abcab", { maxTokens: 40, seed: 1 })
}

const why = new Error("the reader has left")

describe("a speculative text that is aborted", () => {
  for (const [name, strategy] of Object.entries(strategies)) {
    for (const listened of name === "a model" ? ["base", "kind", "draft"] : ["base", "kind"]) {
      it(`while ${listened} runs, drafted by ${name}, frees all and gives what was told`, async () => {
        const { text, ids } = await whole()
        const lengths = new Set<number>()
        for (let at = 1; at <= 24; at++) {
          const stop = new AbortController()
          const watched = models(listened, (call) => call === at && stop.abort(why))
          await using pipeline = await open(watched, { ...graph, strategy })
          const told: string[] = []
          const error = await assertRejects(async () => {
            const request = { signal: stop.signal, seed: 1, maxTokens: 40 }
            for await (const event of pipeline.stream("abcab", request)) told.push(event.text)
          }, GenArmError)
          assertEquals(error.reason._tag, "Aborted")
          assertStrictEquals(error.cause, why)
          const partial = error.partial as Generation
          assertEquals(partial.text, told.join(""))
          assert(text.startsWith(partial.text))
          assertEquals(partial.ids, ids.slice(0, partial.ids.length))
          assertEquals(partial.tokens.length, partial.ids.length)
          assertEquals(watched.openCaches(), 0)
          lengths.add(partial.ids.length)
        }
        assert(lengths.size > 2)
      })
    }
  }

  it("between two tokens of one draft gives those that were told, and no more", async () => {
    const { ids } = await whole()
    for (let count = 1; count <= 12; count++) {
      const stop = new AbortController()
      const watched = models()
      await using pipeline = await open(watched, { ...graph, strategy: strategies["a model"] })
      const events = pipeline.stream("abcab", { signal: stop.signal, maxTokens: 40 })
      const iterator = events[Symbol.asyncIterator]()
      for (let i = 0; i < count; i++) await iterator.next()
      stop.abort(why)
      assertEquals(watched.openCaches(), 0)
      const error = await assertRejects(() => iterator.next(), GenArmError)
      assertEquals((error.partial as Generation).ids, ids.slice(0, count))
    }
  })
})

describe("a speculative text that its reader leaves", () => {
  for (const [name, strategy] of Object.entries(strategies)) {
    it(`frees all at once, drafted by ${name}`, async () => {
      const { ids } = await whole()
      const watched = models()
      await using pipeline = await open(watched, { ...graph, strategy })
      for (let count = 1; count <= 12; count++) {
        const events = await take(pipeline.stream("abcab"), count)
        assertEquals(events.map(({ id }) => id), ids.slice(0, count))
        assertEquals(watched.openCaches(), 0)
      }
    })
  }

  it("by closing the pipeline frees all", async () => {
    const watched = models()
    const pipeline = await open(watched, { ...graph, strategy: strategies["a model"] })
    const running = pipeline.generate("abcab", { maxTokens: 1_000 })
    await pipeline.stream("abcab", { maxTokens: 3 })
    const refused = assertRejects(() => running, GenArmError)
    await pipeline.close()
    assertEquals((await refused).reason._tag, "Closed")
    assertEquals(watched.openCaches(), 0)
  })
})

describe("a speculative text that fails", () => {
  it("as a model fails in the middle of a draft tells the model, and frees all", async () => {
    for (const listened of ["base", "kind", "draft"]) {
      const watched = models(listened, (call) => {
        if (call === 9) throw why
      })
      await using pipeline = await open(watched, { ...graph, strategy: strategies["a model"] })
      const error = await assertRejects(() => pipeline.generate("abcab"), GenArmError)
      assertEquals(error.reason, { _tag: "EngineFailed", engine: listened })
      assertStrictEquals(error.cause, why)
      assertEquals(watched.openCaches(), 0)
      // What fails is the request.
      assertEquals((await pipeline.generate("abcab", { maxTokens: 5 })).ids.length, 5)
    }
  })

  it("as a reward gives NaN or rules all out is told as in plain decoding", async () => {
    for (const [value, term] of [[NaN, "x"], [-Infinity, "base"]] as const) {
      const broken = defineReward({
        name: "broken",
        open: () => {
          let heard = 0
          return {
            score: (_, out) => out.fill(heard < 6 ? 0 : value),
            accept: () => void heard++,
          }
        },
      })
      for (const trace of ["sampled", "none"] as const) {
        for (const [name, strategy] of Object.entries({ plain: undefined, ...strategies })) {
          const watched = models()
          await using pipeline = await open(watched, {
            ...graph,
            rewards: { ...graph.rewards, x: { reward: broken(), weight: 1 } },
            ...strategy !== undefined && { strategy },
          })
          const error = await assertRejects(
            () => pipeline.generate("abcab", { trace }),
            GenArmError,
          )
          assertEquals(error.reason, { _tag: "NonFiniteScores", term }, name)
          assertEquals(watched.openCaches(), 0)
        }
      }
    }
  })

  it("as its sampler tells no probabilities names the sampler", async () => {
    const silent = defineSampler({
      name: "silent",
      open: () => ({ sample: ({ scores }) => argmax(scores), logProbability: () => 0 }),
    })
    const watched = models()
    await using pipeline = await open(watched, {
      ...graph,
      sampler: silent(),
      strategy: strategies["a model"],
    })
    const error = await assertRejects(
      () => pipeline.generate("abcab"),
      GenArmError,
      '"silent", which has no probabilities',
    )
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "silent" })
    assertEquals(watched.openCaches(), 0)
  })

  it("as the prompt is too long for the model that drafts says so", async () => {
    const watched = watch({
      base: { next: base },
      short: { next: base, contextLength: 4 },
    })
    const strategy = speculative({ draft: { model: "short" } })
    await using pipeline = await open(watched, { sampler: greedy(), strategy })
    const error = await assertRejects(() => pipeline.generate("abcab"), GenArmError, "short")
    assertEquals(error.reason._tag, "InvalidPrompt")
    assertEquals(watched.openCaches(), 0)
  })
})

describe("a graph with speculation", () => {
  it("opens a reward's model once for both", async () => {
    const watched = models()
    await using pipeline = await open(watched, {
      ...graph,
      strategy: strategies["models in turns"],
    })
    const stream = pipeline.stream("abcab", { maxTokens: 9 })[Symbol.asyncIterator]()
    await stream.next()
    assertEquals(watched.openCaches(), 2)
    assertEquals(watched.opened, { base: 1, kind: 1 })
    await stream.return?.()
    assertEquals(watched.openCaches(), 0)
  })

  it("scores as one without", async () => {
    const watched = models()
    await using plain = await open(watched, graph)
    await using fast = await open(watched, { ...graph, strategy: strategies["a model"] })
    assertEquals(await fast.score("abcab", "cde"), await plain.score("abcab", "cde"))
    assertEquals(watched.calls.draft, undefined)
    assertEquals(watched.openCaches(), 0)
  })

  it("is refused with options that mean nothing", () => {
    const wrong = [
      {},
      { draft: "model" },
      { draft: "lookup", alternate: true },
      { draft: "lookup", most: 0 },
      { draft: "lookup", most: 1.5 },
      { draft: "lookup", costs: { verify: -1 } },
      { draft: "lookup", costs: { draft: NaN } },
      { draft: { model: "" } },
      { draft: { model: "a", prefix: "b" } },
      { draft: "lookup", length: 3 },
    ]
    for (const options of wrong) {
      let error: unknown
      try {
        speculative(options as never)
      } catch (thrown) {
        error = thrown
      }
      assertInstanceOf(error, GenArmError, JSON.stringify(options))
      assertEquals(error.reason._tag, "InvalidOption")
    }
  })

  it("whose draft has another vocabulary is refused with the strategy's name", async () => {
    const watched = watch({
      base: { next: base },
      other: { vocabulary: ["x", "y", "z"], next: () => [1, 1, 1] },
    })
    const strategy = speculative({ draft: { model: "other" } })
    const error = await assertRejects(() => open(watched, { strategy }), GenArmError)
    assertEquals(error.reason, { _tag: "VocabularyMismatch", term: "speculative" })
  })

  it("is as strict about bans as one without", async () => {
    const ban = logitBias({ bias: Object.fromEntries([..."bcdefghij"].map((id) => [id, "ban"])) })
    for (const strategy of Object.values(strategies)) {
      await using pipeline = await open(models(), {
        ...graph,
        rewards: { ...graph.rewards, ban: { reward: ban, weight: 1 } },
        strategy,
      })
      assertEquals((await pipeline.generate("abcab", { maxTokens: 20 })).text, "a".repeat(20))
    }
  })
})
