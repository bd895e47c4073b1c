import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { arm, defineReward, GenArmError, type GraphSpec, logitBias, type Pipeline } from "genarm"
import { describe, it } from "node:test"
import { TreeNode } from "../../../plugins/strategies/_rain_tree.ts"
import { weighed } from "../../../plugins/strategies/_token_sets.ts"
import { rain, type RainOptions } from "../../../plugins/strategies/rain.ts"
import { always, letters, open, type Table, watch } from "../../decode/_pipelines.ts"
import { markov } from "./_rules.ts"

const set = (id: number, chance: number) => ({ ids: [id], chance })

/** A root with children of these chances. */
function grown(...chances: number[]): TreeNode {
  const root = new TreeNode({ ids: [], chance: 1 })
  root.expand(chances.map((chance, id) => set(id, chance)))
  return root
}

describe("the tree", () => {
  it("has priors from chances, a quarter uniform below the root only", () => {
    // Shares 0.75 and 0.25: 0.75 * 0.75 + 0.125, and the rest.
    const root = grown(0.3, 0.1)
    root.children.forEach(({ prior }, i) => assertAlmostEquals(prior, [0.6875, 0.3125][i]))
    const [child] = root.children
    child.expand([set(0, 0.6), set(1, 0.2)])
    child.children.forEach(({ prior }, i) => assertAlmostEquals(prior, [0.75, 0.25][i]))
    assertEquals([root.depth, child.depth, child.children[0].depth], [0, 1, 2])
    child.becomeRoot()
    child.children.forEach(({ prior }, i) => assertAlmostEquals(prior, [0.6875, 0.3125][i]))
    assertEquals([child.parent, child.depth], [undefined, 1])
  })

  it("takes values into the means of all above", () => {
    const root = grown(0.5, 0.5)
    const [one, other] = root.children
    root.backUp(0.5)
    one.backUp(1)
    one.backUp(-0.5)
    other.backUp(-1)
    assertEquals([root.visits, one.visits, other.visits], [4, 2, 1])
    assertAlmostEquals(one.value, 0.25)
    assertAlmostEquals(other.value, -1)
    assertAlmostEquals(root.value, 0)
    assertEquals(root.favourite, one)
    other.backUp(1)
    // As often; 0.25 is better than 0.
    assertEquals(root.favourite, one)
    other.backUp(1)
    assertEquals(root.favourite, other)
  })

  it("selects by value and prior", () => {
    const root = grown(0.3, 0.1)
    const [one, other] = root.children
    root.backUp(0)
    assertEquals(root.select(2), one, "neither is known")
    one.backUp(-0.8)
    // 0.1 + 2 * 0.6875 * sqrt(2) / 2 = 1.072, and 2 * 0.3125 * sqrt(2) = 0.884.
    assertEquals(root.select(2), one)
    one.backUp(-0.8)
    // 0.1 + 2 * 0.6875 * sqrt(3) / 3 = 0.894, and 2 * 0.3125 * sqrt(3) = 1.083.
    assertEquals(root.select(2), other)
    other.backUp(0.8)
    // 0.1 + 2 * 0.6875 * 2 / 3 = 1.017, and 0.9 + 2 * 0.3125 * 2 / 2 = 1.525.
    assertEquals(root.select(2), other)
  })

  it("is poor where all have been tried and none is any good, and takes a child more", () => {
    const root = grown(0.3, 0.1)
    const [one, other] = root.children
    one.backUp(-0.1)
    assertEquals(root.isPoor, false)
    other.backUp(-0.2)
    assertEquals(root.isPoor, true)
    root.add(set(1, 0.5))
    assertEquals(root.children.length, 2, "it is there already")
    root.add(set(2, 0.1))
    assertAlmostEquals(root.children[2].prior, 0.75 * 0.2 + 0.25 / 3)
    assertEquals(root.isPoor, false)
  })

  it("weighs the likeliest path between bounds of the draws", () => {
    const of = (path: number, ...draws: number[]) =>
      weighed([path, ...draws].map((chance, id) => set(id, chance))).map(({ chance }) => chance)
    const near = (found: number[], expected: number[]) => {
      assertEquals(found.length, expected.length)
      found.forEach((chance, i) => assertAlmostEquals(chance, expected[i]))
    }
    near(of(0.5, 0.25, 0.125, 0.25), [0.5, 0.25, 0.125, 0.25])
    near(of(0.75, 0.25, 0.125), [0.375, 0.25, 0.125]) // no more than all draws
    near(of(0.25, 0.25, 0.125, 0.25), [0.375, 0.25, 0.125, 0.25]) // no less than two
    near(of(0.5), [0.5])
    // Draws that are the path, or another draw, are left out.
    assertEquals(weighed([set(0, 0.5), set(0, 0.5), set(1, 0.5), set(1, 0.5)]).length, 2)
  })
})

