import { assert, assertEquals, assertRejects } from "@std/assert"
import { after, describe, it } from "node:test"
import { PrefixCache } from "../../src/decode/prefix_cache.ts"
import type { DeltaEngine } from "../../src/engine/delta_engine.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { GenArmError, type GenArmReason } from "../../src/errors.ts"
import { argmax } from "../../src/math/argmax.ts"
import { fixture, largestDifference } from "../_fixtures.ts"
import { heldByCount, heldBySlab, open, openBeside } from "../engine/_engines.ts"
import { adapterFiles, adapterFolder, madeAdapter } from "../llama/_adapters.ts"

const base = fixture("llama")
const layers = 2
const ids = (length: number, salt = 0) =>
  Array.from({ length }, (_, i) => 1 + (i * 37 + salt * (i + 11)) % 250)

/** An engine that counts the tokens it runs, and whose calls may be made to fail. */
interface Counted extends Engine {
  readonly inner: DeltaEngine
  bytesPerToken?: number
  tokens: number
  calls: number
  fail?: (call: number) => Error | undefined
}

async function counted(adapters: readonly string[] = []): Promise<Counted> {
  const inner = await open(base, { adapters }) as DeltaEngine
  const engine: Counted = {
    inner,
    name: inner.name,
    vocabularySize: inner.vocabularySize,
    width: inner.width,
    contextLength: inner.contextLength,
    bytesPerToken: inner.bytesPerToken,
    tokens: 0,
    calls: 0,
    openCache: (adapter) => inner.openCache(adapter),
    sharesCaches: (adapter) => inner.sharesCaches(adapter),
    async forward(rows) {
      const error = engine.fail?.(engine.calls++)
      if (error !== undefined) throw error
      engine.tokens += rows.reduce((sum, { tokens }) => sum + tokens.length, 0)
      return await inner.forward(rows)
    },
    close: () => inner.close(),
  }
  return engine
}

/** Opens an engine and a cache of beginnings, and closes both. */
async function within(
  body: (engine: Counted, prefixes: PrefixCache) => Promise<void>,
  adapters?: readonly string[],
): Promise<void> {
  const engine = await counted(adapters)
  const prefixes = new PrefixCache()
  try {
    await body(engine, prefixes)
    prefixes.close()
    assertEquals(heldBySlab(engine.inner), 0, "bytes and slots held in the end")
  } finally {
    await engine.close()
  }
}

/** `[vocabulary]` after a prompt that shares nothing. */
async function alone(engine: Engine, prompt: readonly number[], adapter?: string) {
  const cache = engine.openCache(adapter)
  const [logProbs] = await engine.forward([{ cache, tokens: prompt, want: "last" }])
  cache.close()
  return logProbs
}

function assertSame(found: Float32Array, expected: Float32Array, what: string): void {
  const worst = largestDifference(found, expected)
  const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  assert(worst <= 2e-6 * largest, `${what}: ${worst} off`)
}

async function rejects(call: Promise<unknown>, tag: GenArmReason["_tag"]): Promise<void> {
  assertEquals((await assertRejects(() => call, GenArmError)).reason._tag, tag)
}

