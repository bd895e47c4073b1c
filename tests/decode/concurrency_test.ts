import { assert, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  defineGraph,
  defineReward,
  GenArmError,
  type Generation,
  greedy,
  openPipeline,
  prompted,
  type RewardTerm,
  sampling,
} from "genarm"
import { describe, it } from "node:test"
import { letters, open, openTrained, take, trained, watch, withTrained } from "./_pipelines.ts"

/** A rule that makes what comes next depend on all that came before. */
const winding = (salt: number) => (ids: readonly number[]) => {
  const sum = ids.reduce((sum, id, at) => sum + (at + 1) * (id + salt), 0)
  return letters.map((_, id) => 1 + (sum + 3 * id) % 7)
}

const models = () => watch({ base: { next: winding(1) }, good: { next: winding(4) } })
const rewards = { good: { reward: arm({ model: "good" }), weight: 0.8 } }

describe("calls that overlap", () => {
  it("give what separate calls give, in whatever order they are asked and pulled", async () => {
    const tables = models()
    await using pipeline = await open(tables, { rewards })
    const requests = Array.from({ length: 12 }, (_, i) => ({
      prompt: letters.slice(0, 1 + i % 5).join(""),
      options: { seed: i, maxTokens: 5 + i },
    }))
    const alone: Generation[] = []
    for (const { prompt, options } of requests) alone.push(await pipeline.generate(prompt, options))
    const together = await Promise.all(
      requests.map(({ prompt, options }) => pipeline.generate(prompt, options)),
    )
    assertEquals(together, alone)

    const iterators = requests.map(({ prompt, options }) =>
      pipeline.stream(prompt, options)[Symbol.asyncIterator]()
    )
    const found: number[][] = requests.map(() => [])
    const running = new Set(iterators.keys())
    while (running.size > 0) {
      for (const i of running) {
        const { done, value } = await iterators[i].next()
        if (done) running.delete(i)
        else found[i].push(value.id)
      }
    }
    assertEquals(found, alone.map(({ ids }) => ids))
    assertEquals(tables.openCaches(), 0)
  })

  it("may score and generate at once", async () => {
    await using pipeline = await open(models(), { rewards })
    const generation = await pipeline.generate("abc", { seed: 1, maxTokens: 20 })
    const score = await pipeline.score("abc", generation.ids)
    assertEquals(
      await Promise.all([
        pipeline.score("abc", generation.ids),
        pipeline.generate("abc", { seed: 1, maxTokens: 20 }),
      ]),
      [score, generation],
    )
  })

  it("that fail take no other with them", async () => {
    const touchy = defineReward({
      name: "touchy",
      open: (_, { promptIds }) => ({
        score(_, out) {
          if (promptIds.length === 2) throw new Error("two letters are too many")
          out.fill(0)
        },
      }),
    })
    const tables = models()
    await using pipeline = await open(tables, { rewards: { x: { reward: touchy(), weight: 1 } } })
    const alone = await pipeline.generate("abc", { seed: 1, maxTokens: 9 })
    const [failed, kept] = await Promise.allSettled([
      pipeline.generate("ab", { seed: 1, maxTokens: 9 }),
      pipeline.generate("abc", { seed: 1, maxTokens: 9 }),
    ])
    assert(failed.status === "rejected" && kept.status === "fulfilled")
    assertEquals(kept.value, alone)
    assertEquals(tables.openCaches(), 0)
  })

  it("keep the states of rewards apart", async () => {
    const counting = defineReward({
      name: "counting",
      open: () => {
        let accepted = 0
        return { score: (_, out) => out.fill(accepted), accept: () => void accepted++ }
      },
    })
    await using pipeline = await open(models(), {
      rewards: { x: { reward: counting(), weight: 1 }, y: { reward: counting(), weight: 1 } },
    })
    const texts = await pipeline.generateAll(["a", "b"], { n: 2, seed: 1, maxTokens: 4 })
    for (const { tokens } of texts) {
      assertEquals(tokens.map((token) => token.rewards), [0, 1, 2, 3].map((n) => ({ x: n, y: n })))
    }
  })
})

