import { assert, assertEquals } from "@std/assert"
import {
  arm,
  type GraphSpec,
  greedy,
  type Prompt,
  speculative,
  type SpeculativeOptions,
} from "genarm"
import { describe, it } from "node:test"
import { letters, oneHot, open, type Table } from "../../decode/_pipelines.ts"
import { type Counted, countRuns } from "./_counting.ts"
import { markov, product, reversed, type Rule } from "./_rules.ts"

const size = letters.length
const [base, kind] = [markov(41, 3, size), markov(42, 3, size)]
const guided = product([base, 1], [kind, 1])

/** A base, a reward, and a model `draft` that only drafts. */
const tables = (draft: Rule): Record<string, Table> => ({
  base: { next: base },
  kind: { next: kind },
  draft: { next: draft },
})

const graph: Partial<GraphSpec> = {
  rewards: { kind: { reward: arm({ model: "kind" }), weight: 1 } },
  sampler: greedy(),
}

const maxTokens = 400

/** Runs that the prompt may take before the text begins. */
const prompted = 1

/** What the models do for a text, with speculation. */
async function spend(
  counted: Counted,
  options: SpeculativeOptions,
  prompt: Prompt = [0, 1, 2],
): Promise<{
  readonly runs: Record<string, number>
  readonly read: Record<string, number>
}> {
  await using pipeline = await open(counted, { ...graph, strategy: speculative(options) })
  const { ids } = await pipeline.generate(prompt, { maxTokens })
  assertEquals(ids.length, maxTokens)
  return counted.take()
}

describe("a draft that is always right", () => {
  it("runs the base and the rewards once for each draft and one token more", async () => {
    for (const most of [1, 3, 7]) {
      const counted = countRuns(tables(guided))
      const { runs, read } = await spend(counted, { draft: { model: "draft" }, most })
      const least = maxTokens / (most + 1)
      // Some more at the start, where it is not known how good the draft is.
      assert(
        runs.base >= least && runs.base <= prompted + least + 8,
        `${runs.base} runs, ${least} at least`,
      )
      assertEquals(runs.kind, runs.base)
      assert(read.base <= maxTokens + 3 + most && read.kind === read.base)
    }
  })

  it("that is the reward's own model runs no other", async () => {
    const counted = countRuns({ base: { next: kind }, kind: { next: kind } })
    const { runs, read } = await spend(counted, { draft: { model: "kind" }, most: 4 })
    assert(runs.base < maxTokens / 5 + 8)
    // What it has drafted it need not read again to judge it.
    assert(read.kind <= maxTokens + 3 + 4, `${read.kind}`)
  })

  it("in turns runs each model once for a token at most, and the base more rarely", async () => {
    const counted = countRuns({ base: { next: kind }, kind: { next: kind } })
    const { runs } = await spend(counted, { draft: { model: "kind" }, most: 3, alternate: true })
    assert(runs.base < maxTokens / 3, `base: ${runs.base}`)
    assert(runs.kind <= maxTokens, `reward: ${runs.kind}`)
  })

  it("from the text itself costs no model anything", async () => {
    const cycle: Rule = (ids) => letters.map((_, id) => id === (ids.at(-1)! + 1) % size ? 9 : 1)
    const counted = countRuns({ base: { next: cycle }, kind: { next: cycle } })
    const { runs, read } = await spend(counted, { draft: "lookup" })
    assert(runs.base < maxTokens / 9 + 16, `${runs.base}`)
    assert(read.base <= maxTokens + 3 + 8)
  })
})

describe("a draft that is never right", () => {
  for (
    const [name, options] of Object.entries<SpeculativeOptions>({
      "by a model": { draft: { model: "draft" } },
      "by a model, in turns": { draft: { model: "draft" }, alternate: true },
    })
  ) {
    it(`${name} is soon left alone: few rows are run for nothing`, async () => {
      const { runs, read } = await spend(countRuns(tables(reversed(guided))), options)
      const plain = maxTokens + 2
      for (const model of ["base", "kind"]) {
        assert(runs[model] <= prompted + maxTokens, `${runs[model]} runs of ${model}`)
        assert(read[model] <= 1.05 * plain, `${read[model]} tokens read by ${model}`)
      }
      // It reads what others have written before it drafts again, but only now and then.
      assert(runs.draft <= 0.06 * maxTokens, `${runs.draft} runs of the draft`)
    })
  }

  it("by the text itself costs little", async () => {
    // Two tokens recur all the time, and never before the same third one.
    const vocabulary = [..."ab", ...Array.from({ length: 200 }, (_, i) => `<${i}>`)]
    const next: Rule = (ids) =>
      oneHot([2 + ids.length / 3, 0, 1][ids.length % 3], vocabulary.length)
    const counted = countRuns({ base: { vocabulary, next }, kind: { vocabulary, next } })
    const { runs, read } = await spend(counted, { draft: "lookup" }, [2, 0, 1])
    assert(runs.base >= maxTokens && runs.base <= prompted + maxTokens)
    assert(read.base > maxTokens + 3 && read.base <= 1.05 * maxTokens, `${read.base}`)
  })
})

describe("a draft that becomes good", () => {
  it("is taken up again, and one that becomes bad is left again", async () => {
    // The draft is wrong in the first third of the text, right in the second, wrong in the third.
    const [maxTokens, window] = [900, 150]
    const part = (ids: readonly number[]) => Math.floor((ids.length - 3) / (maxTokens / 3))
    const wrong = reversed(guided)
    const turning: Rule = (ids) => (part(ids) === 1 ? guided : wrong)(ids)
    const runsAt: number[] = []
    const counted = countRuns(tables(turning))
    await using pipeline = await open(counted, {
      ...graph,
      strategy: speculative({ draft: { model: "draft" } }),
    })
    let told = 0
    for await (const _ of pipeline.stream("abc", { maxTokens })) {
      told++
      if (told % window === 0) runsAt.push(counted.runs.base)
    }
    assertEquals(runsAt.length, 6)
    const [first, , , fourth, , last] = runsAt.map((runs, i) => runs - (runsAt[i - 1] ?? 0))
    assert(first > 140 && fourth < 90 && last > 130, `runs for each ${window} tokens: ${runsAt}`)
  })
})

describe("what drafts cost by the options", () => {
  it("changes how much is drafted, and nothing of the text", async () => {
    const texts = new Set<string>()
    const readBy: number[] = []
    for (const costs of [{ draft: 0, verify: 0 }, {}, { draft: 0.3, verify: 0.6 }, { draft: 9 }]) {
      const counted = countRuns(tables(guided))
      await using pipeline = await open(counted, {
        ...graph,
        strategy: speculative({ draft: { model: "draft" }, costs }),
      })
      texts.add((await pipeline.generate("abc", { maxTokens })).text)
      readBy.push(counted.runs.base)
    }
    await using plain = await open(countRuns(tables(guided)), graph)
    texts.add((await plain.generate("abc", { maxTokens })).text)
    assertEquals(texts.size, 1)
    assert(
      readBy[0] <= readBy[1] && readBy[2] > readBy[1] && readBy[3] >= maxTokens,
      `${readBy}`,
    )
  })
})
