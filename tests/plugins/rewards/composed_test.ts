import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  contrast,
  defineStrategy,
  GenArmError,
  type GraphSpec,
  greedy,
  prompted,
} from "genarm"
import { sampling, speculative } from "genarm"
import { defineReward, definition, type PluginNode, type RewardState } from "genarm/plugin"
import { describe, it } from "node:test"
import { intersection } from "../../../plugins/rewards/intersection.ts"
import { mask } from "../../../plugins/rewards/mask.ts"
import { scale } from "../../../plugins/rewards/scale.ts"
import { sum } from "../../../plugins/rewards/sum.ts"
import { union } from "../../../plugins/rewards/union.ts"
import { letters, open, watch } from "../../decode/_pipelines.ts"
import { define } from "../../graph/_plugins.ts"
import { randomRows, row } from "./_rows.ts"

const logits = (seed: number) => letters.map((_, id) => 1 + (id * seed) % 11)
const lengthwise = (seed: number) => (ids: readonly number[]) => logits(seed + ids.length)
const models = () => watch({ base: { next: lengthwise(1) }, other: { next: lengthwise(5) } })

/** A reward that likes the letter after the one that was written last, and tells what it hears. */
function following(heard: string[], name = "following") {
  const from = (last: number): RewardState => ({
    score: (_, out) => {
      out.fill(0)
      out[(last + 1) % out.length] = 2
    },
    accept: (id) => {
      heard.push(`${name} accept ${id}`)
      stack.push(last)
      last = id
    },
    fork: () => {
      heard.push(`${name} fork`)
      return from(last)
    },
    rewind: (count) => {
      heard.push(`${name} rewind ${count}`)
      last = stack.splice(-count)[0]
    },
    close: () => {
      heard.push(`${name} close`)
    },
  })
  const stack: number[] = []
  return defineReward({
    name,
    open: (_, { promptIds }) => {
      heard.push(`${name} open`)
      return from(promptIds[promptIds.length - 1])
    },
  })
}

const generate = async (spec: Partial<GraphSpec>, maxTokens = 12) => {
  const tables = models()
  await using pipeline = await open(tables, spec)
  const generation = await pipeline.generate("ab", { maxTokens, seed: 7 })
  return { ...generation, tables }
}

const term = (reward: PluginNode<"reward">, weight = 1) => ({ x: { reward, weight } })

