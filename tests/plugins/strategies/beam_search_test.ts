import { assert, assertEquals } from "@std/assert"
import { arm, type GraphSpec, greedy } from "genarm"
import { describe, it } from "node:test"
import { Hypotheses } from "../../../plugins/strategies/_hypotheses.ts"
import { likeliest } from "../../../plugins/strategies/_likeliest.ts"
import { beamSearch, type BeamSearchOptions } from "../../../plugins/strategies/beam_search.ts"
import { open, type Table, watch } from "../../decode/_pipelines.ts"
import { countRuns } from "./_counting.ts"
import { exactTexts } from "./_exact_texts.ts"
import { markov, product } from "./_rules.ts"

const vocabulary = ["a", "b", "c", "<end>"]
const [eos, size] = [3, 4]

interface Model {
  readonly tables: Record<string, Table>
  readonly rule: ReturnType<typeof product>
}

/** A base and a reward that look random. */
function model(salt: number): Model {
  const [base, kind] = [markov(salt, 2, size), markov(salt + 1, 2, size)]
  const tables = { base: { vocabulary, next: base, eos: [eos] }, kind: { vocabulary, next: kind } }
  return { tables, rule: product([base, 1], [kind, 1.5]) }
}

const spec: Partial<GraphSpec> = {
  rewards: { kind: { reward: arm({ model: "kind" }), weight: 1.5 } },
}

async function search(
  { tables }: Model,
  options: BeamSearchOptions,
  maxTokens: number,
  stop?: string[],
) {
  await using pipeline = await open(watch(tables), { ...spec, strategy: beamSearch(options) })
  return (await pipeline.generate([0, 1], { maxTokens, ...stop && { stop } })).ids
}

/** The best of all texts. */
function enumerated({ rule }: Model, lengthPenalty: number, maxTokens: number): number[] {
  const exact = exactTexts({ rule, drawing: {}, prompt: [0, 1], eos, maxTokens })
  const scored = [...exact].map(([text, probability]) => {
    const ids = text.split(" ").map(Number)
    return { ids, score: Math.log(probability) / ids.length ** lengthPenalty }
  })
  return scored.reduce((best, other) => other.score > best.score ? other : best).ids
}

