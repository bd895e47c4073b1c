import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert"
import { Effect } from "effect"
import { defineGraph, GenArmError, openPipeline, type Progress } from "genarm"
import { cpu, cuda, type OpenModel, Runtime } from "genarm/effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { fixture, largestDifference } from "../_fixtures.ts"
import { altered } from "../files/_altered.ts"
import { adapterFixture } from "../llama/_adapters.ts"
import { openRuntime } from "./_open.ts"

const llama = { model: fixture("llama") }

/** The distribution after a short text. */
async function distribution({ engine, adapter }: OpenModel): Promise<Float32Array> {
  const cache = engine.openCache(adapter)
  const [row] = await engine.forward([{ cache, tokens: [1, 50, 99], want: "last" }])
  cache.close()
  return row
}

describe("the cpu runtime", () => {
  it("opens a model once for all who ask for the same weights", async () => {
    await using runtime = await openRuntime(cpu)
    const heard: Progress[] = []
    const onProgress = (progress: Progress) => void heard.push(progress)
    const [first] = await runtime.open({ ref: llama, onProgress })
    assert(heard.length > 0)
    assert(heard.every(({ stage, model }) => stage === "load" && model === llama.model))
    assertEquals(heard.at(-1)!.loaded, heard.at(-1)!.total!)
    const after = heard.length
    const others = await Promise.all([
      runtime.open({ ref: llama, onProgress }),
      runtime.open({ ref: { ...llama, weights: "f32" }, onProgress }),
      runtime.open({ ref: { model: `${llama.model}/` }, onProgress, beside: true }),
    ])
    for (const [other] of others) assert(other.engine === first.engine)
    assertEquals(heard.length, after)
  })

  it("opens a model once for two who ask at the same time", async () => {
    await using runtime = await openRuntime(cpu)
    const [[first], [second]] = await Promise.all([
      runtime.open({ ref: llama }),
      runtime.open({ ref: llama }),
    ])
    assert(first.engine === second.engine)
  })

  it("closes a model with the last scope that uses it, and opens it again when asked", async () => {
    await using runtime = await openRuntime(cpu)
    const [first, closeFirst] = await runtime.open({ ref: llama })
    const [, closeSecond] = await runtime.open({ ref: llama })
    await closeFirst()
    const before = await distribution(first)
    await closeSecond()
    const error = assertThrows(() => first.engine.openCache(), GenArmError)
    assertEquals(error.reason._tag, "Closed")
    const heard: Progress[] = []
    const [again] = await runtime.open({ ref: llama, onProgress: (p) => heard.push(p) })
    assert(heard.length > 0)
    assert(again.engine !== first.engine)
    assertEquals(await distribution(again), before)
  })

  it("closes its models when it is closed itself", async () => {
    let model: OpenModel
    {
      await using runtime = await openRuntime(cpu)
      ;[model] = await runtime.open({ ref: llama })
    }
    assertThrows(() => model.engine.openCache(), GenArmError, "is closed")
  })

  it("opens different weights, precisions and thread counts as different engines", async () => {
    await using runtime = await openRuntime(cpu)
    const engines = new Set()
    const requests = [
      { ref: llama },
      { ref: { model: fixture("tinyllama") } },
      { ref: { ...llama, weights: "q8" } },
      { ref: { ...llama, weights: "q4" } },
      { ref: llama, threads: 1 },
    ] as const
    const rows: Float32Array[] = []
    for (const request of requests) {
      const [model] = await runtime.open(request)
      engines.add(model.engine)
      rows.push(await distribution(model))
    }
    assertEquals(engines.size, requests.length)
    for (const other of rows.slice(1, 4)) assertNotEquals(other, rows[0])
    assert(largestDifference(rows[4], rows[0]) < 1e-5)
  })

  it("runs a model beside another in a worker, with the same numbers", async () => {
    await using runtime = await openRuntime(cpu)
    const [here, closeHere] = await runtime.open({ ref: llama })
    const expected = await distribution(here)
    await closeHere()
    const [beside] = await runtime.open({ ref: llama, beside: true })
    assertEquals(beside.engine.constructor.name, "WorkerEngine")
    assert(largestDifference(await distribution(beside), expected) < 1e-5)
  })

  it("knows the ids that end a text from all files that name them", async () => {
    await using runtime = await openRuntime(cpu)
    const [qwen] = await runtime.open({ ref: { model: fixture("qwen2") } })
    const { eos_token_id } = JSON.parse(
      readFileSync(join(fixture("qwen2"), "generation_config.json"), "utf8"),
    )
    const byName = qwen.tokenizer.eos!
    assertEquals(new Set(qwen.eos), new Set([...[eos_token_id].flat(), byName]))
    using folder = altered("llama", {
      "generation_config.json": { json: { eos_token_id: [7, 9, 4000, -1, "x"] } },
      "tokenizer_config.json": { json: { eos_token: null } },
    })
    const [odd] = await runtime.open({ ref: { model: folder.path } })
    assertEquals([...odd.eos], [7, 9])
  })

  it("refuses a tokenizer with more ids than the model, in this thread and in a worker", async () => {
    await using runtime = await openRuntime(cpu)
    using folder = altered("llama", {
      "tokenizer.json": readFileSync(join(fixture("extra_token"), "tokenizer.json")),
    })
    for (const beside of [false, true]) {
      const open = () => runtime.open({ ref: { model: folder.path }, beside })
      const error = await assertRejects(open, GenArmError, "names 301 ids, and the model has 300")
      assertEquals(error.reason, {
        _tag: "InvalidModelFile",
        file: `${folder.path}/tokenizer.json`,
      })
    }
  })

  it("fails to open what cannot be opened, and goes on", async () => {
    await using runtime = await openRuntime(cpu)
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await assertRejects(
        () => runtime.open({ ref: { model: "./no/such/model" } }),
        GenArmError,
        "there is no folder",
      )
      assertEquals(error.reason, { _tag: "ModelNotFound", model: "./no/such/model" })
    }
    await runtime.open({ ref: llama })
  })

  it("opens one engine for a base and all adapters that a program runs on it", async () => {
    await using runtime = await openRuntime(cpu)
    const attention = adapterFixture("attention")
    const regex = adapterFixture("regex")
    const adapters = [attention, `${regex}/`]
    const [plain] = await runtime.open({ ref: llama, adapters })
    const [first] = await runtime.open({ ref: { ...llama, adapter: attention }, adapters })
    const [second] = await runtime.open({
      ref: { ...llama, adapter: `${regex}/` },
      adapters: [...adapters].reverse(),
    })
    assert(first.engine === plain.engine && second.engine === plain.engine)
    assertEquals([plain.adapter, first.adapter, second.adapter], [undefined, attention, regex])
    assertEquals(plain.engine.adapters, [attention, regex])

    const [alone] = await runtime.open({ ref: llama })
    const [one] = await runtime.open({ ref: { ...llama, adapter: attention } })
    assertEquals(new Set([alone.engine, one.engine, plain.engine]).size, 3)
    assertEquals([alone.engine.adapters, one.engine.adapters], [[], [attention]])
    assertEquals(await distribution(plain), await distribution(alone))
    assert(largestDifference(await distribution(first), await distribution(one)) < 1e-5)
    assert(largestDifference(await distribution(first), await distribution(plain)) > 0.1)
    assert(largestDifference(await distribution(first), await distribution(second)) > 0.1)
  })

  it("refuses what is no adapter of the model, as a failure that a program can catch", async () => {
    const failure = (adapter: string, beside: boolean) => {
      const program = Effect.gen(function* () {
        const runtime = yield* Runtime
        return yield* Effect.flip(runtime.open({ ref: { ...llama, adapter }, beside }))
      })
      return Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(cpu)))
    }
    const foreign = adapterFixture("last_layer")
    for (const beside of [false, true]) {
      assertEquals((await failure("./adapter", beside)).reason, {
        _tag: "ModelNotFound",
        model: "./adapter",
      })
      const error = await failure(foreign, beside)
      assertEquals(error.reason, { _tag: "UnsupportedModel", model: foreign })
      assert(error.message.includes(`cannot run on ${llama.model}`), error.message)
    }
  })

  it("stops opening when told to, and opens the model afterwards", async () => {
    const graph = defineGraph({ base: llama })
    const stop = new AbortController()
    const opening = () =>
      openPipeline(graph, {
        signal: stop.signal,
        onProgress: () => stop.abort(new Error("changed my mind")),
      })
    const error = await assertRejects(opening, GenArmError, "changed my mind")
    assertEquals(error.reason._tag, "Aborted")
    await using pipeline = await openPipeline(graph, { onProgress: () => {} })
    assertEquals((await pipeline.generate([1, 5], { maxTokens: 3, seed: 1 })).ids.length, 3)
  })

  it("shares models between pipelines, and keeps them for the one that is left", async () => {
    const graph = defineGraph({ base: llama })
    let loads = 0
    const onProgress = () => void loads++
    const first = await openPipeline(graph, { onProgress })
    const once = loads
    await using second = await openPipeline(graph, { onProgress })
    assertEquals(loads, once)
    await first.close()
    await second.generate([1], { maxTokens: 2, seed: 1 })
  })
})

describe("the runtime", () => {
  it("cuda runs as the CPU does, or says what is to be installed", async () => {
    await using runtime = await openRuntime(cuda)
    let model: OpenModel
    try {
      ;[model] = await runtime.open({ ref: llama })
    } catch (error) {
      assert(error instanceof GenArmError, String(error))
      assertEquals(error.reason, { _tag: "RuntimeUnavailable", runtime: "cuda" })
      for (const part of ["NVIDIA", "cuDNN", "npm rebuild onnxruntime-node", 'runtime: "cpu"']) {
        assert(error.message.includes(part), error.message)
      }
      return
    }
    await using other = await openRuntime(cpu)
    const [expected] = await other.open({ ref: llama })
    assert(largestDifference(await distribution(model), await distribution(expected)) < 1e-3)
  })

  it("of an unknown device is refused", async () => {
    const graph = defineGraph({ base: llama })
    for (const runtime of ["tpu", "", "toString", 5, null, {}]) {
      const open = () => openPipeline(graph, { runtime: runtime as "cpu" })
      const error = await assertRejects(open, GenArmError, 'expected the runtime "cpu", "webgpu"')
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["runtime"] })
    }
  })
})
