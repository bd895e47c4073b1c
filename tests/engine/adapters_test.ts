import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { after, describe, it } from "node:test"
import { randomStream } from "genarm/math"
import type { DeltaEngine } from "../../src/engine/delta_engine.ts"
import type { Engine, EngineCache } from "../../src/engine/engine.ts"
import { GenArmError } from "../../src/errors.ts"
import { engineConformance, type Subject } from "../_conformance_engine.ts"
import { fixture, largestDifference } from "../_fixtures.ts"
import { poisoned } from "../files/_altered.ts"
import { adapterFixture, madeAdapter, type MadeSettings } from "../llama/_adapters.ts"
import { heldByCount, heldBySlab, open, openBeside } from "./_engines.ts"

const base = fixture("llama")
const made = ([
  { targets: ["q_proj", "v_proj"], rank: 4, seed: 1 },
  { rank: 2, seed: 2, isStabilised: true },
  { targets: ["o_proj", "gate_proj"], rank: 9, ranks: { gate_proj: 3 }, seed: 3 },
] satisfies MadeSettings[]).map((settings) => madeAdapter(base, settings))
const poison = 7
const damaged = poisoned("llama", poison)
after(() => {
  for (const folder of [...made, damaged]) folder[Symbol.dispose]()
})

/** None, three of different ranks and modules, and one that PEFT made. */
const adapters = [...made.map(({ path }) => path), adapterFixture("all_linear")]
const models: readonly (string | undefined)[] = [undefined, ...adapters]

/** An engine whose caches are opened for an adapter where none is named. */
async function through(adapter: string, opening: Promise<Engine>): Promise<Engine> {
  const engine = await opening
  const openCache = engine.openCache.bind(engine)
  engine.openCache = (named = adapter) => openCache(named)
  return engine
}

const subjects: Subject[] = [
  {
    name: "the delta engine, through one of several adapters",
    open: () => through(adapters[1], open(damaged.path, { adapters })),
    held: heldBySlab,
    poison,
  },
  {
    name: "the worker engine, through one of several adapters",
    open: () => through(adapters[2], openBeside(base, { adapters })),
    held: heldByCount,
  },
]

for (const subject of subjects) {
  describe(subject.name, () => {
    for (const { name, run } of engineConformance(subject)) it(name, run)
  })
}

/** `[tokens, vocabulary]` of a text by itself, in an engine that holds one adapter at most. */
async function alone(adapter: string | undefined, ids: readonly number[]): Promise<Float32Array> {
  const engine = await open(base, { adapters: adapter === undefined ? [] : [adapter] })
  try {
    const cache = engine.openCache(adapter)
    return (await engine.forward([{ cache, tokens: ids, want: "all" }]))[0]
  } finally {
    await engine.close()
  }
}

function assertSame(found: Float32Array, expected: Float32Array, what: string): void {
  const worst = largestDifference(found, expected)
  assert(worst < 1e-4, `${what}: ${worst} off`) // measured: 5.3e-6 at most
}

const random = randomStream(11)
const texts = models.map((_, i) =>
  Array.from({ length: 8 + 3 * i }, () => random.nextUint32() % 300)
)
const expected = Promise.all(models.map((adapter, i) => alone(adapter, texts[i])))

