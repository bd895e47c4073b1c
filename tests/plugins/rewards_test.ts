import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  contrast,
  GenArmError,
  type GraphSpec,
  greedy,
  logitBias,
  type LogitBiasOptions,
  prompted,
  type RewardTerm,
} from "genarm"
import { describe, it } from "node:test"
import {
  always,
  letters,
  open,
  openTrained,
  watch,
  type Watched,
  withTrained,
} from "../decode/_pipelines.ts"

const row = (seed: number) => letters.map((_, id) => 1 + (id * seed) % 11)
const logs = (row: readonly number[]) => {
  const sum = row.reduce((a, b) => a + b)
  return row.map((value) => Math.log(value / sum))
}

/** A model whose distribution depends on how long the text is. */
const lengthwise = (seed: number) => (ids: readonly number[]) => row(seed + ids.length)
const models = () => watch({ base: { next: lengthwise(1) }, other: { next: lengthwise(5) } })

/** What a reward alone gives each id at the first token after "ab". */
async function scores(
  reward: RewardTerm["reward"],
  weight = 1,
  tables: Watched = models(),
  base: GraphSpec["base"] = "base",
): Promise<number[]> {
  await using pipeline = await open(tables, { base, rewards: { x: { reward, weight } } })
  const { tokens } = await pipeline.generate("ab", { maxTokens: 1, trace: { top: 10 } })
  const out: number[] = []
  for (const { id, rewards } of tokens[0].top!) out[id] = rewards.x
  return out
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assertEquals(actual.length, expected.length)
  expected.forEach((value, i) => assertAlmostEquals(actual[i], value, 1e-6))
}

describe("arm", () => {
  it("gives the log-probabilities of its model after the same ids", async () => {
    assertClose(await scores(arm({ model: "other" })), logs(row(7)))
  })

  it("may be the base itself, read once", async () => {
    const tables = models()
    assertClose(await scores(arm({ model: "base" }), 1, tables), logs(row(3)))
    assertEquals(tables.calls, { base: 1 })
    assertEquals(tables.refs, [{ model: "base" }])
  })

  it("holds its weights as asked, and as the base does where it is the base", async () => {
    const refs = async (reward: RewardTerm["reward"]) => {
      const tables = models()
      await scores(reward, 1, tables, { model: "base", weights: "q4", template: "a{prompt}" })
      return tables.refs.map(({ model, weights }) => `${model} ${weights}`)
    }
    assertEquals(await refs(arm({ model: "other" })), ["base q4", "other undefined"])
    assertEquals(await refs(arm({ model: "other", weights: "q8" })), ["base q4", "other q8"])
    assertEquals(await refs(arm({ model: "base" })), ["base q4"])
    assertEquals(await refs(arm({ model: "base", weights: "f32" })), ["base q4", "base f32"])
    assertEquals(await refs(prompted({ prefix: "c" })), ["base q4"])
  })
})

describe("prompted", () => {
  it("gives the log-probabilities of the base after its prefix", async () => {
    const tables = models()
    assertClose(await scores(prompted({ prefix: "cc" }), 1, tables), logs(row(5)))
    assertEquals(tables.refs, [{ model: "base" }])
  })

  it("gives those of another model after its prefix", async () => {
    assertClose(await scores(prompted({ prefix: "cc", model: "other" })), logs(row(9)))
  })

  it("pulls a trained model towards its prefix, and away from it", withTrained, async () => {
    const reward = prompted({ prefix: "There was a big dog. The dog was happy. " })
    await using pipeline = await openTrained({ rewards: { dog: { reward, weight: 0 } } })
    // The expected reward of the next token grows with the weight, by its variance.
    const expected: number[] = []
    for (const dog of [-1, -0.3, 0, 0.5, 1, 3]) {
      const options = { maxTokens: 1, trace: { top: 512 }, weights: { dog } }
      const { tokens } = await pipeline.generate("One day, a", options)
      expected.push(
        tokens[0].top!.reduce(
          (sum, { logprob, rewards }) => sum + Math.exp(logprob.guided) * rewards.dog,
          0,
        ),
      )
    }
    assertEquals(expected, [...expected].sort((a, b) => a - b))
    assert(expected[5] - expected[0] > 1)
  })
})

