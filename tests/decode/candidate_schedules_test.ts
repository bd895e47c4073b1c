import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  defineReward,
  defineSchedule,
  GenArmError,
  type GraphSpec,
  greedy,
  klBudget,
  phases,
} from "genarm"
import type { Candidates, PluginNode, ScheduleStep } from "genarm/plugin"
import { describe, it } from "node:test"
import { markov } from "../plugins/strategies/_rules.ts"
import { drive } from "./_driven.ts"
import { always, letters, open, watch } from "./_pipelines.ts"

const winding = { base: { next: markov(7, 3, letters.length) } }
const options = { maxTokens: 30, seed: 9 }

/** A reward of candidates by their ids and places, which keeps what it gave at each place. */
function looking(
  candidates: number,
  score: (id: number, at: number) => number,
): { readonly reward: PluginNode<"reward">; readonly given: Map<number, number>[] } {
  const given: Map<number, number>[] = []
  const scoreCandidates = ({ ids, written }: Candidates) => {
    const scores = ids.map((id) => score(id, written.length))
    // A token that is none of the candidates is asked about when it has been chosen.
    given[written.length] ??= new Map(ids.map((id, i) => [id, scores[i]]))
    return scores
  }
  const reward = defineReward({
    name: "looking",
    open: () => ({ candidates, scoreCandidates }),
  })()
  return { reward, given }
}

const wave = (id: number, at: number) => Math.sin(id * 7 + at * 3) * 2

/** KL(guided || base) where one reward alone is in force, in float64. */
function divergence(
  base: readonly number[],
  scores: ReadonlyMap<number, number>,
  weight: number,
): number {
  const all = base.reduce((a, b) => a + b)
  if (weight === 0) return 0
  const masses = [...scores].map(([id, score]) =>
    [base[id] / all, base[id] * Math.exp(weight * score)] as const
  )
  const sum = masses.reduce((total, [, mass]) => total + mass, 0)
  return masses.reduce((total, [p, mass]) => total + mass / sum * Math.log(mass / sum / p), 0)
}

