import { assertAlmostEquals, assertEquals } from "@std/assert"
import { defineReward, greedy } from "genarm"
import { describe, it } from "node:test"
import { passes, threshold } from "../../../plugins/strategies/_acceptance.ts"
import { TreeNode } from "../../../plugins/strategies/_rain_tree.ts"
import { weighed } from "../../../plugins/strategies/_token_sets.ts"
import { cards } from "../../../plugins/strategies/cards.ts"
import { open, watch } from "../../decode/_pipelines.ts"
import { chances, steering, vocabularyOf } from "../_steering.ts"

describe("CARDS", () => {
  const { logits, segments, draws, decisions } = steering.cards
  const vocabulary = vocabularyOf(logits[0].length)
  /** Prompts are two tokens. */
  const next = (ids: readonly number[]) => chances(logits[(ids.length - 2) % logits.length])
  const models = watch({ base: { vocabulary, next } })

  /** Lengths of the texts that are judged, that of the prompt first. */
  const judged = async (target: number, entropy: number, maxTokens: number) => {
    const lengths: number[] = []
    const judge = defineReward({
      name: "judge",
      open: () => ({ scoreText: ({ ids }) => lengths.push(ids.length) && 0 }),
    })
    await using pipeline = await open(models, {
      rewards: { judge: { reward: judge(), weight: 1 } },
      sampler: greedy(),
      strategy: cards({ by: "judge", target, beta: 0, entropy }),
    })
    await pipeline.generate([0, 1], { maxTokens })
    return lengths
  }

  for (const { entropy, ends } of segments) {
    it(`ends its segments where the authors' code does: from ${entropy} nats on`, async () => {
      // There the last segment may be longer than the text is to be.
      const expected = ends.map((end) => Math.min(end, 60))
      assertEquals((await judged(-100, entropy, 60)).slice(1), expected)
    })
  }

  it("draws as often as the authors' code before it takes the best", async () => {
    assertEquals((await judged(100, 1e9, 64)).length - 1, draws)
  })

  it("accepts what the authors' code accepts, with the same drawn number", () => {
    for (const { length, reward, beta, uniform, accepted, ...rule } of decisions) {
      const found = passes(reward, threshold(rule, length), beta, uniform)
      assertEquals(found, accepted, JSON.stringify({ length, reward, beta, uniform, ...rule }))
    }
  })
})

describe("RAIN", () => {
  const { rounds, weighed: cases } = steering.rain

  it("selects, backs up and goes on as the authors' tree does", () => {
    let root = new TreeNode({ ids: [], chance: 1 })
    for (const { searches, visits, values, favourite, priors } of rounds) {
      for (const { path, value, chances } of searches) {
        let node = root
        const found: number[] = []
        while (node.children.length > 0) {
          node = node.select(2)
          found.push(node.set.ids[0])
        }
        assertEquals(found, path)
        node.expand(chances.map((chance, id) => ({ ids: [id], chance })))
        node.backUp(value)
      }
      assertEquals(root.children.map(({ visits }) => visits), visits)
      root.children.forEach((child, i) => assertAlmostEquals(child.value, values[i], 1e-8))
      assertEquals(root.favourite!.set.ids, [favourite])
      root = root.favourite!
      root.becomeRoot()
      root.children.forEach(({ prior }, i) => assertAlmostEquals(prior, priors[i], 1e-8))
    }
  })

  it("weighs the likeliest path beside its draws as the authors' code does", () => {
    for (const { greedy, draws, weighed: expected } of cases) {
      const sets = [[0, greedy] as const, ...draws].map(([id, chance]) => ({ ids: [id], chance }))
      const found = weighed(sets)
      assertEquals(found.map(({ ids }) => ids[0]), expected.map(([token]) => token))
      found.forEach(({ chance }, i) => assertAlmostEquals(chance, expected[i][1], 2e-6))
    }
  })
})