const coin: Record<string, Table> = { base: { vocabulary: ["h", "t"], next: always(1, 3) } }
const heads: Partial<GraphSpec> = {
  rewards: { heads: { reward: logitBias({ bias: { h: 1 } }), weight: 0 } },
}
const quick: RainOptions = {
  by: "heads",
  range: [0, 1],
  perToken: true,
  exploration: 0.5,
  width: 6,
  ahead: 0,
}

describe("rain", () => {
  it("finds what is rewarded where it is unlikely", async () => {
    await using plain = await open(watch(coin), heads)
    await using pipeline = await open(watch(coin), { ...heads, strategy: rain(quick) })
    const share = async (from: Pipeline) => {
      let found = 0
      for (let seed = 0; seed < 3; seed++) {
        const { ids } = await from.generate([0], { maxTokens: 9, seed })
        found += ids.filter((id) => id === 0).length / 27
      }
      return found
    }
    const [found, without] = [await share(pipeline), await share(plain)]
    assert(without < 0.5 && found > without + 0.25, `${found} of tokens, and ${without} without`)
  })

  it("follows a reward below zero and one that counts against", async () => {
    const rewards: GraphSpec["rewards"] = {
      heads: { reward: logitBias({ bias: { h: -2 } }), weight: 0 },
    }
    const strategy = rain({ ...quick, range: [0, -2] })
    await using pipeline = await open(watch(coin), { rewards, strategy })
    const { ids } = await pipeline.generate([0], { maxTokens: 3, seed: 1 })
    assert(ids.filter((id) => id === 0).length >= 2, String(ids))
  })

  it("leaves what is likely for what is good, with the published constants", async () => {
    // "a" is four times as likely to begin with, and nothing good comes of it.
    const next = (ids: readonly number[]) => ids.length === 1 ? [8, 2] : [1, 1]
    const begins = defineReward({
      name: "begins",
      open: () => ({ scoreText: ({ text }) => text.startsWith("b") ? 5 : 3 }),
    })
    const spec = { rewards: { begins: { reward: begins(), weight: 0 } } }
    const models = watch({ base: { vocabulary: ["a", "b"], next } })
    const strategy = rain({ by: "begins", range: [3, 5] })
    await using pipeline = await open(models, { ...spec, strategy })
    for (let seed = 0; seed < 3; seed++) {
      assertEquals((await pipeline.generate("a", { maxTokens: 3, seed })).ids[0], 1)
    }
  })

  it("looks ahead: a token that leads to what is rewarded comes first", async () => {
    // Only after "b" is there a "c", which alone is worth something.
    const next = (ids: readonly number[]) =>
      ids.length === 1 ? [3, 1, 0] : ids[1] === 1 ? [0, 0, 1] : [1, 0, 0]
    const tables = { base: { vocabulary: ["a", "b", "c"], next } }
    const rewards = { cs: { reward: logitBias({ bias: { c: 1 } }), weight: 0 } }
    const strategy = rain({ by: "cs", range: [0, 4], searches: 15, width: 3 })
    await using pipeline = await open(watch(tables), { rewards, strategy })
    assertEquals((await pipeline.generate("a", { maxTokens: 5, seed: 1 })).text, "bcccc")
  })

  it("gives the same text for a seed, ends with its end token, and leaves no cache open", async () => {
    const watched = watch({
      base: { next: markov(91, 2, letters.length), eos: [4] },
      kind: { next: markov(92, 2, letters.length) },
    })
    {
      await using pipeline = await open(watched, {
        rewards: { kind: { reward: arm({ model: "kind" }), weight: 1 } },
        strategy: rain({ ...quick, by: "kind", range: [-5, 0], searches: 8 }),
      })
      const request = { maxTokens: 12, seed: 4 }
      const one = await pipeline.generate("abc", request)
      assertEquals(await pipeline.generate("abc", request), one)
      assertEquals((await pipeline.generateAll(["abc"], { ...request, n: 2 }))[0], one)
      assertEquals(one.text, "fjbai")
      const at = one.ids.indexOf(4)
      assertEquals(one.ids.length, at < 0 ? 12 : at + 1)
    }
    assertEquals(watched.openCaches(), 0)
  })

  it("refuses a reward that is not there, and a range of nothing", async () => {
    await assertRejects(
      () => open(watch(coin), { ...heads, strategy: rain({ ...quick, by: "tails" }) }),
      GenArmError,
      "the graph has heads",
    )
    assertThrows(() => rain({ by: "heads", range: [1, 1] }), GenArmError, "two rewards that differ")
  })
})