describe("the schedule of a reward on candidates", () => {
  it("sees their scores, and that others are ruled out", async () => {
    const steps: ScheduleStep[] = []
    const recording = defineSchedule({
      name: "recording",
      open: () => ({
        weight(step) {
          steps.push({ ...step, base: step.base.slice(), scores: step.scores.slice() })
          return 2
        },
      }),
    })
    const { reward } = looking(3, (id) => id / 4)
    const models = watch({ base: { next: always(1, 5, 2, 4, 3) } })
    await using pipeline = await open(models, {
      rewards: { x: { reward, weight: recording() } },
      sampler: greedy(),
    })
    const { ids, tokens } = await pipeline.generate("ab", { maxTokens: 2 })
    const none = Array(5).fill(-Infinity)
    const expected = [-Infinity, 0.25, -Infinity, 0.75, 1, ...none]
    assertEquals(steps.map(({ scores }) => [...scores]), [expected, expected])
    assertEquals(
      steps.map(({ position, maxTokens, lastId }) => [position, maxTokens, lastId]),
      [[0, 2, 1], [1, 2, ids[0]]],
    )
    const chances = [1, 5, 2, 4, 3].map((mass) => Math.fround(Math.log(mass / 15)))
    steps[0].base.slice(0, 5).forEach((value, id) => assertAlmostEquals(value, chances[id], 1e-6))
    assertEquals(tokens.map(({ weights }) => weights.x), [2, 2])
    assertEquals(ids, [4, 4])
  })

  it("keeps the budget of a token", async () => {
    for (const budget of [0.1, 0.4]) {
      const { reward, given } = looking(9, wave)
      await using pipeline = await open(watch(winding), {
        rewards: { x: { reward, weight: klBudget({ budget, most: 20 }) } },
      })
      const { ids, tokens } = await pipeline.generate("cab", options)
      let bound = 0
      tokens.forEach(({ weights: { x } }, i) => {
        const base = winding.base.next([2, 0, 1, ...ids.slice(0, i)])
        const spent = divergence(base, given[i], x)
        assert(spent <= 1.01 * budget, `token ${i}: ${spent}`)
        if (x > 0 && x < 20) {
          bound++
          assertAlmostEquals(spent, budget, 0.01 * budget)
        }
      })
      assert(bound > 20, `${bound}`)
    }
  })

  it("keeps the budget of a text", async () => {
    const { reward, given } = looking(10, wave)
    const weight = klBudget({ budget: 3, per: "sequence", most: 20 })
    await using pipeline = await open(watch(winding), { rewards: { x: { reward, weight } } })
    const { ids, tokens } = await pipeline.generate("cab", options)
    const spent = tokens.map(({ weights: { x } }, i) =>
      divergence(winding.base.next([2, 0, 1, ...ids.slice(0, i)]), given[i], x)
    )
    const total = spent.reduce((a, b) => a + b)
    assertAlmostEquals(total, 3, 0.03)
    for (const nats of spent) assertAlmostEquals(nats, 0.1, 2e-3)
  })

  it("lets two rewards each keep a budget of its own", async () => {
    const first = looking(8, wave)
    const second = looking(8, (id, at) => Math.cos(id * 5 + at))
    const [a, b] = [0.3, 0.6]
    await using pipeline = await open(watch(winding), {
      rewards: {
        first: { reward: first.reward, weight: klBudget({ budget: a, most: 20 }) },
        second: { reward: second.reward, weight: klBudget({ budget: b, most: 20 }) },
      },
    })
    const { ids, tokens } = await pipeline.generate("cab", options)
    let bound = 0
    tokens.forEach(({ weights }, i) => {
      const base = winding.base.next([2, 0, 1, ...ids.slice(0, i)])
      for (
        const [name, { given }, budget] of [["first", first, a], ["second", second, b]] as const
      ) {
        const spent = divergence(base, given[i], weights[name])
        assert(spent <= 1.01 * budget, `${name} of token ${i}: ${spent}`)
        if (weights[name] === 0 || weights[name] === 20) continue
        bound++
        assertAlmostEquals(spent, budget, 0.01 * budget)
      }
      // What the first rules out, the second is not asked about.
      if (weights.first !== 0) {
        for (const id of second.given[i].keys()) assert(first.given[i].has(id))
      }
    })
    assert(bound > 30, `${bound}`)
  })

  it("leaves the base exactly as it is while it is 0, and is told of each token", async () => {
    await using plain = await open(watch(winding))
    const expected = await plain.generate("cab", options)
    for (const weight of [klBudget({ budget: 0, most: 5 }), phases({ phases: [{ weight: 0 }] })]) {
      const { reward } = looking(3, wave)
      await using pipeline = await open(watch(winding), { rewards: { x: { reward, weight } } })
      const found = await pipeline.generate("cab", options)
      assertEquals(found.ids, expected.ids)
      found.tokens.forEach(({ id, logprob, rewards, weights }, i) => {
        assertEquals(logprob, expected.tokens[i].logprob)
        assertEquals([rewards.x, weights.x], [Math.fround(wave(id, i)), 0])
      })
    }
  })

  it("follows forks and rewinds with what each has spent", async () => {
    const spec: Partial<GraphSpec> = {
      rewards: {
        x: {
          reward: looking(10, (id) => id / 5).reward,
          weight: klBudget({ budget: 2, per: "sequence", most: 9 }),
        },
      },
    }
    const models = watch({ base: { next: always(...letters.map((_, id) => 1 + id)) } })
    await using pipeline = await open(models, spec)
    const plain = await pipeline.generate("a", { maxTokens: 8, seed: 1 })
    const found = await drive(models, async (sequence) => {
      for (let i = 0; i < 4; i++) await sequence.step()
      const copy = sequence.fork()
      for (let i = 0; i < 4; i++) await sequence.step()
      sequence.rewind(8)
      sequence.close()
      copy.rewind(2)
      return copy
    }, { spec, maxTokens: 8 })
    // The rows are the same at every step, and so are the weights.
    assertEquals(
      found.tokens.map(({ weights }) => weights.x),
      plain.tokens.map(({ weights }) => weights.x),
    )
  })

  it("fails the text where its weight is beyond float32", async () => {
    const huge = defineSchedule({ name: "huge", open: () => ({ weight: () => 1e300 }) })
    const { reward } = looking(3, wave)
    const models = watch(winding)
    await using pipeline = await open(models, { rewards: { x: { reward, weight: huge() } } })
    const error = await assertRejects(() => pipeline.generate("a"), GenArmError, "overflows")
    assertEquals(error.reason._tag, "NonFiniteScores")
    assertEquals(models.openCaches(), 0)
  })
})
