import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { arm, defineGraph, GenArmError, openPipeline, sampling, tableRuntime } from "genarm"
import type { GraphSpec, Pipeline, TableModel } from "genarm"
import { klDivergence } from "genarm/math"
import { describe, it } from "node:test"
import {
  compareRows,
  evaluateGuidance,
  type GuidanceOptions,
  guidancePoints,
  type GuidanceProgress,
  guidanceTable,
} from "../../src/evaluate/mod.ts"

// Three words and an end; what comes next depends on the last token.
const vocabulary = [" a", " b", " c", "<end>"]
const baseRows = [[0.4, 0.3, 0.2, 0.1], [0.2, 0.2, 0.4, 0.2], [0.5, 0.2, 0.1, 0.2]]
const goodRows = [[0.1, 0.2, 0.6, 0.1], [0.1, 0.1, 0.2, 0.6], [0.2, 0.5, 0.2, 0.1]]
const table = (rows: readonly number[][]): TableModel => ({
  vocabulary,
  eos: [3],
  next: (ids) => rows[ids[ids.length - 1]],
})
const maxTokens = 6

function open(spec: Partial<GraphSpec> = {}): Promise<Pipeline> {
  const graph = defineGraph({
    base: "base",
    rewards: { good: { reward: arm({ model: "good" }), weight: 1 } },
    ...spec,
  })
  return openPipeline(graph, {
    runtime: tableRuntime({ base: table(baseRows), good: table(goodRows) }),
    onProgress: () => {},
  })
}

const log = (row: readonly number[]) => Float32Array.from(row, Math.log)

function guidedRow(last: number, weight: number): number[] {
  const scores = baseRows[last].map((p, id) => p * goodRows[last][id] ** weight)
  const total = scores.reduce((sum, score) => sum + score, 0)
  return scores.map((score) => score / total)
}

/** Exact expectations over all texts from `last` on: sums over tokens, and what becomes of them. */
function exact(weight: number, last = 0, left = maxTokens) {
  const none = { kl: 0, reward: 0, surprise: 0, length: 0, ended: 0 }
  const row = guidedRow(last, weight)
  const sums = { ...none, kl: klDivergence(log(row), log(baseRows[last])), length: 1 }
  row.forEach((p, id) => {
    sums.reward += p * Math.log(goodRows[last][id])
    sums.surprise -= p * Math.log(baseRows[last][id])
    const rest = id === 3 ? { ...none, ended: 1 } : left > 1 ? exact(weight, id, left - 1) : none
    for (const key of Object.keys(none) as (keyof typeof none)[]) sums[key] += p * rest[key]
  })
  return sums
}

const count = (letter: string) => (text: string) => text.split(letter).length - 1
const options: GuidanceOptions = {
  prompts: [" a"],
  samples: 600,
  weights: [{ good: 0 }, { good: 1 }, { good: 2 }],
  maxTokens,
  seed: 4,
  measures: { b: count("b"), c: count("c") },
  resamples: 500,
}