describe("beam search", () => {
  it("finds the best of all texts where there are as many beams", async () => {
    const lengths = new Set<number>()
    for (let salt = 100; salt < 108; salt += 2) {
      for (const lengthPenalty of [-0.5, 0, 1, 2]) {
        const found = await search(model(salt), { beams: 150, lengthPenalty }, 4)
        assertEquals(found, enumerated(model(salt), lengthPenalty, 4))
        lengths.add(found.length)
      }
    }
    assert(lengths.size > 2, "the penalty decides about lengths")
  })

  it("with one beam and no end is greedy", async () => {
    const { tables, rule } = model(110)
    const endless = { ...tables, base: { ...tables.base, eos: [] } }
    await using plain = await open(watch(endless), { ...spec, sampler: greedy() })
    const { ids } = await plain.generate([0, 1], { maxTokens: 9 })
    assertEquals(await search({ tables: endless, rule }, { beams: 1 }, 9), ids)
  })

  it("does not depend on the seed or the sampler, and is certain of its tokens", async () => {
    const strategy = beamSearch({ beams: 3 })
    await using one = await open(watch(model(112).tables), { ...spec, strategy })
    await using other = await open(watch(model(112).tables), {
      ...spec,
      strategy,
      sampler: greedy(),
    })
    const found = await one.generate([0, 1], { maxTokens: 8, seed: 1 })
    assertEquals((await other.generate([0, 1], { maxTokens: 8, seed: 2 })).ids, found.ids)
    for (const { logprob } of found.tokens) assertEquals(logprob.sampled, 0)
  })

  it("is better with more beams than greedy, where greedy is misled", async () => {
    const next = (ids: readonly number[]) => {
      if (ids.length === 1) return [0, 0.55, 0.45]
      return ids[1] === 2 ? [0.05, 0.05, 0.9] : [0.4, 0.3, 0.3]
    }
    const tables = { base: { vocabulary: ["a", "b", "c"], next } }
    for (const [beams, expected] of [[1, [1, 0]], [2, [2, 2]]] as const) {
      await using pipeline = await open(watch(tables), { strategy: beamSearch({ beams }) })
      assertEquals((await pipeline.generate("a", { maxTokens: 2 })).ids, expected)
    }
  })

  it("puts a text aside only if it ends among the likeliest", async () => {
    // The end is second to "b" at first, and out of the question later.
    const next = (ids: readonly number[]) => ids.length === 1 ? [0.1, 0.5, 0.4] : [0.5, 0.5, 0.0001]
    const tables = { base: { vocabulary: ["a", "b", "<end>"], next, eos: [2] } }
    const text = async (options: BeamSearchOptions, maxTokens = 6) => {
      await using pipeline = await open(watch(tables), { strategy: beamSearch(options) })
      return (await pipeline.generate("a", { maxTokens })).ids
    }
    // One beam: it ranks second, and is no candidate.
    assertEquals(await text({ beams: 1, lengthPenalty: 0 }), [1, 0, 0, 0, 0, 0])
    // Two: log 0.4 stands, and is better than log 0.5 + log 0.5.
    assertEquals(await text({ beams: 2, lengthPenalty: 0 }), [2])
    // Length counts: (log 0.5 + 5 log 0.5) / 6 is better than log 0.4.
    assertEquals(await text({ beams: 2, lengthPenalty: 1 }), [1, 0, 0, 0, 0, 0])
  })

  it("ends by stop strings as by end tokens", async () => {
    const { tables, rule } = model(114)
    const endless = { tables: { ...tables, base: { ...tables.base, eos: [] } }, rule }
    const free = await search(endless, { beams: 3 }, 8)
    const stop = ["a", "b", "c"].filter((letter) => letter !== vocabulary[free[0]])
    const ids = await search(endless, { beams: 3, lengthPenalty: 0 }, 8, stop)
    const ends = ids.findIndex((id) => stop.includes(vocabulary[id]))
    assert(ends === -1 ? ids.length === 8 : ends === ids.length - 1)
    // Were every token a stop string, all would end at once.
    assertEquals(
      (await search(endless, { beams: 9 }, 8, ["a", "b", "c", "<end>"])).length <= 8,
      true,
    )
  })

  it("runs the models once for each beam and length, and leaves no cache open", async () => {
    const { tables } = model(116)
    const counted = countRuns({ ...tables, base: { ...tables.base, eos: [] } })
    {
      await using pipeline = await open(counted, { ...spec, strategy: beamSearch({ beams: 3 }) })
      const { ids } = await pipeline.generate([0, 1], { maxTokens: 7 })
      assertEquals(ids.length, 7)
      assertEquals(counted.read.base, 2 + 3 * 6)
      assertEquals(counted.read.kind, counted.read.base)
    }
    assertEquals(counted.openCaches(), 0)
  })
})

describe("texts that have ended", () => {
  const kept = (options: Partial<ConstructorParameters<typeof Hypotheses>[0]> = {}) =>
    new Hypotheses<string>({
      width: 2,
      lengthPenalty: 1,
      earlyStopping: false,
      longest: 10,
      ...options,
    })

  it("are the best by their log-probability over their length to the penalty", () => {
    const texts = kept({ lengthPenalty: 2 })
    assertEquals(texts.add("long", -8, 4), undefined) // -8 / 16
    assertEquals(texts.add("short", -1, 1), undefined)
    assertEquals([texts.best, texts.isFull], ["long", true])
    assertEquals(texts.add("worse", -5, 2), "worse") // -5 / 4
    assertEquals(texts.add("equal", -2, 2), "short") // -2 / 4
    assertEquals(texts.best, "long")
  })

  it("end the search when beams are no better, at once, or when none could be", () => {
    const rules = [false, true, "never"] as const
    for (const earlyStopping of rules) {
      const texts = kept({ earlyStopping })
      texts.add("one", -2, 2) // -1
      assertEquals(texts.isDone(-100, 3), false, "they are not full")
      texts.add("other", -6, 3) // -2
      // A beam of -9 at 3 tokens is at -3 now, and at -0.9 if it were 10 tokens long.
      assertEquals(texts.isDone(-9, 3), earlyStopping !== "never")
      assertEquals(texts.isDone(-5, 3), earlyStopping === true)
      assertEquals(texts.isDone(-20, 3), true)
    }
  })
})

describe("the likeliest few", () => {
  it("come in order, equals by their ids, without what is ruled out", () => {
    const scores = Float32Array.of(1, 3, -Infinity, 3, 2, 1)
    assertEquals(likeliest(scores, 1), [1])
    assertEquals(likeliest(scores, 3), [1, 3, 4])
    assertEquals(likeliest(scores, 9), [1, 3, 4, 0, 5])
    assertEquals(likeliest(Float32Array.of(-Infinity), 2), [])
  })
})
