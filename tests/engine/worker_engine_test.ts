import { assert, assertEquals, assertRejects } from "@std/assert"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { openWorkerEngine } from "../../src/engine/worker_engine.ts"
import { GenArmError, type GenArmReason } from "../../src/errors.ts"
import { fixture } from "../_fixtures.ts"
import { runScript } from "./_subprocess.ts"
import { altered, type Change } from "../files/_altered.ts"
import type { DyingSpec } from "./_dying_worker.ts"
import { noTrained, openBeside, specOf, trained } from "./_engines.ts"
import type { ProbedSpec } from "./_probed_worker.ts"

describe("an engine in a worker", () => {
  const faults: readonly (readonly [
    what: string,
    files: Record<string, Change>,
    tag: GenArmReason["_tag"],
    part: string,
  ])[] = [
    ["a broken config.json", { "config.json": "{" }, "InvalidModelFile", "is not JSON"],
    ["truncated weights", { "model.safetensors": "x" }, "InvalidModelFile", "too short"],
    [
      "another architecture",
      { "config.json": { json: { model_type: "gpt2" } } },
      "UnsupportedModel",
      "gpt2",
    ],
    ["no weights", { "model.safetensors": null }, "ModelNotFound", "expected model.safetensors"],
    [
      "a broken export",
      { "model.safetensors": null, "onnx/model.onnx": "x" },
      "EngineFailed",
      "could not open the model",
    ],
  ]
  for (const [what, files, tag, part] of faults) {
    it(`fails to open a folder with ${what} as one here does`, async () => {
      using folder = altered("llama", files)
      const error = await assertRejects(() => openBeside(folder.path), GenArmError, part)
      assertEquals(error.reason._tag, tag)
    })
  }

  it("fails to open a missing folder as one here does", async () => {
    const path = join(fixture("llama"), "none")
    const error = await assertRejects(() => openBeside(path), GenArmError, "is not a folder")
    assertEquals(error.reason, { _tag: "ModelNotFound", model: path })
  })

  it("fails to open when its module cannot be loaded", async () => {
    const module = new URL("./_no_such_worker.ts", import.meta.url)
    const open = () => openWorkerEngine(module, specOf(fixture("llama")))
    const error = await assertRejects(open, GenArmError, "the worker that ran tiny failed")
    assertEquals(error.reason, { _tag: "EngineFailed", engine: "tiny" })
  })

  it("tells how much of the weights has been read", async () => {
    const heard: [number, number][] = []
    const module = new URL("../../src/runtime/engine_worker.ts", import.meta.url)
    const engine = await openWorkerEngine(module, specOf(fixture("llama")), {
      onRead: (loaded, total) => heard.push([loaded, total]),
    })
    await engine.close()
    const [last, total] = heard.at(-1)!
    assertEquals(last, total)
    assert(heard.every(([loaded], i) => i === 0 || loaded >= heard[i - 1][0]))
  })

  it("is not opened for a call that was aborted, before or meanwhile", async () => {
    const module = new URL("../../src/runtime/engine_worker.ts", import.meta.url)
    const before = AbortSignal.abort(new Error("too late"))
    const spec = specOf(fixture("llama"))
    const early = () => openWorkerEngine(module, spec, { signal: before })
    assertEquals((await assertRejects(early, GenArmError, "too late")).reason._tag, "Aborted")
    const stop = new AbortController()
    const meanwhile = () =>
      openWorkerEngine(module, spec, {
        signal: stop.signal,
        onRead: () => stop.abort(new Error("enough")),
      })
    assertEquals((await assertRejects(meanwhile, GenArmError, "enough")).reason._tag, "Aborted")
  })

  it("frees there what is closed here", async () => {
    const held = new SharedArrayBuffer(8)
    const [atOpening, atForward] = [0, 1]
    const numbers = new Int32Array(held)
    const module = new URL("./_probed_worker.ts", import.meta.url)
    const spec: ProbedSpec = { ...specOf(fixture("llama")), held }
    const engine = await openWorkerEngine(module, spec)
    const fill = async (count: number) => {
      const cache = engine.openCache()
      const tokens = new Array(count).fill(1)
      await engine.forward([{ cache, tokens, want: "last" }])
      return cache
    }
    await fill(100)
    const second = await fill(10)
    assert(numbers[atOpening] > 1000, "the second was opened beside the buffers of the first")
    const fork = second.fork()
    for (const slots of [2, 3]) {
      await engine.forward([{ cache: fork, tokens: [1], want: "last" }])
      assertEquals(numbers[atForward], slots, "a fork takes a slot when it runs")
    }
    fork.close()
    second.close()
    const third = await fill(1)
    assertEquals(numbers[atForward], 1, "two caches fewer, and one that comes")
    third.close()
    await engine.close()

    const again = await openWorkerEngine(module, spec)
    const caches = [again.openCache(), again.openCache()]
    await again.forward([{ cache: caches[0], tokens: new Array(100).fill(1), want: "last" }])
    for (const cache of caches) cache.close()
    await again.forward([{ cache: again.openCache(), tokens: [1], want: "last" }])
    assertEquals(numbers[atOpening], 0, "bytes and caches held when all are closed")
    await again.close()
  })
})

describe("a worker that dies", () => {
  const module = new URL("./_dying_worker.ts", import.meta.url)
  const openDying = (end: DyingSpec["end"]) =>
    openWorkerEngine<DyingSpec>(module, { name: "doomed", end })

  for (
    const [end, part] of [
      ["exit in forward", "ended unasked, with code 3"],
      ["throw in forward", "failed: the worker broke"],
    ] as const
  ) {
    it(`by "${end}" fails the calls under way and all later ones`, async () => {
      const engine = await openDying(end)
      const row = () => ({ cache: engine.openCache(), tokens: [1], want: "last" as const })
      const kept = row()
      const fails = async (call: Promise<unknown>) => {
        const error = await assertRejects(() => call, GenArmError, part)
        assertEquals(error.reason, { _tag: "EngineFailed", engine: "doomed" })
      }
      await Promise.all([fails(engine.forward([row()])), fails(engine.forward([row(), kept]))])
      await fails(engine.forward([row()]))
      await fails(engine.forward([kept]))
      assertEquals(kept.cache.length, 0)
      kept.cache.close()
      await engine.close()
      const late = await assertRejects(() => engine.forward([]), GenArmError)
      assertEquals(late.reason._tag, "Closed")
    })
  }

  it("while it starts fails the opening", async () => {
    const error = await assertRejects(() => openDying("exit in start"), GenArmError, "with code 4")
    assertEquals(error.reason, { _tag: "EngineFailed", engine: "doomed" })
  })

  it("while it closes is closed", async () => {
    const engine = await openDying("exit in close")
    await engine.close()
    await engine.close()
  })
})

describe("a script", () => {
  const script = (name: string) => new URL(`./${name}.ts`, import.meta.url)

  it("ends by itself with engines left open", async () => {
    const { code, stdout, stderr } = await runScript(script("_leave_open"), [fixture("llama")])
    assertEquals([code, stdout.trim()], [0, "left open"], stderr)
  })

  it("may close an engine in a worker inside a native run", { skip: noTrained }, async () => {
    const { code, stdout, stderr } = await runScript(script("_close_busy"), [trained])
    assertEquals([code, stdout.trim()], [0, "closed"], stderr)
  })

  it("is found by its path", () => {
    for (const name of ["_leave_open", "_close_busy"]) assert(existsSync(script(name)))
  })
})