describe("prompts that begin together", () => {
  it("are run once where they are the same, and give exactly what one alone gives", () =>
    within(async (engine, prefixes) => {
      const prompt = ids(60)
      const expected = await alone(engine, prompt)
      engine.tokens = 0
      const all = await Promise.all(
        Array.from({ length: 16 }, () => prefixes.prefill(engine, undefined, prompt)),
      )
      assertEquals(engine.tokens, 60)
      for (const { cache, logProbs } of all) {
        assertEquals(logProbs, expected)
        assertEquals(cache.length, 60)
        logProbs.fill(0) // the caller's own
      }
      const later = await prefixes.prefill(engine, undefined, prompt)
      assertEquals(later.logProbs, expected)
      assertEquals(engine.tokens, 60)
      for (const { cache } of [...all, later]) cache.close()
    }))

  it("run what they have in common once, and the rest in one batch", () =>
    within(async (engine, prefixes) => {
      const common = ids(40)
      const prompts = Array.from({ length: 6 }, (_, i) => [...common, ...ids(9 + i, i + 1)])
      const all = await Promise.all(
        prompts.map((prompt) => prefixes.prefill(engine, undefined, prompt)),
      )
      const rest = prompts.reduce((sum, { length }) => sum + length - 40, 0)
      assertEquals(engine.tokens, 40 + rest)
      for (const [i, { cache, logProbs }] of all.entries()) {
        assertSame(logProbs, await alone(engine, prompts[i]), `prompt ${i}`)
        cache.close()
      }
    }))

  it("may each be the beginning of another", () =>
    within(async (engine, prefixes) => {
      const whole = ids(80)
      const lengths = [80, 30, 55, 30, 17]
      const all = await Promise.all(
        lengths.map((length) => prefixes.prefill(engine, undefined, whole.slice(0, length))),
      )
      assertEquals(engine.tokens, 80)
      for (const [i, { cache, logProbs }] of all.entries()) {
        assertEquals(cache.length, lengths[i])
        assertSame(logProbs, await alone(engine, whole.slice(0, lengths[i])), `length ${i}`)
        cache.close()
      }
    }))

  it("share nothing where they have little in common", () =>
    within(async (engine, prefixes) => {
      const prompts = [[1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2]]
      for (const prompt of [...prompts, ...prompts]) {
        const { cache, logProbs } = await prefixes.prefill(engine, undefined, prompt)
        assertSame(logProbs, await alone(engine, prompt), `${prompt}`)
        cache.close()
      }
      // Each prompt once alone in each round; the second round finds all of them.
      assertEquals(engine.tokens, 3 * 11)
    }))
})

describe("texts that go on from known ones", () => {
  it("write greedily the same, with the same log-probabilities", () =>
    within(async (engine, prefixes) => {
      const write = async (share: boolean, prompt: readonly number[]) => {
        const given = share
          ? await prefixes.prefill(engine, undefined, prompt)
          : { cache: engine.openCache(), logProbs: undefined }
        const { cache } = given
        let { logProbs } = given
        if (logProbs === undefined) {
          logProbs = (await engine.forward([{ cache, tokens: prompt, want: "last" }]))[0]
        }
        const text = [...prompt]
        const rows: Float32Array[] = []
        for (let step = 0; step < 20; step++) {
          rows.push(logProbs)
          text.push(argmax(logProbs))
          logProbs = (await engine.forward([{ cache, tokens: text.slice(-1), want: "last" }]))[0]
        }
        if (share) prefixes.release(engine, cache, text)
        else cache.close()
        return { text, rows }
      }
      const first = ids(30)
      const expected = await write(false, first)
      for (let round = 0; round < 2; round++) {
        const found = await write(true, first)
        assertEquals(found, expected, "the same prompt is bit for bit the same")
      }
      // The next turn of the conversation, which keeps only a part of the last.
      const turn = [...expected.text.slice(0, 45), ...ids(10, 3)]
      const whole = await write(false, turn)
      engine.tokens = 0
      const shared = await write(true, turn)
      assertEquals(engine.tokens, 10 + 20)
      assertEquals(shared.text, whole.text)
      shared.rows.forEach((row, i) => assertSame(row, whole.rows[i], `token ${i}`))
    }))

  it("take no slot, and cost their tokens, when they wait", () =>
    within(async (engine, prefixes) => {
      for (let i = 0; i < 5; i++) {
        const prompt = ids(30, i)
        const { cache } = await prefixes.prefill(engine, undefined, prompt)
        prefixes.release(engine, cache, prompt)
      }
      assertEquals(prefixes.size, 5)
      const { slab, snapshots, bytesPerToken } = engine.inner
      assertEquals([slab.open, slab.bytes], [0, 0])
      assertEquals(snapshots.bytes, 5 * 30 * bytesPerToken)
      assertEquals(prefixes.bytes, 5 * (30 * bytesPerToken + 4 * engine.vocabularySize))
    }))

  it("work through a worker", async () => {
    const engine = await openBeside(base)
    const prefixes = new PrefixCache()
    const prompt = ids(50)
    const expected = await alone(engine, prompt)
    const longer = [...prompt, ...ids(5, 2)]
    const all = await Promise.all(
      [prompt, prompt, longer].map((ids) => prefixes.prefill(engine, undefined, ids)),
    )
    assertSame(all[1].logProbs, expected, "the same prompt")
    assertSame(all[2].logProbs, await alone(engine, longer), "a longer one")
    for (const [i, { cache }] of all.entries()) {
      prefixes.release(engine, cache, i === 2 ? longer : prompt)
    }
    assertEquals(heldByCount(engine), 2)
    assertEquals(prefixes.size, 2)
    prefixes.close()
    assertEquals(heldByCount(engine), 0)
    await engine.close()
  })

  it("are kept of no engine that does not say what they cost, but shared while they run", async () => {
    const engine = await counted()
    delete engine.bytesPerToken
    const prefixes = new PrefixCache()
    for (let round = 1; round <= 2; round++) {
      const all = await Promise.all(
        [1, 2, 3].map(() => prefixes.prefill(engine, undefined, ids(20))),
      )
      assertEquals(engine.tokens, round * 20)
      for (const { cache } of all) prefixes.release(engine, cache, ids(20))
      assertEquals([prefixes.size, heldBySlab(engine.inner)], [0, 0])
    }
    await engine.close()
  })
})

