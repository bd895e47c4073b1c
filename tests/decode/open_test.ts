import { assert, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  defineGraph,
  GenArmError,
  type GenArmReason,
  openPipeline,
  type Progress,
} from "genarm"
import { describe, it } from "node:test"
import { fixture } from "../_fixtures.ts"
import { always, watch } from "./_pipelines.ts"

const onProgress = () => {}
const models = () => watch({ base: { next: always(1, 1) }, good: { next: always(1, 1) } })
const graph = defineGraph({ base: "base" })

async function refuse(
  body: () => Promise<unknown>,
  reason: GenArmReason,
  ...parts: string[]
): Promise<void> {
  const error = await assertRejects(body, GenArmError)
  assertEquals(error.reason, reason)
  for (const part of parts) assert(error.message.includes(part), `${part} in: ${error.message}`)
}

describe("opening a pipeline", () => {
  it("takes a graph, or a spec that it checks first", async () => {
    const { runtime } = models()
    await using byGraph = await openPipeline(graph, { runtime, onProgress })
    assertEquals(byGraph.graph, graph)
    await using bySpec = await openPipeline({ base: "base" }, { runtime, onProgress })
    assertEquals(bySpec.graph, graph)
    await refuse(
      () => openPipeline({ base: "base", stopp: ["x"] } as never, { runtime, onProgress }),
      { _tag: "InvalidGraph", path: ["stopp"] },
    )
  })

  it("refuses options that are wrong or unknown", async () => {
    const wrong: readonly (readonly [object, string])[] = [
      [{ runtime: "gpu" }, "runtime"],
      [{ runtime: "constructor" }, "runtime"],
      [{ runtime: {} }, "runtime"],
      [{ threads: 0 }, "threads"],
      [{ threads: 1.5 }, "threads"],
      [{ device: "cpu" }, "device"],
    ]
    for (const [options, key] of wrong) {
      await refuse(
        () => openPipeline(graph, { onProgress, ...options } as never),
        { _tag: "InvalidOption", path: [key] },
        key,
      )
    }
  })

  it("opens each model once, and tells which it does not have", async () => {
    const tables = models()
    const rewards = {
      a: { reward: arm({ model: "good" }), weight: 1 },
      b: { reward: arm({ model: "good" }), weight: 2 },
    }
    await using _ = await openPipeline({ base: "base", rewards }, {
      runtime: tables.runtime,
      onProgress,
    })
    assertEquals(tables.opened, { base: 1, good: 1 })
    const lost = { ...rewards, c: { reward: arm({ model: "lost" }), weight: 1 } }
    await refuse(
      () => openPipeline({ base: "base", rewards: lost }, { runtime: tables.runtime, onProgress }),
      { _tag: "ModelNotFound", model: "lost" },
      '"lost"',
      "base, good",
    )
  })

  it("names both ways to name a model, where a folder is not there", async () => {
    await refuse(
      () => openPipeline({ base: "no/such-model" }, { onProgress }),
      { _tag: "ModelNotFound", model: "no/such-model" },
      '"./no/such-model"',
      '"hub:no/such-model"',
    )
  })

  it("tells how it goes, to those who listen", async () => {
    const heard: Progress[] = []
    await using pipeline = await openPipeline({ base: fixture("llama") }, {
      threads: 1,
      onProgress: (progress) => heard.push(progress),
    })
    assert(heard.some(({ stage }) => stage === "load"))
    assertEquals((await pipeline.generate("The river", { maxTokens: 2 })).ids.length, 2)
  })

  it("in several pipelines at once is as good as one by one", async () => {
    const folder = fixture("llama")
    const reward = arm({ model: fixture("llama3") })
    const open = (weight: number) =>
      openPipeline({ base: folder, rewards: { x: { reward, weight } } }, { threads: 2, onProgress })
    const pipelines = await Promise.all([open(0), open(1), open(2)])
    const options = { maxTokens: 6, seed: 1 }
    const texts = await Promise.all(pipelines.map((pipeline) => pipeline.generate("a", options)))
    await Promise.all(pipelines.map((pipeline) => pipeline.close()))
    for (const [weight, text] of texts.entries()) {
      await using alone = await open(weight)
      assertEquals((await alone.generate("a", options)).ids, text.ids)
    }
  })
})