describe("a reward made of rewards", () => {
  it("needs the model runs of its parts, equal ones once", async () => {
    const other = arm({ model: "other" })
    const happy = prompted({ prefix: "c" })
    const reward = union({
      of: [
        other,
        sum({ of: [happy, scale({ of: other, by: 0.5 })] }),
        intersection({ of: [happy] }),
      ],
    })
    const plugin = reward[definition] as unknown as { sources: (options: unknown) => object }
    assertEquals(plugin.sources(reward.options), {
      "0.model": { model: "other" },
      "1.0.model": { prefix: "c" },
      "1.1.0.model": { model: "other" },
      "2.0.model": { prefix: "c" },
    })
    const { tables } = await generate({
      rewards: { ...term(reward), y: { reward: other, weight: 1 } },
    }, 1)
    assertEquals(tables.calls, { base: 2, other: 1 })
    assertEquals(tables.opened, { base: 1, other: 1 })
  })

  it("reads for a mask the base's own row", async () => {
    const reward = mask({ of: arm({ model: "other" }), where: { top: 3 }, otherwise: "ban" })
    const { tables, tokens } = await generate({ rewards: term(reward), sampler: greedy() }, 1)
    assertEquals(tables.calls, { base: 1, other: 1 })
    const greatest = [...logits(3)].sort((a, b) => b - a)[2]
    assert(logits(3)[tokens[0].id] >= greatest)
  })

  it("is worth what its parts are worth as terms of their own", async () => {
    const [a, b] = [
      arm({ model: "other" }),
      contrast({ expert: { prefix: "c" }, amateur: "other" }),
    ]
    const together = await generate({
      rewards: term(sum({ of: [scale({ of: a, by: 0.5 }), scale({ of: b, by: -0.25 })] }), 2),
    })
    const apart = await generate({
      rewards: { a: { reward: a, weight: 1 }, b: { reward: b, weight: -0.5 } },
    })
    assertEquals(together.tokens.map(({ id }) => id), apart.tokens.map(({ id }) => id))
    together.tokens.forEach(({ logprob }, i) =>
      assertAlmostEquals(logprob.guided, apart.tokens[i].logprob.guided, 1e-5)
    )
  })

  it("guides as it does when all of it is named by data", async () => {
    const reward = union({
      of: [arm({ model: "other" }), scale({ of: prompted({ prefix: "c" }), by: 2 })],
    })
    const graph = define({ base: "base", rewards: term(reward) })
    const named = define(JSON.parse(JSON.stringify(graph)))
    const texts = await Promise.all([graph, named].map(async (spec) => (await generate(spec)).text))
    assertEquals(texts[0], texts[1])
  })

  it("passes on what it hears, and the parts' states go with the copies of a text", async () => {
    const heard: string[] = []
    const part = following(heard)
    const still = row(...randomRows(1, 1, letters.length, 0)[0])
    const twice = defineStrategy({
      name: "twice",
      async *run(_, sequence) {
        await sequence.step()
        const other = sequence.fork()
        await other.step()
        other.close()
        await sequence.step()
        sequence.rewind(1)
        while (sequence.ended === undefined) await sequence.step()
        yield sequence
      },
    })
    const spec = (reward: PluginNode<"reward">) => ({
      rewards: term(reward, 3),
      sampler: greedy(),
      strategy: twice(),
    })
    const { tokens } = await generate(spec(sum({ of: [still, part()] })), 3)
    const composed = heard.splice(0)
    const alone = await generate({
      ...spec(part()),
      rewards: { still: { reward: still, weight: 3 }, x: { reward: part(), weight: 3 } },
    }, 3)
    assertEquals(composed, heard)
    for (const what of ["open", "accept", "fork", "rewind", "close"]) {
      assert(composed.some((line) => line.includes(what)), `${what} in ${composed}`)
    }
    assertEquals(tokens.map(({ id }) => id), alone.tokens.map(({ id }) => id))
  })

  it("can be speculated on without another text", async () => {
    const reward = () =>
      union({
        of: [arm({ model: "other" }), sum({ of: [following([])(), arm({ model: "other" })] })],
      })
    const spec = { rewards: term(reward()), sampler: greedy() }
    const plain = await generate(spec, 20)
    const fast = await generate(
      { ...spec, strategy: speculative({ draft: { model: "other" } }) },
      20,
    )
    assertEquals(fast.text, plain.text)
  })

  it("cannot be moved where a part cannot, as if that stood alone", async () => {
    const counter = defineReward({
      name: "counter",
      open: () => ({ score: (_, out) => out.fill(0), accept: () => {} }),
    })
    const forks = defineStrategy({
      name: "forks",
      async *run(_, sequence) {
        sequence.fork().close()
        await sequence.step()
        yield sequence
      },
    })
    const rewinds = defineStrategy({
      name: "rewinds",
      async *run(_, sequence) {
        await sequence.step()
        sequence.rewind(1)
        yield sequence
      },
    })
    for (const [strategy, method] of [[forks(), "fork()"], [rewinds(), "rewind(count)"]] as const) {
      const reward = sum({ of: [following([])(), counter()] })
      const error = await assertRejects(
        () => generate({ rewards: term(reward), strategy }),
        GenArmError,
        method,
      )
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "sum" })
    }
  })

  it("names the part that fails, and closes those that are open", async () => {
    const heard: string[] = []
    const broken = (when: string) =>
      defineReward({
        name: `broken-${when}`,
        open: () => {
          if (when === "open") throw new Error("no luck")
          return {
            score: () => {
              if (when === "score") throw new Error("no luck")
            },
            close: () => {
              if (when === "close") throw new Error("no luck")
            },
          }
        },
      })()
    for (const when of ["open", "score", "close"]) {
      heard.length = 0
      const of = [following(heard, "first")(), broken(when), following(heard, "last")()]
      const error = await assertRejects(
        () => generate({ rewards: term(union({ of })) }, 2),
        GenArmError,
        `the plugin "broken-${when}" failed: no luck`,
      )
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: `broken-${when}` })
      const count = (line: string) => heard.filter((other) => other === line).length
      for (const name of ["first", "last"]) {
        assertEquals(count(`${name} close`), count(`${name} open`), `${when}: ${heard}`)
      }
    }
  })

  it("takes no part that scores candidates or texts, and says what to do with it", async () => {
    const states: Record<string, RewardState> = {
      candidates: { candidates: 3, scoreCandidates: ({ ids }) => ids.map(() => 0) },
      text: { scoreText: () => 0 },
    }
    for (const [name, state] of Object.entries(states)) {
      const heard: string[] = []
      const part = defineReward({ name, open: () => state })
      const error = await assertRejects(
        () => generate({ rewards: term(sum({ of: [following(heard)(), part()] })) }, 2),
        GenArmError,
        "make it a reward of its own",
      )
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: name })
      assertEquals(heard, ["following open", "following close"])
    }
  })

  it("with a part that gives no number fails as any reward does", async () => {
    const nan = defineReward({ name: "nan", open: () => ({ score: (_, out) => out.fill(NaN) }) })
    const reward = union({ of: [arm({ model: "other" }), nan()] })
    const error = await assertRejects(
      () => generate({ rewards: term(reward), sampler: sampling() }),
      GenArmError,
      "gave NaN",
    )
    assertEquals(error.reason, { _tag: "NonFiniteScores", term: "x" })
  })
})