describe("what is kept", () => {
  /** Runs and releases a prompt; tells how many tokens had to be run. */
  const use = async (engine: Counted, prefixes: PrefixCache, prompt: readonly number[]) => {
    const before = engine.tokens
    const { cache } = await prefixes.prefill(engine, undefined, prompt)
    prefixes.release(engine, cache, prompt)
    return engine.tokens - before
  }

  for (
    const [what, limits] of [
      ["texts", { entries: 2 }],
      ["tokens", { tokens: 50 }],
      ["bytes", { bytes: 2 * (20 * 1024 + 4 * 300) + 100 }],
    ] as const
  ) {
    it(`is limited in ${what}; the text used longest ago goes first`, async () => {
      const engine = await counted()
      const perText = 20 * engine.bytesPerToken! + 4 * engine.vocabularySize
      const prefixes = new PrefixCache(what === "bytes" ? { bytes: 2 * perText + 100 } : limits)
      const [a, b, c] = [1, 2, 3].map((salt) => ids(20, salt))
      for (const prompt of [a, b]) assertEquals(await use(engine, prefixes, prompt), 20)
      assertEquals(await use(engine, prefixes, a), 0)
      assertEquals(await use(engine, prefixes, c), 20)
      assertEquals(prefixes.size, 2)
      assertEquals(await use(engine, prefixes, a), 0)
      assertEquals(await use(engine, prefixes, b), 20)
      prefixes.close()
      assertEquals(heldBySlab(engine.inner), 0)
      await engine.close()
    })
  }

  it("does not grow over 20,000 tokens in many texts", async () => {
    const engine = await counted()
    const prefixes = new PrefixCache({ tokens: 2000 })
    const held: number[] = []
    let written = 0
    for (let text = 0; written < 20_000; text++) {
      const prompt = ids(40, text % 7)
      const all = await Promise.all(
        [0, 1, 2, 3].map(() => prefixes.prefill(engine, undefined, prompt)),
      )
      const more = [0, 1, 2, 3].map((i) => ids(80, text + i))
      await Promise.all(
        all.map(({ cache }, i) => engine.forward([{ cache, tokens: more[i], want: "last" }])),
      )
      all.forEach(({ cache }, i) => prefixes.release(engine, cache, [...prompt, ...more[i]]))
      written += 4 * 120
      held.push(engine.inner.cacheBytes)
    }
    // Beginnings of texts that are kept may belong to texts that are kept no more.
    assert(Math.max(...held) <= 2 * 2000 * engine.bytesPerToken!, `${Math.max(...held)}`)
    assertEquals(engine.inner.slab.bytes, 0)
    prefixes.close()
    assertEquals(engine.inner.cacheBytes, 0)
    await engine.close()
  })

  it("is freed on close, and nothing can be asked for then", () =>
    within(async (engine, prefixes) => {
      const { cache } = await prefixes.prefill(engine, undefined, ids(20))
      prefixes.release(engine, cache, ids(20))
      const running = [1, 2].map(() => prefixes.prefill(engine, undefined, ids(100, 5)))
      await undefined
      prefixes.close()
      for (const call of running) await rejects(call, "Closed")
      assertEquals([prefixes.size, prefixes.bytes], [0, 0])
      await rejects(prefixes.prefill(engine, undefined, ids(20)), "Closed")
    }))

  it("is not served once its engine is closed", async () => {
    const engine = await counted()
    const prefixes = new PrefixCache()
    const { cache } = await prefixes.prefill(engine, undefined, ids(20))
    prefixes.release(engine, cache, ids(20))
    await engine.close()
    await rejects(prefixes.prefill(engine, undefined, ids(20)), "Closed")
    assertEquals(prefixes.size, 0)
  })

  it("is not what a call still runs, or what has been closed", () =>
    within(async (engine, prefixes) => {
      const { cache } = await prefixes.prefill(engine, undefined, ids(20))
      const running = engine.forward([{ cache, tokens: [1], want: "last" }])
      prefixes.release(engine, cache, [...ids(20), 1])
      await running.catch(() => undefined)
      prefixes.release(engine, cache, ids(20))
      assertEquals(prefixes.size, 1, "the prompt")
    }))
})