describe("a measurement of guidance", () => {
  it("finds the exact KL, reward, perplexity, length and share ended", async () => {
    await using pipeline = await open()
    const rows = await evaluateGuidance(pipeline, { ...options, samples: 4000 })
    assertEquals(rows.map(({ weights }) => weights), [{ good: 0 }, { good: 1 }, { good: 2 }])
    for (const row of rows) {
      const sums = exact(row.weights.good)
      assertEquals(row.continuations, 4000)
      assert(row.isUnbiased)
      assertAlmostEquals(row.kl.value, sums.kl / sums.length, 0.012)
      assertAlmostEquals(row.rewards.good.perToken.value, sums.reward / sums.length, 0.025)
      assertAlmostEquals(row.rewards.good.perText.value, sums.reward, 0.1)
      assertAlmostEquals(
        Math.log(row.perplexity.value),
        sums.surprise / sums.length,
        0.015,
      )
      assertAlmostEquals(row.length.value, sums.length, 0.06)
      assertAlmostEquals(row.ended.value, sums.ended, 0.02)
    }
    const [base, once, twice] = rows
    assertEquals(base.kl, { value: 0, low: 0, high: 0 })
    assert(once.kl.low > 0 && once.kl.high < twice.kl.low)
  })

  it("has intervals that hold the exact figures about as often as they say", async () => {
    await using pipeline = await open()
    const sums = exact(1)
    const held = { kl: 0, reward: 0, perplexity: 0, length: 0, ended: 0 }
    const rounds = 120
    for (let round = 0; round < rounds; round++) {
      const [row] = await evaluateGuidance(pipeline, {
        ...options,
        weights: [{ good: 1 }],
        samples: 60,
        seed: 1000 * round,
        measures: {},
        resamples: 200,
      })
      const holds = ({ low, high }: { low: number; high: number }, truth: number) =>
        low <= truth && truth <= high ? 1 : 0
      held.kl += holds(row.kl, sums.kl / sums.length)
      held.reward += holds(row.rewards.good.perText, sums.reward)
      held.perplexity += holds(row.perplexity, Math.exp(sums.surprise / sums.length))
      held.length += holds(row.length, sums.length)
      held.ended += holds(row.ended, sums.ended)
    }
    for (const [name, times] of Object.entries(held)) {
      assert(times / rounds > 0.87, `${name}: ${times} of ${rounds}`)
    }
  })

  it("draws the texts of every setting with the same prompts and seeds", async () => {
    await using pipeline = await open()
    const rows = await evaluateGuidance(pipeline, {
      ...options,
      prompts: [" a", [1], " c"],
      samples: 50,
      seed: 2 ** 32 - 20,
      weights: [{ good: 0 }, { good: 0 }, {}, { good: 1 }],
    })
    const [first, again, graphs, one] = rows
    assertEquals(again, first)
    assertEquals({ ...graphs, weights: one.weights }, one)
    assertEquals(first.texts.map(({ seed }) => seed), one.texts.map(({ seed }) => seed))
    assertEquals(first.texts.map(({ prompt }) => prompt), one.texts.map(({ prompt }) => prompt))
    assertEquals(new Set(first.texts.map(({ seed }) => seed)).size, 150)
    assertEquals(first.texts[0].seed, 2 ** 32 - 20)
    const direct = await pipeline.generateAll([" a", [1], " c"], {
      n: 50,
      seed: 2 ** 32 - 20,
      maxTokens,
    })
    assertEquals(one.texts.map(({ text }) => text), direct.map(({ text }) => text))
  })

  it("keeps each text with its sums and measures", async () => {
    await using pipeline = await open()
    const [row] = await evaluateGuidance(pipeline, { ...options, samples: 20, weights: [{}] })
    for (const { prompt, text, ids, logprob, rewards, measures, stopReason } of row.texts) {
      const score = await pipeline.score(prompt, ids)
      assertAlmostEquals(logprob.base, score.base, 1e-5)
      assertAlmostEquals(logprob.guided, score.guided, 1e-5)
      assertAlmostEquals(rewards.good, score.rewards.good, 1e-5)
      assertEquals(measures, { b: count("b")(text), c: count("c")(text) })
      assertEquals(stopReason === "eos", ids.at(-1) === 3)
    }
  })

  it("says when the sampler drew from something else", async () => {
    for (const sampler of [sampling({ temperature: 0.7 }), sampling({ topK: 2 })]) {
      await using pipeline = await open({ sampler })
      const [row] = await evaluateGuidance(pipeline, { ...options, samples: 20, weights: [{}] })
      assert(!row.isUnbiased)
    }
  })

  it("tells how far it is, and waits for measures", async () => {
    await using pipeline = await open()
    const told: GuidanceProgress[] = []
    const [row] = await evaluateGuidance(pipeline, {
      ...options,
      samples: 100,
      weights: [{ good: 2 }, { good: 0 }],
      measures: { later: (_, { ids }, prompt) => Promise.resolve(ids.length + prompt.length) },
      onProgress: (progress) => told.push(progress),
    })
    assertEquals(told.map(({ done, total }) => `${done}/${total}`), [
      ...["0/200", "64/200", "100/200"],
      ...["100/200", "164/200", "200/200"],
    ])
    assertEquals(told[0].weights, { good: 2 })
    assertAlmostEquals(row.measures.later.value, row.length.value + 2, 1e-9)
  })

  it("can be aborted", async () => {
    await using pipeline = await open()
    const stop = new AbortController()
    const onProgress = ({ done }: GuidanceProgress) => done > 0 && stop.abort(new Error("enough"))
    const error = await assertRejects(
      () => evaluateGuidance(pipeline, { ...options, signal: stop.signal, onProgress }),
      GenArmError,
      "enough",
    )
    assertEquals(error.reason._tag, "Aborted")
  })

  it("refuses what it cannot measure, with the place", async () => {
    await using pipeline = await open()
    const cases: [Record<string, unknown>, (string | number)[]][] = [
      [{ prompts: [] }, ["prompts", 0]],
      [{ weights: [] }, ["weights", 0]],
      [{ weights: [{}, { god: 1 }] }, ["weights", 1, "god"]],
      [{ weights: [{ good: NaN }] }, ["weights", 0, "good"]],
      [{ samples: 0 }, ["samples"]],
      [{ maxTokens: 1.5 }, ["maxTokens"]],
      [{ seed: -1 }, ["seed"]],
      [{ level: 2 }, ["level"]],
      [{ measures: { b: 1 } }, ["measures", "b"]],
      [{ onProgress: 1 }, ["onProgress"]],
      [{ prompt: " a" }, ["prompt"]],
    ]
    for (const [changed, path] of cases) {
      const error = await assertRejects(
        () => evaluateGuidance(pipeline, { ...options, ...changed } as never),
        GenArmError,
      )
      assertEquals(error.reason, { _tag: "InvalidOption", path }, JSON.stringify(changed))
    }
  })

  it("blames a measure that throws or gives no number", async () => {
    await using pipeline = await open()
    const few = { ...options, samples: 2 }
    const measures: [() => number, string][] = [
      [() => NaN, "gave NaN: expected a finite number"],
      [() => "1" as never, 'gave "1"'],
      [() => {
        throw new Error("no verdict")
      }, "failed: no verdict"],
    ]
    for (const [odd, part] of measures) {
      const error = await assertRejects(
        () => evaluateGuidance(pipeline, { ...few, measures: { odd } }),
        GenArmError,
        part,
      )
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "odd" })
    }
  })
})

