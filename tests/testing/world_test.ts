import { assert, assertEquals } from "@std/assert"
import { arm, defineGraph, openPipeline } from "genarm"
import { defineReward } from "genarm/plugin"
import { describe, it } from "node:test"
import { madeUpRow, makeWorld, worldSize } from "../../src/testing/world.ts"

const graph = defineGraph({
  base: "any",
  rewards: {
    other: { reward: arm({ model: "./some/other" }), weight: 0.5 },
    adapted: { reward: arm({ adapter: "./low-rank" }), weight: 1 },
  },
})

describe("the made-up world", () => {
  it("opens any model, with or without an adapter, and closes what it opened", async () => {
    const world = makeWorld()
    const pipeline = await openPipeline(graph, { runtime: world.runtime, onProgress: () => {} })
    const stream = pipeline.stream("a", { maxTokens: 5, seed: 3 })[Symbol.asyncIterator]()
    await stream.next()
    assertEquals(world.openCaches(), 3)
    await stream.return!()
    await pipeline.close()
    assertEquals(world.openCaches(), 0)
    assertEquals([...world.opened].sort(), ["./some/other", "any", "any+./low-rank"])
  })

  it("writes the same text by the same seed, and gives each model a distribution of its own", async () => {
    const write = async () => {
      await using pipeline = await openPipeline(graph, {
        runtime: makeWorld().runtime,
        onProgress: () => {},
      })
      return await pipeline.generate("a", { maxTokens: 8, seed: 1 })
    }
    const [one, two] = [await write(), await write()]
    assertEquals(one, two)
    const [{ logprob, rewards }] = one.tokens
    assertEquals(new Set([logprob.base, rewards.other, rewards.adapted]).size, 3)
  })

  it("reads every text, and names each id once", () => {
    const { tokenizer } = makeWorld()
    const names = Array.from({ length: tokenizer.size }, (_, id) => tokenizer.token(id))
    assertEquals(new Set(names).size, names.length)
    for (const text of ["a good day, 42!", '{"name": "ü好"}', "naïve\n\tcafé 😀"]) {
      assertEquals(tokenizer.decode(tokenizer.encodeContinuation(text)), text)
    }
    assertEquals(tokenizer.token(worldSize - 1), undefined)
  })

  it("makes value heads and models that read bytes, by their names", async () => {
    const { runtime, base } = makeWorld()
    const seen: { width: number; text: string }[] = []
    const look = defineReward({
      name: "look",
      models: () => ({ values: { model: "values:good,bad" }, bytes: { model: "bytes:any" } }),
      open(_, __, models) {
        for (const { width, decode, promptIds } of Object.values(models)) {
          seen.push({ width, text: decode(promptIds) })
        }
        return { score: (_, out) => out.fill(0) }
      },
    })
    const graph = defineGraph({ base, rewards: { look: { reward: look(), weight: 1 } } })
    await using pipeline = await openPipeline(graph, { runtime, onProgress: () => {} })
    await pipeline.generate("好", { maxTokens: 1, seed: 1 })
    assertEquals(seen, [{ width: 2, text: "好" }, { width: 258, text: "好" }])
  })

  it("draws rows that sum to 1, one for each seed", () => {
    const row = madeUpRow(5, worldSize)
    const sum = row.reduce((sum, value) => sum + Math.exp(value), 0)
    assert(Math.abs(sum - 1) < 1e-5, `${sum}`)
    assertEquals(madeUpRow(5, worldSize), row)
    assert(madeUpRow(6, worldSize).some((value, id) => value !== row[id]))
  })
})
