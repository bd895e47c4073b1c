import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { arm, type GraphSpec } from "genarm"
import { describe, it } from "node:test"
import { effectiveSize, normalized, systematic } from "../../../plugins/strategies/_particles.ts"
import { reweighted, type ReweightedOptions } from "../../../plugins/strategies/reweighted.ts"
import { open, type Table, watch } from "../../decode/_pipelines.ts"
import { drawnWith } from "./_exact_texts.ts"
import type { Rule } from "./_rules.ts"
import { type ToyText, toyTexts } from "./_toy_sequence.ts"

const vocabulary = ["a", "b", "<end>"]
const [eos, maxTokens, weight] = [2, 3, 2]

/** The base likes "a", and goes on from there with what the reward holds against it. */
const base: Rule = (ids) => {
  if (ids.length === 1) return [6, 3, 1]
  return ids[1] === 0 ? [8, 1, 1] : [1, 8, 1]
}
const kind: Rule = (ids) => {
  if (ids.length === 1) return [5, 4, 1]
  return ids[1] === 0 ? [1, 9, 10] : [1, 18, 1]
}
const models: Record<string, Table> = {
  base: { vocabulary, next: base, eos: [eos] },
  kind: { vocabulary, next: kind },
}
const spec: Partial<GraphSpec> = { rewards: { kind: { reward: arm({ model: "kind" }), weight } } }

/** Every text, with what guidance gives it, and with its part of the optimum. */
function enumerate(): {
  readonly plain: Map<string, number>
  readonly optimum: Map<string, number>
} {
  const [plain, optimum] = [new Map<string, number>(), new Map<string, number>()]
  const grow = (ids: readonly number[], p: number, q: number) => {
    if (ids.at(-1) === eos || ids.length === maxTokens) {
      plain.set(ids.join(" "), p)
      optimum.set(ids.join(" "), q)
      return
    }
    const products = productAfter([0, ...ids])
    const next = drawnWith(products, {})
    products.forEach((value, id) => grow([...ids, id], p * next[id], q * value))
  }
  grow([], 1, 1)
  const total = [...optimum.values()].reduce((a, b) => a + b)
  for (const [text, value] of optimum) optimum.set(text, value / total)
  return { plain, optimum }
}

/** Total variation: the greatest difference in the probability of anything. */
function distance(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): number {
  return [...other].reduce((sum, [text, p]) => sum + Math.abs(p - (one.get(text) ?? 0)), 0) / 2
}

const { plain, optimum } = enumerate()
const missed = distance(plain, optimum)

/** `base(v) * kind(v)^weight` after a beginning. */
function productAfter(ids: readonly number[]): number[] {
  const [b, k] = [base, kind].map((rule) => drawnWith(rule(ids), {}))
  return b.map((chance, id) => chance * k[id] ** weight)
}

const rows: Record<string, number[]> = {}

const toy: ToyText = {
  prompt: [0],
  eos,
  maxTokens,
  // All that counts is whether a token is the first, and which that was.
  rule: (ids) => (rows[ids.length === 1 ? "first" : ids[1]] ??= productAfter(ids)),
}

/** How far texts are from the optimum. */
const miss = async (options: ReweightedOptions, text = toy) =>
  distance(await toyTexts(reweighted, options, text, 400), optimum)

describe("reweighted texts", () => {
  it("come to the optimum as particles grow, which plain guidance misses", async (test) => {
    const found: Record<string, number> = {}
    for (const particles of [1, 4, 16, 64]) found[particles] = await miss({ particles })
    const told = `plain guidance is ${missed.toFixed(3)} from the optimum; particles: ` +
      JSON.stringify(found)
    test.diagnostic?.(told)
    assert(missed > 0.55, told)
    assert(Math.abs(found[1] - missed) < 0.06, told)
    assert(found[4] < 0.6 * missed, told)
    assert(found[16] < 0.12 * missed, told)
    assert(found[64] < 0.05 * missed, told)
  })

  it("do so without resampling, and with resampling at every token", async () => {
    for (const resample of [0, 1]) {
      const found = await miss({ particles: 16, resample })
      assert(found < 0.2 * missed, `${resample}: ${found}`)
    }
  })

  it("do so with a sampler of another temperature", async () => {
    for (const temperature of [0.7, 1.5]) {
      const found = await miss({ particles: 16 }, { ...toy, temperature })
      assert(found < 0.3 * missed, `${temperature}: ${found}`)
    }
  })

  it("of one particle have the distribution of plain guidance", async () => {
    assert(distance(await toyTexts(reweighted, { particles: 1 }, toy, 3_000), plain) < 0.04)
  })

  it("are drawn so from models, too, and leave no cache open", async () => {
    const watched = watch(models)
    const begun = { a: 0, b: 0 }
    {
      await using pipeline = await open(watched, { ...spec, strategy: reweighted() })
      const request = { maxTokens, n: 60, seed: 1, trace: "none" as const }
      for (const { ids: [first] } of await pipeline.generateAll([[0]], request)) {
        if (first !== eos) begun[first === 0 ? "a" : "b"]++
      }
    }
    // Plain guidance begins with "a" three times of four, the optimum next to never.
    assert(begun.b > 2 * begun.a, JSON.stringify(begun))
    assertEquals(watched.openCaches(), 0)
  })

  it("are the same for a seed, alone and among others", async () => {
    await using pipeline = await open(watch(models), { ...spec, strategy: reweighted() })
    const seeds = [0, 1, 2, 3, 4]
    const alone = []
    for (const seed of seeds) alone.push(await pipeline.generate([0], { seed, maxTokens }))
    assertEquals(await pipeline.generateAll([[0]], { seed: 0, n: 5, maxTokens }), alone)
    assertEquals(alone.map(({ text }) => text), ["bbb", "bbb", "a", "bbb", "bbb"])
  })
})

describe("particles", () => {
  it("have weights that sum to 1, however small they are", () => {
    const found = normalized([-1000, -1000 + Math.log(3), -Infinity])
    found.forEach((weight, i) => assertAlmostEquals(weight, [0.25, 0.75, 0][i], 1e-9))
  })

  it("are as many as their weights are even", () => {
    assertAlmostEquals(effectiveSize([0.25, 0.25, 0.25, 0.25]), 4)
    assertAlmostEquals(effectiveSize([1, 0, 0]), 1)
    assertAlmostEquals(effectiveSize([0.5, 0.25, 0.25]), 8 / 3)
  })

  it("go on by points that are laid evenly over their weights", () => {
    // Points 0.05, 0.3, 0.55, 0.8 over sums 0.1, 0.7, 0.7, 1.
    assertEquals(systematic([0.1, 0.6, 0, 0.3], 0.2), [1, 2, 0, 1])
    // Points 0.225, 0.475, 0.725, 0.975.
    assertEquals(systematic([0.1, 0.6, 0, 0.3], 0.9), [0, 2, 0, 2])
    assertEquals(systematic([1, 0, 0], 0.999), [3, 0, 0])
    assertEquals(systematic([0, 0, 1], 0), [0, 0, 3])
    // A sum that rounding leaves below the last point.
    assertEquals(systematic([0.5, 0.49, 0], 0.999), [1, 2, 0])
  })

  it("go on as often as their weights say, on average", () => {
    const weights = [0.07, 0.41, 0.02, 0.5]
    const sums = [0, 0, 0, 0]
    for (let i = 0; i < 1_000; i++) {
      systematic(weights, (i + 0.5) / 1_000).forEach((count, at) => sums[at] += count / 4_000)
    }
    sums.forEach((sum, at) => assertAlmostEquals(sum, weights[at], 1e-3))
  })
})
