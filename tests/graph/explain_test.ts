import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert"
import {
  arm,
  contrast,
  GenArmError,
  type GraphSpec,
  linear,
  prompted,
  sampling,
  speculative,
} from "genarm"
import { env } from "@huggingface/transformers"
import { statSync } from "node:fs"
import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { crossTokenizer } from "../../plugins/rewards/cross_tokenizer.ts"
import { union } from "../../plugins/rewards/union.ts"
import { type ExplainOptions, explainWith } from "../../src/explain_graph.ts"
import { letters, open, watch } from "../decode/_pipelines.ts"
import { define, plugins } from "./_plugins.ts"

const explain = (spec: GraphSpec, options: ExplainOptions = { threads: 4 }) =>
  explainWith(plugins, define(spec), options)

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const llama = fixture("models/llama")

const full: GraphSpec = {
  base: { model: "base", template: "chat" },
  rewards: {
    kind: { reward: arm({ model: "kind", weights: "q8" }), weight: 1 },
    mood: {
      reward: contrast({ expert: { prefix: "Happy. " }, amateur: "base" }),
      weight: linear({ from: 0, to: 1, tokens: 9 }),
      template: "none",
    },
    either: {
      reward: union({
        of: [arm({ model: "kind", weights: "q8" }), prompted({ prefix: "Happy. ", adapter: "a" })],
      }),
      weight: -0.5,
    },
    hub: { reward: arm({ model: "hub:org/x", revision: "v1" }), weight: 2 },
  },
  sampler: sampling({ temperature: 0.8 }),
  strategy: speculative({ draft: { model: "small" } }),
}

