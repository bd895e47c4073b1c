import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import { Effect, Layer } from "effect"
import {
  arm,
  contrast,
  defineGraph,
  GenArmError,
  type GraphSpec,
  greedy,
  logitBias,
  openPipeline,
  type Pipeline,
  type RewardTerm,
} from "genarm"
import { Runtime } from "genarm/effect"
import { describe, it } from "node:test"
import { TableEngine } from "../../src/runtime/table_runtime.ts"
import { fixture } from "../_fixtures.ts"
import { always, open, watch } from "./_pipelines.ts"

const folder = (base: string, rewards: GraphSpec["rewards"] = {}): Promise<Pipeline> =>
  openPipeline(defineGraph({ base: fixture(base), rewards, sampler: greedy() }), {
    threads: 1,
    onProgress: () => {},
  })

const by = (model: string, weight: number): RewardTerm => ({
  reward: arm({ model: fixture(model) }),
  weight,
})

/** What is told of every id that may come first. */
async function firstTokens(pipeline: Pipeline, weights: Record<string, number> = {}) {
  const options = { maxTokens: 1, trace: { top: 400 }, weights }
  const { tokens } = await pipeline.generate("The river", options)
  return new Map(tokens[0].top!.map((token) => [token.id, token]))
}

const favour = (id: number): RewardTerm => ({
  reward: logitBias({ bias: { [id]: 1_000 } }),
  weight: 1,
})

describe("a reward whose model has a token more than the base", () => {
  it("scores the shared ones by its own full row", async () => {
    await using pipeline = await folder("llama", { more: by("extra_token", 1) })
    await using alone = await folder("extra_token")
    const guided = await firstTokens(pipeline)
    const full = await firstTokens(alone)
    assertEquals([guided.size, full.size], [300, 301])
    assert(full.has(300))
    for (const [id, { rewards }] of guided) {
      assertAlmostEquals(rewards.more, full.get(id)!.logprob.base, 1e-5)
    }
    const total = [...guided.values()].reduce((sum, { rewards }) => sum + Math.exp(rewards.more), 0)
    assertAlmostEquals(total, 1 - Math.exp(full.get(300)!.logprob.base), 1e-5)
  })
})

describe("a reward whose model lacks a token of the base", () => {
  it("rules it out while its weight is not zero, of whatever sign", async () => {
    await using pipeline = await folder("extra_token", { less: by("llama", 1), push: favour(300) })
    for (const less of [1, -1, 1e-9]) {
      assertEquals((await firstTokens(pipeline, { less })).has(300), false)
      const { ids } = await pipeline.generate("The river", { maxTokens: 3, weights: { less } })
      assert(!ids.includes(300))
    }
  })

  it("leaves it to the base at weight zero, says that it has no score, and does not read it", async () => {
    await using pipeline = await folder("extra_token", { less: by("llama", 0), push: favour(300) })
    const tokens = await firstTokens(pipeline)
    assertEquals(tokens.get(300)!.rewards, { less: -Infinity, push: 1_000 })
    const { ids } = await pipeline.generate("The river", { maxTokens: 2 })
    assertEquals(ids, [300, 300])
    // The third token's reward is what it would be right after the prompt.
    const score = await pipeline.score("The river", [300, 300, 17, 300, 5])
    assertEquals(score.tokens.map(({ rewards }) => rewards.less === -Infinity), [
      true,
      true,
      false,
      true,
      false,
    ])
    await using alone = await folder("llama")
    const { tokens: read } = await alone.score("The river", [17, 5])
    assertAlmostEquals(score.tokens[2].rewards.less, read[0].logprob.base, 1e-5)
    assertAlmostEquals(score.tokens[4].rewards.less, read[1].logprob.base, 1e-5)
  })

  it("gives a text with it the score minus infinity while its weight is not zero", async () => {
    await using pipeline = await folder("extra_token", { less: by("llama", 0.5) })
    const { base, guided, rewards } = await pipeline.score("The river", [17, 300, 5])
    assert(Number.isFinite(base))
    assertEquals([guided, rewards.less], [-Infinity, -Infinity])
  })
})

describe("rows that no tokenizer names", () => {
  it("are never chosen, even where the model or a reward loves them", async () => {
    await using pipeline = await folder("padded_vocab", { push: favour(310) })
    const tokens = await firstTokens(pipeline)
    assertEquals(tokens.size, 300)
    assert([...tokens.keys()].every((id) => id < 300))
    const { ids } = await pipeline.generate("The river", { maxTokens: 5 })
    assert(ids.every((id) => id < 300))

    const models = watch({
      base: { vocabulary: ["a", "b"], padding: 3, next: always(0.01, 0.02, 0, 0.9, 0.07) },
    })
    await using table = await open(models)
    const { ids: drawn, tokens: events } = await table.generate("a", { maxTokens: 200, seed: 1 })
    assertEquals(new Set(drawn), new Set([0, 1]))
    // The base's own probability is of its full row; what is drawn is of what may be.
    for (const { id, logprob } of events) {
      assertAlmostEquals(Math.exp(logprob.base), [0.01, 0.02][id], 1e-6)
      assertAlmostEquals(Math.exp(logprob.sampled), [1 / 3, 2 / 3][id], 1e-6)
    }
  })

  it("of a reward's model do no harm", async () => {
    await using pipeline = await folder("llama", { padded: by("padded_vocab", 1) })
    const tokens = await firstTokens(pipeline)
    assertEquals(tokens.size, 300)
    await using alone = await folder("padded_vocab")
    const full = await firstTokens(alone)
    for (const [id, { rewards }] of tokens) {
      assertAlmostEquals(rewards.padded, full.get(id)!.logprob.base, 1e-5)
    }
  })
})