describe("a base and its adapters", () => {
  for (const [where, openAny] of [["in this thread", open], ["in a worker", openBeside]] as const) {
    const withEngine = async (body: (engine: Engine) => Promise<void>) => {
      const engine = await openAny(base, { adapters })
      try {
        await body(engine)
      } finally {
        await engine.close()
      }
    }

    it(`give in one batch what each gives alone, ${where}`, () =>
      withEngine(async (engine) => {
        const wanted = await expected
        for (const order of [[0, 1, 2, 3, 4], [4, 2, 0], [3, 1], [1, 1, 0, 0]]) {
          const caches = order.map((model) => engine.openCache(models[model]))
          const found = await engine.forward(order.map((model, i) => ({
            cache: caches[i],
            tokens: texts[model],
            want: "all",
          })))
          for (const [i, model] of order.entries()) {
            assertSame(found[i], wanted[model], `model ${model} of ${order}`)
          }
          for (const cache of caches) cache.close()
        }
      }))

    it(`give token by token, in ragged batches, what each gives alone, ${where}`, () =>
      withEngine(async (engine) => {
        const wanted = await expected
        const size = engine.vocabularySize
        const running = models.map((adapter, model) => ({
          model,
          cache: engine.openCache(adapter),
          at: 0,
        }))
        for (let step = 0; running.some(({ at, model }) => at < texts[model].length); step++) {
          // Now and then one is left out, so that rows change their places.
          const some = running.filter(({ at, model }) =>
            at < texts[model].length && (step + model) % 4 !== 0
          )
          const results = await engine.forward(some.map(({ cache, at, model }) => ({
            cache,
            tokens: [texts[model][at]],
            want: "last",
          })))
          for (const [i, one] of some.entries()) {
            const all = wanted[one.model]
            const row = all.subarray(one.at * size, (one.at + 1) * size)
            assertSame(results[i], row, `model ${one.model} at ${one.at}`)
            one.at++
          }
        }
      }))

    it(`keep to their adapter through forks and truncations, ${where}`, () =>
      withEngine(async (engine) => {
        const wanted = await expected
        const run = (cache: EngineCache, model: number, from: number) =>
          engine.forward([{ cache, tokens: texts[model].slice(from), want: "all" }])
        for (const [model, adapter] of models.entries()) {
          const cache = engine.openCache(adapter)
          await run(cache, model, 0)
          const fork = cache.fork()
          assertEquals([cache.adapter, fork.adapter], [adapter, adapter])
          for (const [which, one] of [["the cache", cache], ["its fork", fork]] as const) {
            for (const length of [5, 0]) {
              one.truncate(length)
              const [found] = await run(one, model, length)
              const rest = wanted[model].subarray(length * engine.vocabularySize)
              assertSame(found, rest, `${which} of model ${model}, cut to ${length}`)
            }
          }
          cache.close()
          fork.close()
        }
      }))

    it(`refuse an adapter that was not opened with them, ${where}`, () =>
      withEngine((engine) => {
        assertEquals(engine.adapters, adapters)
        const error = assertThrows(() => engine.openCache("./other"), GenArmError, "./other")
        assertEquals(error.reason, { _tag: "InvalidOption", path: ["adapter"] })
        assert(error.message.includes(adapters[0]), error.message)
        return Promise.resolve()
      }))
  }

  it("change nothing about the base's own rows", async () => {
    const engine = await open(base, { adapters })
    const cache = engine.openCache()
    const [found] = await engine.forward([{ cache, tokens: texts[0], want: "all" }])
    assertEquals(found, (await expected)[0])
    await engine.close()
  })

  it("differ from each other", async () => {
    const rows = await Promise.all(models.map((adapter) => alone(adapter, texts[0])))
    for (const [i, row] of rows.entries()) {
      for (const other of rows.slice(0, i)) assert(largestDifference(row, other) > 0.1)
    }
  })

  it("say which of them overflows", async () => {
    using huge = madeAdapter(base, { alpha: 1e38, size: 1e3 })
    const engine = await open(base, { adapters: [huge.path] })
    const [own, other] = [engine.openCache(huge.path), engine.openCache()]
    const call = () => engine.forward([{ cache: own, tokens: [1, 2], want: "last" }])
    const beside = engine.forward([{ cache: other, tokens: texts[0], want: "all" }])
    const error = await assertRejects(call, GenArmError, `with the adapter ${huge.path} gave NaN`)
    assertEquals(error.reason, { _tag: "NonFiniteScores", term: "tiny" })
    assertSame((await beside)[0], (await expected)[0], "the base beside it")
    await engine.close()
  })
})

describe("an engine without adapters", () => {
  it("refuses to open a cache for one", async () => {
    for (const folder of [base, fixture("onnx_export")]) {
      const engine = await open(folder)
      const opening = () => engine.openCache("./other")
      const error = assertThrows(opening, GenArmError, "was opened without adapters")
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["adapter"] })
      await engine.close()
    }
  })

  it("frees the memory of caches that adapters had", async () => {
    const engine = await open(base, { adapters }) as DeltaEngine
    const caches = models.map((adapter) => engine.openCache(adapter))
    await engine.forward(caches.map((cache) => ({ cache, tokens: [1, 2, 3], want: "last" })))
    for (const cache of caches) cache.close()
    assertEquals(heldBySlab(engine), 0)
    await engine.close()
  })
})