describe("the explanation of a graph", () => {
  it("has every model once for its weights, and every row once for what it reads", async () => {
    const { engines } = await explain(full)
    assertEquals(
      engines.map(({ model, weights, rows }) => ({ model, weights, rows })),
      [
        {
          model: "base",
          weights: "f32",
          rows: [
            { template: "chat", readBy: ["base"], isInEveryStep: true },
            { template: "none", prefix: "Happy. ", readBy: ["mood.expert"], isInEveryStep: true },
            { template: "none", readBy: ["mood.amateur"], isInEveryStep: true },
            {
              adapter: "a",
              template: "chat",
              prefix: "Happy. ",
              readBy: ["either.1.model"],
              isInEveryStep: true,
            },
          ],
        },
        {
          model: "kind",
          weights: "q8",
          rows: [{
            template: "chat",
            readBy: ["kind.model", "either.0.model"],
            isInEveryStep: true,
          }],
        },
        {
          model: "hub:org/x",
          weights: "f32",
          rows: [{ template: "chat", readBy: ["hub.model"], isInEveryStep: true }],
        },
        {
          model: "small",
          weights: "f32",
          rows: [{ template: "chat", readBy: ["speculative.draft"], isInEveryStep: false }],
        },
      ] as never,
    )
  })

  it("tells terms, sampler and strategy, and which rows a term reads", async () => {
    const { formula, terms, sampler, strategy, rowsPerStep, runtime } = await explain(full)
    assertEquals(formula, String(define(full)))
    assertEquals(terms.map(({ name, weight, rows }) => [name, weight, rows]), [
      ["kind", "1.0", { model: "2.1" }],
      ["mood", "linear(from: 0, to: 1, tokens: 9)", { expert: "1.2", amateur: "1.3" }],
      ["either", "-0.5", { "0.model": "2.1", "1.model": "1.4" }],
      ["hub", "2.0", { model: "3.1" }],
    ])
    assertEquals(
      terms[2].reward,
      'union(of: [arm(model: "kind", weights: "q8"), prompted(prefix: "Happy. ", adapter: "a")])',
    )
    assertEquals(sampler, "sampling(temperature: 0.8)")
    assertEquals(strategy, 'speculative(draft: { model: "small" })')
    assertEquals([rowsPerStep, runtime], [6, "cpu"])
    const plain = await explain({ base: "b" })
    assertEquals([plain.strategy, plain.rowsPerStep], ["token after token", 1])
  })

  it("tells models that candidates are read with, whose cost nobody knows before", async () => {
    const reward = crossTokenizer({ of: contrast({ expert: llama, amateur: { prefix: "a" } }) })
    const explanation = await explain({
      base: llama,
      rewards: { x: { reward, weight: 1 }, y: { reward: arm({ model: llama }), weight: 1 } },
    })
    const { engines: [{ rows }], terms } = explanation
    assertEquals(rows.map(({ readBy, readsCandidates }) => [readBy.join(), readsCandidates]), [
      ["base,y.model", undefined],
      ["x.0.expert", true],
      ["x.0.amateur", true],
    ])
    assertEquals(terms[0].rows, { "0.expert": "1.2", "0.amateur": "1.3" })
    assertEquals(explanation.cost, undefined)
    assertStringIncludes(String(explanation), "with each candidate")
    assertStringIncludes(String(explanation), "one is run for each candidate")
  })

  it("tells the sizes and costs of models that are there, and of no others", async () => {
    const alone = await explain({ base: llama })
    assertEquals(alone.engines[0].fileBytes, statSync(`${llama}/model.safetensors`).size)
    assertEquals(alone.engines[0].cost, 1)
    assertEquals(alone.cost, 1)
    assert(alone.engines[0].parameters! > 1_000)
    const guided = await explain({
      base: llama,
      rewards: {
        a: { reward: prompted({ prefix: "a" }), weight: 1 },
        b: { reward: arm({ model: llama, weights: "q4" }), weight: 1 },
      },
    })
    assertEquals(guided.engines.length, 2)
    // A second row reads no weights of its own.
    assert(guided.engines[0].cost! > 1 && guided.engines[0].cost! < 1.5)
    assert(guided.cost! > guided.engines[0].cost!)
    const missing = await explain(full)
    assertEquals(missing.cost, undefined)
    assertEquals(missing.engines.map(({ folder, fileBytes, cost }) => [folder, fileBytes, cost]), [
      ...Array.from({ length: 4 }, () => [undefined, undefined, undefined]),
    ])
  })

  it("tells what is in the cache of the hub, and fetches nothing", async () => {
    const { cacheDir, fetch } = env
    const cache = await mkdtemp(join(tmpdir(), "hub-"))
    env.cacheDir = cache
    env.fetch = () => Promise.reject(new Error("asked the hub"))
    try {
      await cp(llama, join(cache, "org", "name"), { recursive: true })
      const { engines } = await explain({
        base: "hub:org/name",
        rewards: { x: { reward: arm({ model: "hub:org/other" }), weight: 1 } },
      })
      assertEquals(engines.map(({ folder }) => folder), [join(cache, "org", "name"), undefined])
      assertEquals(engines[0].fileBytes, statSync(`${llama}/model.safetensors`).size)
      assertEquals(engines[0].cost, 1)
    } finally {
      Object.assign(env, { cacheDir, fetch })
      await rm(cache, { recursive: true })
    }
  })

  it("divides the threads of the CPU, the first engine in the main thread", async () => {
    const { engines } = await explain(full, { threads: 6 })
    assertEquals(engines.map(({ runsIn }) => runsIn), [
      ...["main thread", "worker", "worker", "worker"],
    ] as never)
    assertEquals(engines.reduce((sum, { threads }) => sum + threads!, 0), 6)
    const gpu = await explain(full, { runtime: "cuda" })
    for (const { threads, runsIn } of gpu.engines) {
      assertEquals(threads, undefined)
      assertEquals(runsIn, "main thread")
    }
  })

  it("is right about the rows that are run", async () => {
    const spec: GraphSpec = {
      base: "base",
      rewards: {
        a: { reward: prompted({ prefix: "c" }), weight: 1 },
        b: { reward: contrast({ expert: "other", amateur: { prefix: "c" } }), weight: 1 },
        c: { reward: arm({ model: "other" }), weight: 1 },
      },
    }
    const { rowsPerStep, engines } = await explain(spec)
    const next = () => letters.map(() => 1)
    const tables = watch({ base: { next }, other: { next } })
    await using pipeline = await open(tables, spec)
    await pipeline.generate("ab", { maxTokens: 1 })
    assertEquals(
      Object.fromEntries(engines.map(({ model, rows }) => [model, rows.length])),
      tables.calls,
    )
    assertEquals(rowsPerStep, 3)
  })

  it("is a text", async () => {
    const text = String(await explain(full))
    assertStringIncludes(text, String(define(full)))
    for (const { name } of (await explain(full)).terms) assertStringIncludes(text, name)
    assertStringIncludes(text, "hub:org/x@v1")
    assertStringIncludes(text, 'after "Happy. ", as "chat", with a')
    assertStringIncludes(text, "mood.expert")
    assertStringIncludes(text, "6 rows, the cost is not known")
    assertStringIncludes(
      String(await explain({ base: llama })),
      "step      1 row, about 1.00 steps of the base alone",
    )
    // And plain data.
    const explanation = await explain(full)
    assertEquals(JSON.parse(JSON.stringify(explanation)), { ...explanation } as never)
  })

  it("takes a spec, and refuses what is none and options that are unknown", async () => {
    const { formula } = await explainWith(plugins, { base: "m" })
    assertEquals(formula, "base")
    const wrong = async (options: object, ...path: string[]) => {
      const error = await assertRejects(
        () => explainWith(plugins, { base: "m" }, options),
        GenArmError,
      )
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    await wrong({ threads: 0 }, "threads")
    await wrong({ runtime: "tpu" }, "runtime")
    await wrong({ thread: 1 }, "thread")
    await assertRejects(() => explainWith(plugins, {} as never), GenArmError, "base")
  })
})