describe("tokenizers that disagree", () => {
  it("are refused with the id and both its names", async () => {
    const error = await assertRejects(
      () => folder("llama", { plain: by("llama_f16", 1), other: by("qwen2", 1) }),
      GenArmError,
    )
    assertEquals(error.reason, { _tag: "VocabularyMismatch", term: "other" })
    const found = /id (\d+) is ("[^ ]*") to the base and ("[^ ]*") to "other"/.exec(error.message)
    assert(found !== null, error.message)
    assert(found[2] !== found[3])
  })

  it("are refused where the smaller one is the beginning of the other, as the bytes of both are", async () => {
    const vocabulary = [..."abcdef"]
    const models = watch({
      base: { vocabulary, next: always(1, 1, 1, 1, 1, 1) },
      half: { vocabulary: vocabulary.slice(0, 3), next: always(1, 1, 1) },
      bytes: { vocabulary: vocabulary.slice(0, 2), next: always(1, 1) },
    })
    const rewards = (model: string): Record<string, RewardTerm> => ({
      mood: { reward: arm({ model }), weight: 1 },
    })
    const error = await assertRejects(
      () => open(models, { rewards: rewards("bytes") }),
      GenArmError,
      `"mood" knows 2 of the base's 6 tokens; a reward with another one guides through crossTokenizer`,
    )
    assertEquals(error.reason, { _tag: "VocabularyMismatch", term: "mood" })
    await using fine = await open(models, { rewards: rewards("half") })
    assertEquals((await fine.generate("a", { maxTokens: 3 })).ids.length, 3)
  })

  it("are refused at weight zero, and in any source of a reward", async () => {
    const models = watch({
      base: { vocabulary: ["a", "b"], next: always(1, 1) },
      same: { vocabulary: ["a", "b", "c"], next: always(1, 1, 1) },
      other: { vocabulary: ["a", "x"], next: always(1, 1) },
    })
    const rewards = (expert: string, amateur: string): Record<string, RewardTerm> => ({
      mood: { reward: contrast({ expert, amateur }), weight: 0 },
    })
    const error = await assertRejects(
      () => open(models, { rewards: rewards("same", "other") }),
      GenArmError,
      'id 1 is "b" to the base and "x" to "mood"',
    )
    assertEquals(error.reason, { _tag: "VocabularyMismatch", term: "mood" })
    await using fine = await open(models, { rewards: rewards("same", "base") })
    assertEquals((await fine.generate("a", { maxTokens: 3 })).ids.length, 3)
  })

  it("may have a hole each: only what both name can be chosen", async () => {
    // ids:            0    1          2          3
    const names = { base: ["a", "b", undefined, "d"], other: ["a", undefined, "c", "d"] }
    const runtime = Layer.succeed(
      Runtime,
      Runtime.of({
        name: "holes",
        open: ({ ref: { model } }) => {
          const own = names[model as keyof typeof names]
          const text = (ids: readonly number[]) => ids.map((id) => own[id] ?? "").join("")
          return Effect.succeed({
            engine: new TableEngine(model, {
              vocabulary: ["", "", "", ""],
              next: always(0.1, 0.4, 0.3, 0.2),
            }),
            tokenizer: {
              size: 4,
              eos: undefined,
              token: (id) => own[id],
              encode: () => [0],
              encodeContinuation: () => [0],
              encodeChat: () => [0],
              decode: text,
            },
            eos: [],
          })
        },
      }),
    )
    await using pipeline = await open({ runtime }, {
      rewards: { x: { reward: arm({ model: "other" }), weight: 1 } },
    })
    const drawn = async (weight: number) => {
      const options = { maxTokens: 100, seed: 1, weights: { x: weight } }
      return await pipeline.generate("a", options)
    }
    assertEquals(new Set((await drawn(1)).ids), new Set([0, 3]))
    assertEquals(new Set((await drawn(-0.5)).ids), new Set([0, 3]))
    const free = await drawn(0)
    assertEquals(new Set(free.ids), new Set([0, 1, 3]))
    const second = free.tokens.find(({ id }) => id === 1)!
    assertEquals(second.rewards.x, -Infinity)
  })
})
