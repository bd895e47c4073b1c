import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { Effect, Schema } from "effect"
import { arm, defineGraph, GenArmError } from "genarm"
import { defineReward, defineSampler, defineSchedule, type SequenceInfo } from "genarm/plugin"
import { describe, it } from "node:test"
import { always, letters, open, script, take, watch } from "../decode/_pipelines.ts"

const uniform = () => letters.map(() => 1)

describe("a reward of one's own", () => {
  it("needs no registration, takes its options and fills in their defaults", async () => {
    const letter = defineReward({
      name: "letter",
      options: Schema.Struct({
        text: Schema.NonEmptyString,
        score: Schema.Finite.pipe(Schema.withDecodingDefaultKey(Effect.succeed(3))),
      }),
      open: ({ text, score }, sequence) => {
        const [id] = sequence.encode(text)
        return { score: (_, out) => void (out.fill(0)[id] = score) }
      },
    })
    await using pipeline = await open(watch({ base: { next: uniform } }), {
      rewards: {
        x: { reward: letter({ text: "d" }), weight: 1 },
        y: { reward: letter({ text: "f", score: -2 }), weight: 1 },
      },
    })
    assertEquals(pipeline.graph.rewards.x.reward.options, { text: "d", score: 3 })
    const options = { maxTokens: 1, trace: { top: 10 } }
    const { tokens: [{ top }] } = await pipeline.generate("a", options)
    assertEquals(top!.map(({ id }) => id), [3, 0, 1, 2, 4, 6, 7, 8, 9, 5])
    assertEquals(top![0].rewards, { x: 3, y: 0 })
    assertEquals(top![9].rewards, { x: 0, y: -2 })
  })

  it("learns what its sequence is, and what was chosen, one state a sequence", async () => {
    const heard: string[] = []
    let info: SequenceInfo | undefined
    const listening = defineReward({
      name: "listening",
      open: (_, sequence) => {
        info = sequence
        heard.push("open")
        return {
          score: (rows, out) => {
            assertEquals(rows, {})
            assertEquals(out.length, 10)
            heard.push("score")
            out.fill(0)
          },
          accept: (id) => heard.push(`accept ${id}`),
          close: () => heard.push("close"),
        }
      },
    })
    const models = watch({ base: { next: script([3, 4, 5], 3), bos: 9 } })
    await using pipeline = await open(models, {
      rewards: { x: { reward: listening(), weight: 1 } },
    })
    assertEquals(heard, [])
    await pipeline.generate("ab", { maxTokens: 3 })
    // The last token is not followed by a step.
    const steps = ["score", "accept 3", "score", "accept 4", "score", "accept 5"]
    assertEquals(heard.splice(0), ["open", ...steps, "close"])
    assertEquals(info!.vocabularySize, 10)
    assertEquals(info!.promptIds, [9, 0, 1])
    assertEquals([info!.token(2), info!.token(77)], ["c", undefined])
    assertEquals(info!.decode([0, 1, 2]), "abc")
    assertEquals(info!.encode("ca"), [2, 0])

    await take(pipeline.stream("ab"), 2)
    assertEquals(heard.splice(0), ["open", "score", "accept 3", "score", "accept 4", "close"])
    await pipeline.score("ab", [3, 4])
    assertEquals(heard.splice(0), ["open", "score", "accept 3", "score", "accept 4", "close"])
  })

  it("gets a row of natural-log probabilities for each of its sources", async () => {
    const chances = (base: number) => letters.map((_, id) => base + id)
    const both = defineReward({
      name: "both",
      options: Schema.Struct({ other: Schema.String }),
      sources: ({ other }) => ({ mine: {}, theirs: { model: other, template: "b{prompt}" } }),
      open: () => ({
        score: ({ mine, theirs }, out) => mine.forEach((p, id) => out[id] = 2 * p - theirs[id]),
      }),
    })
    const models = watch({
      base: { next: () => chances(1) },
      other: { next: (ids) => chances(ids.length) },
    })
    await using pipeline = await open(models, {
      rewards: { x: { reward: both({ other: "other" }), weight: 1 } },
    })
    const { tokens } = await pipeline.generate("a", { maxTokens: 20, seed: 1 })
    tokens.forEach(({ id, rewards }, at) => {
      const log = (base: number) => Math.log((base + id) / chances(base).reduce((a, b) => a + b))
      assertAlmostEquals(rewards.x, 2 * log(1) - log(at + 2), 1e-5)
    })
    assertEquals(models.calls, { base: 20, other: 20 })
  })

  it("scores only the ids that all its sources share with the base", async () => {
    const sizes: number[] = []
    const sized = defineReward({
      name: "sized",
      sources: () => ({ small: { model: "small" } }),
      open: (_, { vocabularySize }) => ({
        score: ({ small }, out) => {
          sizes.push(vocabularySize, small.length, out.length)
          out.fill(0)
        },
      }),
    })
    const models = watch({
      base: { next: uniform },
      small: { vocabulary: letters.slice(0, 5), next: always(1, 1, 1, 1, 1) },
    })
    await using pipeline = await open(models, { rewards: { x: { reward: sized(), weight: 1 } } })
    const { ids } = await pipeline.generate("a", { maxTokens: 100, seed: 1 })
    assertEquals(sizes.slice(0, 3), [5, 5, 5])
    assertEquals(new Set(ids), new Set([0, 1, 2, 3, 4]))
  })

  it("is told apart from others by its definition, not by its name", async () => {
    const flat = defineReward({ name: "arm", open: () => ({ score: (_, out) => out.fill(5) }) })
    await using pipeline = await open(watch({ base: { next: uniform } }), {
      rewards: {
        mine: { reward: flat(), weight: 1 },
        built: { reward: arm({ model: "base" }), weight: 1 },
      },
    })
    const { tokens: [{ rewards }] } = await pipeline.generate("a", { maxTokens: 1 })
    assertEquals(rewards.mine, 5)
    assertAlmostEquals(rewards.built, Math.log(0.1), 1e-6)
  })

  it("that takes no options refuses some", () => {
    const flat = defineReward({ name: "flat", open: () => ({ score: (_, out) => out.fill(0) }) })
    for (const options of [{ a: 1 }, "a", 7, null, []]) {
      const error = assertThrows(() => flat(options as never), GenArmError)
      assertEquals(error.reason._tag, "InvalidOption")
    }
    assertEquals(flat({}), flat())
  })
})