describe("contrast", () => {
  it("gives the log-probabilities of the expert minus those of the amateur", async () => {
    const expected = logs(row(7)).map((value, id) => value - logs(row(3))[id])
    assertClose(await scores(contrast({ expert: "other", amateur: "base" })), expected)
  })

  it("takes a prefix for each side, on the base where no model is named", async () => {
    const tables = models()
    const reward = contrast({ expert: { prefix: "ccc" }, amateur: { prefix: "c", model: "other" } })
    const expected = logs(row(6)).map((value, id) => value - logs(row(8))[id])
    assertClose(await scores(reward, 1, tables), expected)
    assertEquals(tables.refs, [{ model: "base" }, { model: "other" }])
  })

  it("is nothing between equal sides, which are read once", async () => {
    const tables = models()
    assertClose(
      await scores(contrast({ expert: "other", amateur: { model: "other" } }), 1, tables),
      letters.map(() => 0),
    )
    assertEquals(tables.calls, { base: 1, other: 1 })
  })

  it("rules out what the expert does, and bears what the amateur alone rules out", async () => {
    const tables = watch({
      base: { vocabulary: ["a", "b", "c", "d"], next: always(0.25, 0.25, 0.25, 0.25) },
      expert: { vocabulary: ["a", "b", "c", "d"], next: always(0, 0, 0.5, 0.5) },
      amateur: { vocabulary: ["a", "b", "c", "d"], next: always(0, 0.5, 0, 0.5) },
    })
    for (const weight of [1, -1, 0.001]) {
      await using pipeline = await open(tables, {
        rewards: { x: { reward: contrast({ expert: "expert", amateur: "amateur" }), weight } },
        sampler: greedy(),
      })
      const { tokens } = await pipeline.generate("a", { maxTokens: 2, trace: { top: 9 } })
      assertEquals(tokens.map(({ id }) => id), weight > 0 ? [2, 2] : [3, 3])
      const rewards = new Map(tokens[0].top!.map(({ id, rewards }) => [id, rewards.x]))
      assertEquals([...rewards.keys()].sort(), [2, 3])
      assertAlmostEquals(rewards.get(2)!, 1_000 + Math.log(0.5), 1e-3)
      assertAlmostEquals(rewards.get(3)!, 0, 1e-6)
    }
  })
})

describe("logitBias", () => {
  const flat = () => watch({ base: { next: always(...letters.map(() => 1)) } })
  const biased = (bias: LogitBiasOptions["bias"], weight = 1) =>
    scores(logitBias({ bias }), weight, flat())

  it("scores tokens by id and by text, all others with 0", async () => {
    assertEquals(await biased({ "2": 1.5, d: -2 }), [0, 0, 1.5, -2, 0, 0, 0, 0, 0, 0])
  })

  it("scores each token that a text is made of", async () => {
    assertEquals(await biased({ bed: 3 }), [0, 3, 0, 3, 3, 0, 0, 0, 0, 0])
  })

  it("bans what is to be banned, whatever the sign of the weight", async () => {
    for (const weight of [1, -2, 0.001]) {
      const found = await biased({ a: "ban", "9": "ban" }, weight)
      assertEquals(Object.keys(found), ["1", "2", "3", "4", "5", "6", "7", "8"])
    }
    assertEquals((await biased({ a: "ban" }, 0))[0], -Infinity)
  })

  it("is what it says in the guided distribution", async () => {
    await using pipeline = await open(flat(), {
      rewards: { x: { reward: logitBias({ bias: { b: Math.log(11) } }), weight: 1 } },
    })
    const { tokens } = await pipeline.generate("a", { maxTokens: 1, trace: { top: 1 } })
    assertEquals(tokens[0].top![0].id, 1)
    assertAlmostEquals(Math.exp(tokens[0].top![0].logprob.guided), 11 / 20, 1e-6)
  })

  it("refuses ids that the model does not have, and texts that it cannot write", async () => {
    const refuse = async (bias: LogitBiasOptions["bias"], part: string) => {
      const tables = flat()
      await using pipeline = await open(tables, {
        rewards: { x: { reward: logitBias({ bias }), weight: 1 } },
      })
      const error = await assertRejects(() => pipeline.generate("a"), GenArmError, part)
      assertEquals(tables.openCaches(), 0)
      return error.reason
    }
    const reason = await refuse({ "10": 1 }, "below 10, found 10")
    assertEquals(reason, { _tag: "InvalidOption", path: ["bias", "10"] })
    await refuse({ "?": 1 }, "?")
  })

  it("takes a text as it stands within a text, with its space", withTrained, async () => {
    await using pipeline = await openTrained({
      rewards: { x: { reward: logitBias({ bias: { " was": 100 } }), weight: 1 } },
      sampler: greedy(),
    })
    assertEquals((await pipeline.generate("One day, a", { maxTokens: 1 })).text, " was")
  })
})