describe("generateAll", () => {
  it("gives n texts a prompt, prompt by prompt, with the seeds that follow each other", async () => {
    await using pipeline = await open(models(), { rewards })
    const texts = await pipeline.generateAll(["a", "bc", [3]], { n: 3, seed: 100, maxTokens: 8 })
    assertEquals(texts.map(({ seed }) => seed), [100, 101, 102, 103, 104, 105, 106, 107, 108])
    for (const [i, text] of texts.entries()) {
      const prompt = ["a", "bc", [3]][Math.floor(i / 3)]
      assertEquals(text, await pipeline.generate(prompt, { seed: 100 + i, maxTokens: 8 }))
    }
    assertEquals(new Set(texts.map(({ text }) => text)).size, 9)
  })

  it("goes on at 0 after the last seed", async () => {
    await using pipeline = await open(models())
    const texts = await pipeline.generateAll(["a"], { n: 2, seed: 2 ** 32 - 1, maxTokens: 8 })
    assertEquals(texts.map(({ seed }) => seed), [2 ** 32 - 1, 0])
  })

  it("draws a seed where there is none, and tells it", async () => {
    await using pipeline = await open(models())
    const [a, b] = await pipeline.generateAll(["a"], { n: 2, maxTokens: 8 })
    assertEquals(b.seed, (a.seed + 1) % 2 ** 32)
    assertEquals(await pipeline.generate("a", { seed: b.seed, maxTokens: 8 }), b)
  })

  it("writes more texts than run at once, of different lengths, in order", async () => {
    const tables = models()
    await using pipeline = await open(tables, { sampler: greedy() })
    const prompts = Array.from({ length: 50 }, (_, i) => [i % 10, 3, i % 7])
    const texts = await pipeline.generateAll(prompts, { maxTokens: 6 })
    for (const i of [0, 17, 49]) {
      assertEquals(texts[i].ids, (await pipeline.generate(prompts[i], { maxTokens: 6 })).ids)
    }
    assertEquals(tables.openCaches(), 0)
  })

  it("of no prompts gives no texts", async () => {
    await using pipeline = await open(models())
    assertEquals(await pipeline.generateAll([]), [])
  })

  it("fails as a whole with the first error, and frees every cache", async () => {
    const tables = models()
    await using pipeline = await open(tables)
    const error = await assertRejects(
      () => pipeline.generateAll(["a", "b", [77], "c"], { n: 2, maxTokens: 50 }),
      GenArmError,
      "found 77",
    )
    assertEquals(error.reason, { _tag: "InvalidPrompt" })
    assertEquals(tables.openCaches(), 0)
  })

  it("refuses a text in place of a list of prompts", async () => {
    await using pipeline = await open(models())
    const error = await assertRejects(
      () => pipeline.generateAll("abc" as never),
      GenArmError,
      "list",
    )
    assertEquals(error.reason, { _tag: "InvalidPrompt" })
  })
})

describe("graphs over one model", () => {
  it("share what is open, and free it with the last of them", async () => {
    const tables = models()
    await using first = await open(tables, { rewards })
    await using second = await open(tables, { rewards: { a: rewards.good, b: rewards.good } })
    assertEquals(tables.opened, { base: 2, good: 2 })
    const stream = second.stream("a")
    await take(first.stream("a"), 2)
    const iterator = stream[Symbol.asyncIterator]()
    await iterator.next()
    // Both terms of the second graph, and its base, are two rows in all.
    assertEquals(tables.openCaches(), 2)
    await iterator.return!()
  })

  it("read the weights once", withTrained, async () => {
    const { folder } = trained
    let loads = 0
    const onProgress = () => void loads++
    const term: RewardTerm = { reward: prompted({ prefix: "Tom was sad. " }), weight: 1 }
    await using first = await openPipeline(defineGraph({ base: folder }), {
      threads: 1,
      onProgress,
    })
    assert(loads > 0)
    loads = 0
    const graph = defineGraph({ base: folder, rewards: { sad: term }, sampler: greedy() })
    await using second = await openPipeline(graph, { threads: 1, onProgress })
    assertEquals(loads, 0)
    assertEquals((await second.generate("Once", { maxTokens: 3 })).ids.length, 3)
    assertEquals((await first.generate("Once", { maxTokens: 3 })).ids.length, 3)
  })
})

describe("overlapping calls on a trained model", withTrained, () => {
  it("give what separate calls give", async () => {
    await using pipeline = await openTrained({
      rewards: { sad: { reward: prompted({ prefix: "Tom was sad. " }), weight: 0.7 } },
      sampler: sampling({ temperature: 0.8 }),
    })
    const prompts = ["Once", "One day, a", "Tom and Lily", ""]
    const alone: Generation[] = []
    for (const [i, prompt] of prompts.entries()) {
      alone.push(await pipeline.generate(prompt, { seed: 50 + i, maxTokens: 25 }))
    }
    const together = await pipeline.generateAll(prompts, { seed: 50, maxTokens: 25 })
    assertEquals(together.map(({ ids }) => ids), alone.map(({ ids }) => ids))
    together.forEach(({ tokens }, i) =>
      tokens.forEach(({ logprob, rewards }, at) => {
        const other = alone[i].tokens[at]
        assert(Math.abs(logprob.base - other.logprob.base) < 1e-5)
        assert(Math.abs(logprob.guided - other.logprob.guided) < 1e-5)
        assert(Math.abs(rewards.sad - other.rewards.sad) < 1e-5)
      })
    )
  })
})
