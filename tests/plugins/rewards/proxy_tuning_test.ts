import { assertEquals, assertThrows } from "@std/assert"
import { contrast, defineGraph, GenArmError, proxyTuning } from "genarm"
import { definition, type RewardDefinition } from "genarm/plugin"
import { describe, it } from "node:test"
import { always, open, watch } from "../../decode/_pipelines.ts"
import { scoresOf } from "./_rows.ts"

describe("proxyTuning", () => {
  const rows: Record<string, readonly number[]> = {
    tuned: [-1, -2, -Infinity, -Infinity, -0.5],
    untuned: [-3, -1, -2, -Infinity, -Infinity],
  }

  it("is what tuning changed, and bears what the untuned model alone rules out", () => {
    const reward = proxyTuning({ tuned: "a", untuned: "b" })
    const found = scoresOf(reward, 5, (name) => Float32Array.from(rows[name]))
    assertEquals(found, [2, -1, -Infinity, -Infinity, 999.5])
  })

  it("is the contrast of the two, by the names of its paper", async () => {
    const sides = [{ adapter: "chat", template: "Q: {prompt} A:" }, { model: "small" }] as const
    const proxy = proxyTuning({ tuned: sides[0], untuned: sides[1] })
    const plugin = proxy[definition] as RewardDefinition
    assertEquals(plugin.sources!(proxy.options), { tuned: sides[0], untuned: sides[1] })
    const models = watch({
      base: { vocabulary: ["a", "b", "c"], next: always(1, 2, 3) },
      large: { vocabulary: ["a", "b", "c"], next: always(5, 2, 3) },
      small: { vocabulary: ["a", "b", "c"], next: always(1, 7, 3) },
    })
    const rewards = {
      proxy: { reward: proxyTuning({ tuned: "large", untuned: "small" }), weight: 0.7 },
      contrast: { reward: contrast({ expert: "large", amateur: "small" }), weight: 0.7 },
    }
    await using pipeline = await open(models, { rewards })
    const { tokens } = await pipeline.generate("a", { maxTokens: 4, seed: 1 })
    for (const { rewards } of tokens) assertEquals(rewards.proxy, rewards.contrast)
    assertEquals(models.calls, { base: 4, large: 4, small: 4 })
  })

  it("names the model as it is to be held, and goes through data", () => {
    const side = { model: "chat", revision: "v2", weights: "q4" } as const
    const reward = proxyTuning({ tuned: side, untuned: "small" })
    const graph = defineGraph({ base: "base", rewards: { r: { reward, weight: 1 } } })
    assertEquals(JSON.parse(JSON.stringify(graph)).rewards.r.reward, {
      plugin: "proxyTuning",
      options: { tuned: side, untuned: "small" },
    })
    assertEquals(
      JSON.stringify(defineGraph(JSON.parse(JSON.stringify(graph)))),
      JSON.stringify(graph),
    )
  })

  it("refuses a side that is missing, or has what a side has not", () => {
    for (
      const [options, path] of [
        [{ tuned: "a" }, ["untuned"]],
        [{ tuned: "", untuned: "b" }, ["tuned"]],
        [{ tuned: "a", untuned: { models: "b" } }, ["untuned", "models"]],
      ] as const
    ) {
      const error = assertThrows(() => proxyTuning(options as never), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
  })
})