describe("a schedule of one's own", () => {
  it("is asked once a token, with the position and the limit, one state a sequence", async () => {
    const asked: unknown[] = []
    const own = defineSchedule({
      name: "own",
      options: Schema.Struct({ step: Schema.Finite }),
      open: ({ step }) => {
        let weight = 1
        return {
          weight: (at) => {
            asked.push({ position: at.position, maxTokens: at.maxTokens })
            return weight += step
          },
        }
      },
    })
    const models = watch({ base: { next: uniform } })
    await using pipeline = await open(models, {
      rewards: { x: { reward: arm({ model: "base" }), weight: own({ step: 0.5 }) } },
    })
    for (let round = 0; round < 2; round++) {
      const { tokens } = await pipeline.generate("a", { maxTokens: 3, stop: ["?"] })
      assertEquals(tokens.map(({ weights }) => weights.x), [1.5, 2, 2.5])
      assertEquals(asked.splice(0), [0, 1, 2].map((position) => ({ position, maxTokens: 3 })))
    }
  })
})

describe("a sampler of one's own", () => {
  it("chooses among the guided scores, with the numbers of the seed", async () => {
    const own = defineSampler({
      name: "own",
      options: Schema.Struct({ rank: Schema.Int }),
      open: ({ rank }, { vocabularySize }) => ({
        sample: ({ scores, random }) => {
          assertEquals(scores.length, vocabularySize)
          drawn.push(random.nextUniform())
          const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a])
          return order[rank]
        },
        logProbability: (id) => -id,
      }),
    })
    const drawn: number[] = []
    const models = watch({ base: { next: () => letters.map((_, id) => 1 + id) } })
    await using pipeline = await open(models, { sampler: own({ rank: 2 }) })
    const { ids, tokens } = await pipeline.generate("a", { maxTokens: 3, seed: 5 })
    assertEquals(ids, [7, 7, 7])
    assertEquals(tokens[0].logprob.sampled, -7)
    assertAlmostEquals(tokens[0].logprob.guided, Math.log(8 / 55), 1e-6)
    const first = drawn.splice(0)
    assertEquals(new Set(first).size, 3)
    for (const number of first) assert(number >= 0 && number < 1)
    await pipeline.generate("a", { maxTokens: 3, seed: 5 })
    assertEquals(drawn, first)
  })
})

describe("plugins", () => {
  it("are nodes of plain data that carry their definition out of sight", () => {
    const flat = defineReward({ name: "flat", open: () => ({ score: (_, out) => out.fill(0) }) })
    const node = flat()
    assertEquals(Object.keys(node), ["plugin", "options"])
    assertEquals(JSON.stringify(node), '{"plugin":"flat","options":{}}')
    assert(Object.isFrozen(node) && Object.isFrozen(node.options))
    const graph = defineGraph({ base: "b", rewards: { x: { reward: node, weight: 1 } } })
    assertEquals(graph.rewards.x.reward, node)
  })
})