describe("a call that ends early", () => {
  it("by an abort takes no other with it", () =>
    within(async (engine, prefixes) => {
      for (let turns = 0; turns < 10; turns++) {
        const prompt = ids(64, turns)
        const stop = new AbortController()
        const first = prefixes.prefill(engine, undefined, prompt, stop.signal)
        const same = prefixes.prefill(engine, undefined, prompt)
        const longer = prefixes.prefill(engine, undefined, [...prompt, 7])
        for (let turn = 0; turn < turns; turn++) await undefined
        stop.abort(new Error("enough"))
        await rejects(first, "Aborted")
        const expected = await alone(engine, prompt)
        const found = await same
        assertSame(found.logProbs, expected, `aborted after ${turns} turns`)
        found.cache.close()
        ;(await longer).cache.close()
      }
    }))

  it("frees its memory at once when nobody else waits", () =>
    within(async (engine, prefixes) => {
      const stop = new AbortController()
      const calls = [1, 2].map(() => prefixes.prefill(engine, undefined, ids(100), stop.signal))
      stop.abort()
      for (const call of calls) await rejects(call, "Aborted")
      assertEquals(heldBySlab(engine.inner), 0)
      await rejects(prefixes.prefill(engine, undefined, ids(100), stop.signal), "Aborted")
      // A later call does not join what was given up.
      const { cache } = await prefixes.prefill(engine, undefined, ids(100))
      assertEquals(cache.length, 100)
      cache.close()
    }))

  it("by a failure takes no other with it: another runs the prompt", () =>
    within(async (engine, prefixes) => {
      engine.fail = (call) => call === 0 ? new Error("the first call broke") : undefined
      const [first, ...others] = Array.from(
        { length: 4 },
        () => prefixes.prefill(engine, undefined, ids(30)),
      )
      await assertRejects(() => first, Error, "the first call broke")
      for (const { cache, logProbs } of await Promise.all(others)) {
        assertSame(logProbs, await alone(engine, ids(30)), "the others")
        cache.close()
      }
    }))

  it("by a failure that comes every time fails each with it", () =>
    within(async (engine, prefixes) => {
      engine.fail = () => new Error("broken")
      const calls = Array.from({ length: 4 }, () => prefixes.prefill(engine, undefined, ids(30)))
      for (const call of calls) await assertRejects(() => call, Error, "broken")
      assertEquals(engine.calls, 4)
      await rejects(prefixes.prefill(engine, "none", ids(3)), "InvalidOption")
      delete engine.fail
      await rejects(prefixes.prefill(engine, undefined, []), "InvalidPrompt")
    }))
})

