import { assert, assertEquals, assertRejects } from "@std/assert"
import { arm, contrast, defineGraph, GenArmError, greedy, openPipeline } from "genarm"
import { after, describe, it } from "node:test"
import type { Engine } from "../../src/engine/engine.ts"
import { messageOf } from "../../src/errors.ts"
import { expected, fixture, largestDifference } from "../_fixtures.ts"
import { expectedValues, valueHead } from "../_value_heads.ts"
import { open } from "../engine/_engines.ts"
import { poisoned } from "../files/_altered.ts"
import { dequantizedFolder } from "../llama/_dequantized.ts"

const openOnGpu = (folder: string, precision: "f32" | "q4" = "f32") =>
  open(folder, { device: "webgpu", precision })

/** Why nothing can run here; `false` when a model did. */
const noAdapter: string | false = await (async () => {
  try {
    const engine = await openOnGpu(fixture("llama"))
    try {
      await engine.forward([{ cache: engine.openCache(), tokens: [1], want: "last" }])
    } finally {
      await engine.close()
    }
    return false
  } catch (error) {
    return `no usable WebGPU adapter: ${messageOf(error)}`
  }
})()

/** A prompt, a ragged call, and steps of two rows: all that came back. */
async function run(engine: Engine, ids: readonly number[]): Promise<Float32Array[]> {
  const [first, second] = [engine.openCache(), engine.openCache()]
  const results = await engine.forward([{ cache: first, tokens: ids.slice(0, 13), want: "all" }])
  const third = first.fork()
  third.truncate(10)
  results.push(
    ...await engine.forward([
      { cache: second, tokens: ids.slice(20, 25), want: "all" },
      { cache: third, tokens: ids.slice(30, 32), want: "last" },
    ]),
  )
  for (let step = 0; step < 3; step++) {
    results.push(
      ...await engine.forward([
        { cache: first, tokens: [ids[13 + step]], want: "last" },
        { cache: second, tokens: [ids[25 + step]], want: "last" },
      ]),
    )
  }
  for (const cache of [first, second, third]) cache.close()
  return results
}

async function agree(
  gpu: Promise<Engine>,
  cpu: Promise<Engine>,
  ids: readonly number[],
  tolerance: number,
): Promise<void> {
  const [engine, reference] = await Promise.all([gpu, cpu])
  try {
    const [found, wanted] = [await run(engine, ids), await run(reference, ids)]
    for (const [i, row] of found.entries()) {
      const worst = largestDifference(row, wanted[i])
      assert(worst < tolerance, `result ${i} is ${worst} off`)
    }
  } finally {
    await engine.close()
    await reference.close()
  }
}

describe("WebGPU", { skip: noAdapter }, () => {
  const folders: Disposable[] = []
  after(() => folders.forEach((folder) => folder[Symbol.dispose]()))

  // Measured on SwiftShader: 1.2e-5 at most.
  for (const name of ["llama", "qwen3", "mistral"]) {
    it(`gives ${name} the probabilities of the CPU`, () =>
      agree(openOnGpu(fixture(name)), open(fixture(name)), expected[name].ids, 1e-4))
  }

  it("gives a value head the values of the CPU", () => {
    const folder = fixture(valueHead("sentiment"))
    return agree(openOnGpu(folder), open(folder), expectedValues.sentiment.ids, 1e-4)
  })

  // Quantised weights are held against what they stand for, in float32: the CPU quantises
  // activations too, and so differs more from either. Measured on SwiftShader: 1.1e-5.
  it("gives weights of 4 bits the probabilities of what they stand for", () => {
    const reference = dequantizedFolder(fixture("llama"), 4)
    folders.push(reference)
    const gpu = openOnGpu(fixture("llama"), "q4")
    return agree(gpu, open(reference.path), expected.llama.ids, 1e-4)
  })

  it("writes the guided greedy text of the CPU", async () => {
    const graph = defineGraph({
      base: fixture("llama"),
      rewards: {
        other: { reward: arm({ model: fixture("tinyllama") }), weight: 0.7 },
        more: {
          reward: contrast({ expert: fixture("llama_bf16"), amateur: fixture("mistral") }),
          weight: 0.3,
        },
      },
      sampler: greedy(),
    })
    const write = async (runtime: "cpu" | "webgpu") => {
      await using pipeline = await openPipeline(graph, { runtime, onProgress: () => {} })
      return await pipeline.generate([1, 40, 80, 120], { maxTokens: 6 })
    }
    const [found, wanted] = [await write("webgpu"), await write("cpu")]
    assertEquals(found.ids, wanted.ids)
    assertEquals(found.text, wanted.text)
    for (const [i, { logprob, rewards }] of found.tokens.entries()) {
      const other = wanted.tokens[i]
      assert(Math.abs(logprob.guided - other.logprob.guided) < 1e-4)
      assert(Math.abs(rewards.other - other.rewards.other) < 1e-4)
    }
  })

  it("tells a row of NaN from its neighbour", async () => {
    const folder = poisoned("llama", 7)
    folders.push(folder)
    const engine = await openOnGpu(folder.path)
    try {
      const forward = (...tokens: number[]) =>
        engine.forward([{ cache: engine.openCache(), tokens, want: "last" }])
      const sound = forward(1, 2, 3)
      const error = await assertRejects(() => forward(1, 7, 3), GenArmError)
      assertEquals(error.reason._tag, "NonFiniteScores")
      assert((await sound)[0].every((x) => x <= 0))
    } finally {
      await engine.close()
    }
  })
})

describe("WebGPU without an adapter", {
  skip: noAdapter === false ? "there is a usable adapter" : false,
}, () => {
  it("is refused with what it needs", async () => {
    const error = await assertRejects(() => openOnGpu(fixture("llama")), GenArmError)
    assertEquals(error.reason, { _tag: "RuntimeUnavailable", runtime: "webgpu" })
    assert(error.message.includes("Vulkan"), error.message)
    assert(error.message.includes('runtime: "cpu"'), error.message)
  })
})