describe("two settings beside each other", () => {
  it("differ by the difference of their figures, text by text", async () => {
    await using pipeline = await open()
    const [base, , twice] = await evaluateGuidance(pipeline, options)
    const change = compareRows(base, twice, { seed: 1 })
    const near = (actual: number, after: number, before: number) =>
      assertAlmostEquals(actual, after - before, 1e-9)
    near(change.kl.value, twice.kl.value, base.kl.value)
    near(change.measures.c.value, twice.measures.c.value, base.measures.c.value)
    near(change.length.value, twice.length.value, base.length.value)
    near(
      change.logprob.value,
      -Math.log(twice.perplexity.value),
      -Math.log(base.perplexity.value),
    )
    near(
      change.rewards.good.perToken.value,
      twice.rewards.good.perToken.value,
      base.rewards.good.perToken.value,
    )
    for (const n of [0, 1, 2]) {
      near(
        change.distinct.words[n].value,
        twice.distinct.words[n].value,
        base.distinct.words[n].value,
      )
    }
    assert(change.rewards.good.perToken.low > 0, "guidance raises its reward")
    assertEquals(
      change.measures.c.wins.wins + change.measures.c.wins.ties +
        change.measures.c.wins.losses,
      600,
    )
  })

  it("do not differ from themselves", async () => {
    await using pipeline = await open()
    const [row] = await evaluateGuidance(pipeline, { ...options, samples: 30 })
    const { kl, measures, distinct } = compareRows(row, row)
    assertEquals(kl, { value: 0, low: 0, high: 0 })
    assertEquals(measures.b.wins.ties, 30)
    assertEquals(measures.b.wins.value, 0.5)
    assertEquals(distinct.tokens[0], { value: 0, low: 0, high: 0 })
  })

  it("are refused when their texts are no pairs", async () => {
    await using pipeline = await open()
    const few = { ...options, samples: 3, weights: [{}] }
    const [one] = await evaluateGuidance(pipeline, few)
    const [other] = await evaluateGuidance(pipeline, { ...few, seed: 99 })
    assertThrows(() => compareRows(one, other), GenArmError, "share prompts, seeds")
  })
})

// 3 texts of each setting with seed 4, the same on Deno and Bun.
const golden = {
  texts: [[" a c a a a b", " c b c c", " c a b"], [" a c a b c b", " c b c b", " c a c c a c"], [
    " b",
    " c b",
    " c a c b b",
  ]],
  cells: [[
    "0",
    "50",
    "0.98 [0.74, 1.24]",
    "0.82 [0.60, 1.08]",
    "-1.73 [-1.81, -1.64]",
    "0 [0, 0]",
    "0.072 [0.054, 0.090]",
    "3.71 [3.48, 3.99]",
    "4.0 [3.5, 4.6]",
    "0.66 [0.52, 0.78]",
  ], [
    "1",
    "50",
    "1.26 [1.04, 1.52]",
    "1.42 [1.14, 1.71]",
    "-1.23 [-1.31, -1.17]",
    "0.21 [0.14, 0.28]",
    "0.065 [0.051, 0.078]",
    "3.79 [3.62, 3.97]",
    "4.4 [3.9, 4.9]",
    "0.66 [0.52, 0.78]",
  ], [
    "2",
    "50",
    "1.00 [0.86, 1.14]",
    "1.40 [1.12, 1.66]",
    "-0.90 [-0.97, -0.82]",
    "0.67 [0.53, 0.82]",
    "0.090 [0.059, 0.121]",
    "4.36 [4.16, 4.59]",
    "3.80 [3.37, 4.23]",
    "0.82 [0.69, 0.90]",
  ]],
}

describe("the table of a measurement", () => {
  it("is the same on every runtime for one seed", async () => {
    await using pipeline = await open()
    const rows = await evaluateGuidance(pipeline, { ...options, samples: 50 })
    const { columns, rows: cells } = guidanceTable(rows)
    assertEquals(columns, [
      ...["weights", "texts", "b", "c", "good / token"],
      ...["KL / token", "distinct-2", "perplexity", "tokens", "ended"],
    ])
    assertEquals(rows.map(({ texts }) => texts.slice(0, 3).map(({ text }) => text)), golden.texts)
    assertEquals(cells, golden.cells)
  })

  it("becomes points of any two figures", async () => {
    await using pipeline = await open()
    const rows = await evaluateGuidance(pipeline, { ...options, samples: 5 })
    const points = guidancePoints(rows, "kl", "b")
    assertEquals(points.map(({ label }) => label), ["0", "1", "2"])
    assertEquals(points[1], { x: rows[1].kl, y: rows[1].measures.b, label: "1" })
    assertEquals(guidancePoints(rows, "good", "length")[2].x, rows[2].rewards.good.perToken)
    assertThrows(() => guidancePoints(rows, "kl", "joy"), GenArmError, "kl, perplexity, length")
  })
})