/** A random adapter for modules of the last layer. */
function ofLastLayer(modules: readonly string[], seed: number) {
  const { config, tensors } = adapterFiles(base, { targets: modules, seed })
  const last = Object.entries(tensors).filter(([name]) => name.includes(`.layers.${layers - 1}.`))
  const targets = modules.map((module) =>
    `layers.${layers - 1}.${module === "down_proj" ? "mlp" : "self_attn"}.${module}`
  )
  return adapterFolder({
    config: { ...config, target_modules: targets },
    tensors: Object.fromEntries(last),
  })
}

describe("adapters", () => {
  const lastLayer = ofLastLayer(["q_proj", "down_proj"], 3)
  const everywhere = madeAdapter(base, { targets: ["q_proj"], seed: 4 })
  const values = ofLastLayer(["v_proj"], 5)
  const adapters = [lastLayer.path, everywhere.path, values.path]
  after(() => {
    for (const folder of [lastLayer, everywhere, values]) folder[Symbol.dispose]()
  })

  it("share what they leave unchanged with the model, and with each other", () =>
    within(async (engine, prefixes) => {
      assertEquals(adapters.map((adapter) => engine.inner.sharesCaches(adapter)), [
        true,
        false,
        false,
      ])
      const prompt = ids(60)
      const models = [undefined, ...adapters]
      const all = await Promise.all(
        models.map((adapter) => prefixes.prefill(engine, adapter, prompt)),
      )
      // The model's prompt but for its last token; that token for it and the first adapter; the rest.
      assertEquals(engine.tokens, 59 + 2 + 2 * 60)
      for (const [i, { cache, logProbs }] of all.entries()) {
        assertEquals(cache.adapter, models[i])
        assertSame(logProbs, await alone(engine, prompt, models[i]), `model ${i}`)
        const [next] = await engine.forward([{ cache, tokens: [9], want: "last" }])
        assertSame(next, await alone(engine, [...prompt, 9], models[i]), `model ${i}, a step on`)
        cache.close()
      }
      engine.tokens = 0
      for (const adapter of models) {
        const { cache } = await prefixes.prefill(engine, adapter, prompt)
        cache.close()
      }
      assertEquals(engine.tokens, 0)
    }, adapters))

  it("have their caches forked for another only where they share them", () =>
    within(async ({ inner }) => {
      const cache = inner.openCache(lastLayer.path)
      const other = cache.fork({ adapter: undefined })
      assertEquals(other.adapter, undefined)
      const refused = (adapter: string) =>
        assertRejects(() => Promise.resolve().then(() => cache.fork({ adapter })), GenArmError)
      const error = await refused(everywhere.path)
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["adapter"] })
      for (const one of [cache, other]) one.close()
    }, adapters))

  it("tell through a worker what they share", async () => {
    const engine = await openBeside(base, { adapters })
    assertEquals(adapters.map((adapter) => engine.sharesCaches!(adapter)), [true, false, false])
    const prefixes = new PrefixCache()
    const prompt = ids(40)
    const first = await prefixes.prefill(engine, undefined, prompt)
    const second = await prefixes.prefill(engine, lastLayer.path, prompt)
    assertSame(second.logProbs, await alone(engine, prompt, lastLayer.path), "the adapter")
    first.cache.close()
    second.cache.close()
    prefixes.close()
    await engine.close()
  })
})
