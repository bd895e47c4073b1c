import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  beamSearch,
  bestOfN,
  defineGraph,
  defineReward,
  GenArmError,
  type GraphSpec,
  greedy,
  openPipeline,
  type Prompt,
} from "genarm"
import type { Candidates, PluginNode, RewardSource, TextModel } from "genarm/plugin"
import { describe, it } from "node:test"
import { model } from "../../examples/_models.ts"
import { runningWithin } from "../_opened.ts"
import { markov, type Rule } from "../plugins/strategies/_rules.ts"
import { drive, finish } from "./_driven.ts"
import { letters, open, type Table, watch, type Watched } from "./_pipelines.ts"

const rule = markov(5, 3, letters.length)
const winding: Record<string, Table> = {
  base: { next: markov(7, 3, letters.length) },
  own: { next: rule },
}

/** Log-probabilities after ids, worked out here. */
function rowAfter(ids: readonly number[], next: Rule = rule): number[] {
  const masses = next(ids)
  const sum = masses.reduce((a, b) => a + b)
  return masses.map((mass) => Math.log(mass / sum))
}

function assertRow(found: Float32Array, expected: readonly number[]): void {
  assertEquals(found.length, expected.length)
  expected.forEach((value, id) => assertAlmostEquals(found[id], value, 1e-6))
}

type Look = (own: TextModel, candidates: Candidates) => Promise<ArrayLike<number>>

/** A reward that reads candidates with a model of its own. */
const reading = (look: Look, source: RewardSource = {}): PluginNode<"reward"> =>
  defineReward({
    name: "reading",
    models: () => ({ own: { model: "own", ...source } }),
    open: (_, __, { own }) => {
      const at = (own: TextModel) => ({
        candidates: 4,
        scoreCandidates: (candidates: Candidates) => look(own, candidates),
        fork: (models: Readonly<Record<string, TextModel>>) => at(models.own),
      })
      return at(own)
    },
  })()

/** What `arm` gives, by reading: the text so far is the beginning, and nothing goes on from it. */
const asArm: Look = async ({ promptIds, read }, { ids, written }) => {
  const text = [...promptIds, ...written]
  const [[row]] = await read([text], text.length)
  return ids.map((id) => row[id])
}

/** The likeliest chance after each candidate: all candidates are read. */
const ahead: Look = async ({ promptIds, read }, { ids, written }) => {
  const text = [...promptIds, ...written]
  const rows = await read(ids.map((id) => [...text, id]), text.length)
  return rows.map(([, after]) => Math.max(...after))
}

const rewardsOf = (look: Look, weight = 1, source: RewardSource = {}): Partial<GraphSpec> => ({
  rewards: { x: { reward: reading(look, source), weight } },
})

/** Runs a test inside of a reward that reads, on its first step. */
async function inside(
  use: (own: TextModel, models: Metered) => Promise<void>,
  tables: Readonly<Record<string, Table>> = winding,
  { prompt = "ab", source = {}, base = {} }: {
    readonly prompt?: Prompt
    readonly source?: RewardSource
    readonly base?: { readonly template?: string }
  } = {},
): Promise<void> {
  const models = metered(tables)
  const used = async (own: TextModel, { ids }: Candidates) => {
    await use(own, models)
    return ids.map(() => 0)
  }
  await using pipeline = await open(models, {
    base: { model: "base", ...base },
    ...rewardsOf(used, 1, source),
  })
  await pipeline.generate(prompt, { maxTokens: 1 })
  assertEquals(models.openCaches(), 0)
}

interface Metered extends Watched {
  /** For each call of the model "own" the tokens of each of its rows. */
  readonly forwards: number[][]
  /** Hears of a call that has run, and gives what it has when it is released. */
  onRun?: () => void
  released?: Promise<void>
}

/** Models that tell over how many tokens "own" was run, whether or not a row was asked for. */
function metered(tables: Readonly<Record<string, Table>> = winding): Metered {
  const models = watch(tables)
  const forwards: number[][] = []
  const runtime = runningWithin(models.runtime, async (engine, rows, forward) => {
    if (engine.name !== "own") return await forward(rows)
    forwards.push(rows.map(({ tokens }) => tokens.length))
    const results = await forward(rows)
    metered.onRun?.()
    await metered.released
    return results
  })
  const metered: Metered = { ...models, runtime, forwards }
  return metered
}

describe("a model that a reward reads texts with", () => {
  it("gives the rows after the shared ids and after each one that follows, text by text", async () => {
    await inside(async ({ promptIds, read, width }) => {
      assertEquals([promptIds, width], [[0, 1], letters.length])
      const texts = [[2, 3], [2], [2, 3, 4, 5], [2, 9], [2, 3]].map((ids) => [...promptIds, ...ids])
      const rows = await read(texts, 3)
      assertEquals(rows.map(({ length }) => length), [2, 1, 4, 2, 2])
      rows.forEach((ofText, text) =>
        ofText.forEach((row, i) => assertRow(row, rowAfter(texts[text].slice(0, 3 + i))))
      )
      assertEquals(await read([], 3), [])
    })
  })

  it("reads a text that is the beginning of another with that one", async () => {
    await inside(async ({ read }, { forwards }) => {
      const texts = [[1, 2], [1, 2, 3, 4], [1, 5], [1], [1, 2, 3], [1, 5], [1, 2, 3, 6]]
      const rows = await read(texts, 1)
      assertEquals(forwards, [[1], [3, 3, 1]])
      texts.forEach((ids, text) => {
        assertEquals(rows[text].length, ids.length)
        rows[text].forEach((row, i) => assertRow(row, rowAfter(ids.slice(0, 1 + i))))
      })
      forwards.length = 0
      assertRow((await read([[1, 2, 3]], 3))[0][0], rowAfter([1, 2, 3]))
      assertEquals(forwards, [])
    })
  })

  it("guides as the same model does in a row of the batch", async () => {
    const options = { maxTokens: 40, seed: 3 }
    await using byRows = await open(watch(winding), {
      rewards: { x: { reward: arm({ model: "own" }), weight: 2 } },
    })
    const models = watch(winding)
    const whole = defineReward({
      name: "whole",
      models: () => ({ own: { model: "own" } }),
      open: (_, __, { own }) => ({
        candidates: letters.length,
        scoreCandidates: (candidates) => asArm(own, candidates),
      }),
    })
    await using byReading = await open(models, { rewards: { x: { reward: whole(), weight: 2 } } })
    const expected = await byRows.generate("cab", options)
    const found = await byReading.generate("cab", options)
    assertEquals(found.tokens, expected.tokens)
    assertEquals(
      (await byReading.score("cab", found.ids)).tokens,
      (await byRows.score("cab", found.ids)).tokens,
    )
    assertEquals(models.openCaches(), 0)
  })

  it("reads each token of a text once: the chosen candidate is what the next step goes on from", async () => {
    const models = metered()
    await using pipeline = await open(models, rewardsOf(ahead))
    await pipeline.generate("cab", { maxTokens: 5, seed: 1 })
    assertEquals(models.forwards, [[3], ...Array.from({ length: 5 }, () => [1, 1, 1, 1])])
  })

  it("reads only what is new of a text that none of the candidates was", async () => {
    const models = metered()
    await using pipeline = await open(models, rewardsOf(asArm))
    await pipeline.generate("cab", { maxTokens: 5, seed: 1 })
    assertEquals(models.forwards, [[3], [1], [1], [1], [1]])
  })

  it("goes back to a beginning of what it has read without reading it again", async () => {
    await inside(async ({ read }, { forwards }) => {
      const text = [0, 1, 2, 3, 4, 5]
      await read([text], 2)
      assertEquals(forwards, [[2], [4]])
      for (const [from, more] of [[6, []], [4, [[1]]], [4, []], [3, [[1]]], [6, [[3]]]] as const) {
        forwards.length = 0
        const [[row]] = await read([text.slice(0, from)], from)
        assertRow(row, rowAfter(text.slice(0, from)))
        assertEquals(forwards, more as never, `from ${from}`)
      }
      // Where nothing is shared it begins anew.
      forwards.length = 0
      const [[row]] = await read([[7, 7, 7]], 3)
      assertRow(row, rowAfter([7, 7, 7]))
      assertEquals(forwards, [[3]])
    })
  })

  it("keeps what its last call has read, and nothing from before", async () => {
    await inside(async ({ read }, models) => {
      const open = models.openCaches()
      for (const [ids, kept] of [[[1, 2, 3], 4], [[4, 5], 3], [[], 1]] as const) {
        await read([[0], ...ids.map((id) => [0, id])], 1)
        assertEquals(models.openCaches(), open + kept)
      }
    })
  })

  it("keeps the rows between the beginning and the end of what it has read", async () => {
    await inside(async ({ read }, { forwards }) => {
      await read([[0, 1, 2, 3, 4]], 2)
      forwards.length = 0
      const [[row]] = await read([[0, 1, 2, 3]], 4)
      assertRow(row, rowAfter([0, 1, 2, 3]))
      assertEquals(forwards, [])
    })
  })

  it("is asked again while it reads, and answers in turn", async () => {
    await inside(async ({ read }) => {
      const texts = [[0, 1, 2], [0, 1, 3, 4], [5], [0, 1, 2, 6, 7], [0]]
      const given = await Promise.all(texts.map((text) => read([text], 1)))
      given.forEach(([rows], text) =>
        rows.forEach((row, i) => assertRow(row, rowAfter(texts[text].slice(0, 1 + i))))
      )
      const failing = read([[99]], 1)
      const after = read([[0, 1]], 2)
      await assertRejects(() => failing, GenArmError)
      assertRow((await after)[0][0], rowAfter([0, 1]))
    })
  })

  it("does not mind what becomes of the lists that it was given", async () => {
    await inside(async ({ read }) => {
      const text = [0, 1, 2, 3]
      const reading = read([text], 2)
      text[3] = 9
      assertRow((await reading)[0][2], rowAfter([0, 1, 2, 3]))
      assertRow((await read([text], 2))[0][2], rowAfter([0, 1, 2, 9]))
      text[2] = 5
      assertRow((await read([[0, 1, 2, 9, 4]], 4))[0][1], rowAfter([0, 1, 2, 9, 4]))
    })
  })

  it("has the vocabulary of its own, whose texts it spells", async () => {
    const own: Table = {
      vocabulary: ["<bos>", "x", "xy", "<0xC3>", "<0xA9>", "<end>"],
      next: () => [1, 1, 1, 1, 1, 1],
      bos: 0,
      eos: [5],
      contextLength: 33,
      padding: 2,
    }
    const template = "x{prompt}x"
    await inside(
      (own) => {
        assertEquals(own.promptIds, [0, 1, 2, 1])
        assertEquals([own.width, own.vocabularySize, own.contextLength], [8, 8, 33])
        assertEquals([own.eos, own.labels], [[5], undefined])
        assertEquals([own.token(2), own.token(6)], ["xy", undefined])
        assertEquals(own.encode("xyé"), [2, 3, 4])
        assertEquals(own.decode([2, 3, 4, 5]), "xyé")
        return Promise.resolve()
      },
      { base: { vocabulary: ["x", "y"], next: () => [1, 1] }, own },
      { prompt: "xy", source: { template } },
    )
  })
})

describe("the prompt of such a model", () => {
  const upper: Table = { vocabulary: [..."_abcdefghij"], next: () => Array(11).fill(1), bos: 0 }
  const cases = {
    "is a text in its own ids": [{ prompt: "cab" }, [0, 3, 1, 2]],
    "is put to it in its own template": [
      { prompt: "cab", source: { template: "j{prompt}i" } },
      [0, 10, 3, 1, 2, 9],
    ],
    "follows its prefix": [{ prompt: "cab", source: { prefix: "ij" } }, [0, 9, 10, 3, 1, 2]],
    "is what messages say": [
      { prompt: [{ role: "user", content: "ca" }, { role: "assistant", content: "b" }] },
      [0, 3, 1, 2],
    ],
    "is the text of ids, which are the base's": [{ prompt: [2, 0, 1] }, [0, 3, 1, 2]],
  } as const
  for (const [name, [given, expected]] of Object.entries(cases)) {
    it(name, () =>
      inside(
        (own) => Promise.resolve(assertEquals(own.promptIds, expected)),
        { ...winding, own: upper },
        given,
      ))
  }

  it("is ids as they are where both models mean the same by them", () =>
    inside(
      (own) => Promise.resolve(assertEquals(own.promptIds, [2, 0, 1])),
      { ...winding, own: { ...winding.own, vocabulary: [...letters], bos: 9 } },
      { prompt: [2, 0, 1] },
    ))

  it("is read once for texts that begin together", async () => {
    const models = watch(winding)
    await using pipeline = await open(models, rewardsOf(asArm))
    const long = "abcdefghij".repeat(3)
    await pipeline.generateAll([long, long, long], { maxTokens: 1, seed: 1 })
    assertEquals([models.calls.own, models.openCaches()], [1, 0])
  })
})

describe("copies of a text that is read", () => {
  const strategies = { bestOfN: bestOfN({ n: 3 }), beamSearch: beamSearch({ beams: 3 }) }
  for (const [name, strategy] of Object.entries(strategies)) {
    it(`read on by themselves under ${name}`, async () => {
      const options = { maxTokens: 6, seed: 2 }
      const models = watch(winding)
      await using found = await open(models, { ...rewardsOf(ahead), strategy })
      const { ids, tokens } = await found.generate("cab", options)
      assertEquals(models.openCaches(), 0)
      const prompt = [2, 0, 1]
      ids.forEach((id, i) => {
        const after = rowAfter([...prompt, ...ids.slice(0, i), id])
        assertAlmostEquals(tokens[i].rewards.x, Math.max(...after), 1e-6)
      })
    })
  }

  it("go on after their original has been closed, and read nothing again", async () => {
    const models = metered()
    const { ids, tokens } = await drive(models, async (sequence) => {
      await sequence.step()
      await sequence.evaluate()
      const copy = sequence.fork()
      const other = sequence.fork()
      sequence.close()
      await other.step()
      models.forwards.length = 0
      await finish(other)
      // Each reads its candidates, and nothing of the text again.
      assertEquals(models.forwards, [[1, 1, 1, 1]])
      other.close()
      return copy
    }, { spec: rewardsOf(ahead), prompt: "cab", maxTokens: 3 })
    assertEquals(models.openCaches(), 0)
    ids.forEach((_, i) => {
      const after = rowAfter([2, 0, 1, ...ids.slice(0, i + 1)])
      assertAlmostEquals(tokens[i].rewards.x, Math.max(...after), 1e-6)
    })
  })

  it("and texts that are taken back are read as they are now", async () => {
    const models = metered()
    const { ids, tokens } = await drive(models, async (sequence) => {
      const first = await sequence.step()
      await sequence.step()
      await sequence.step()
      sequence.rewind(3)
      const scores = await sequence.evaluate()
      const another = scores.findIndex((score, id) => score > -Infinity && id !== first)
      sequence.accept(another, 0)
    }, { spec: rewardsOf(ahead), prompt: "cab", maxTokens: 5 })
    assertEquals(models.openCaches(), 0)
    ids.slice(1).forEach((_, i) => {
      const after = rowAfter([2, 0, 1, ...ids.slice(0, i + 2)])
      assertAlmostEquals(tokens[i + 1].rewards.x, Math.max(...after), 1e-6)
    })
  })
})

describe("a text that ends while it is read", () => {
  /** Aborts, or closes, at the `at`-th row of the reward's model. */
  async function ending(at: number, end: "abort" | "close"): Promise<void> {
    let rows = 0
    let stop = () => {}
    const models = watch({
      ...winding,
      own: { next: (ids) => (++rows === at && stop(), rule(ids)) },
    })
    const spec = rewardsOf(ahead)
    const options = { maxTokens: 8, seed: 6 }
    const pipeline = await open(models, spec)
    const aborting = new AbortController()
    stop = () => void (end === "abort" ? aborting.abort(new Error("enough")) : pipeline.close())
    const error = await assertRejects(
      () => pipeline.generate("cab", { ...options, signal: aborting.signal }),
      GenArmError,
      end === "abort" ? "aborted: enough" : "closed",
    )
    assertEquals(error.reason._tag, end === "abort" ? "Aborted" : "Closed")
    assertEquals(models.openCaches(), 0)
    await using again = end === "abort" ? pipeline : await open(models, spec)
    await using fresh = await open(watch(winding), spec)
    assertEquals(
      (await again.generate("cab", options)).tokens,
      (await fresh.generate("cab", options)).tokens,
    )
    assertEquals(models.openCaches(), 0)
  }

  for (const end of ["abort", "close"] as const) {
    it(`frees all caches on ${end}, wherever it is, and others are written as ever`, async () => {
      for (const at of [1, 2, 4, 5, 6, 12]) await ending(at, end)
    })
  }

  it("frees those that a call runs at once, and gives that call and later ones nothing", async () => {
    for (const texts of [[[0, 1], [0, 2, 3]], [[0, 4, 5]]]) {
      const models = metered()
      let own: TextModel | undefined
      let reading: Promise<unknown> = Promise.resolve()
      let release = () => {}
      const caches = { before: 0, after: 0 }
      const aborting = new AbortController()
      const held: Look = async (model, { ids }) => {
        own = model
        await model.read([[0], [0, 4]], 1)
        const begun = new Promise<void>((resolve) => models.onRun = resolve)
        models.released = new Promise((resolve) => release = resolve)
        reading = model.read(texts, texts.length > 1 ? 1 : 3)
        reading.catch(() => {})
        await begun
        caches.before = models.openCaches()
        aborting.abort(new Error("enough"))
        caches.after = models.openCaches()
        return ids.map(() => 0)
      }
      await using pipeline = await open(models, rewardsOf(held))
      const writing = () => pipeline.generate("a", { maxTokens: 3, signal: aborting.signal })
      await assertRejects(writing, GenArmError, "aborted: enough")
      assert(caches.before > 1)
      assertEquals(caches.after, 0)
      release()
      for (const call of [() => reading, () => own!.read([[0]], 1)]) {
        const error = await assertRejects(call, GenArmError, "closed")
        assertEquals(error.reason._tag, "Closed")
      }
      assertEquals(models.openCaches(), 0)
    }
  })
})

describe("reading", () => {
  const cases: Record<string, readonly [readonly (readonly number[])[], number, string]> = {
    "from nothing": [[[1, 2]], 0, "from 0: expected a number of ids, 1 at least"],
    "from half an id": [[[1, 2]], 1.5, "from 1.5: expected"],
    "texts that begin differently": [
      [[1, 2, 3], [1, 2, 4], [1, 3, 3]],
      2,
      "from 2, and text 2 does not begin with the same 2 ids as text 0",
    ],
    "a text that is shorter than what all share": [
      [[1, 2, 3], [1, 2]],
      3,
      "from 3, and text 1 has 2 ids: expected no fewer",
    ],
    "only such a text": [[[1]], 2, "from 2, and text 0 has 1 ids"],
    "ids that the model does not have": [
      [[1, 2], [1, 10]],
      1,
      "text 1 with a wrong id: expected token ids of own, 0 to 9, found 10 at position 1",
    ],
    "an id that is no number": [[[1, NaN]], 1, "found NaN at position 1"],
    "more than the context holds": [
      [Array(13).fill(1)],
      1,
      "a text of 13 tokens, and the model's context holds 12: take fewer tokens, or a model with",
    ],
  }
  for (const [name, [texts, from, part]] of Object.entries(cases)) {
    it(`${name} fails the text, with the reward's name, and leaves nothing open`, async () => {
      const models = watch({ ...winding, own: { next: rule, contextLength: 12 } })
      const look: Look = async ({ read }, { ids }) => {
        await read(texts, from)
        return ids.map(() => 0)
      }
      await using pipeline = await open(models, {
        rewards: { mine: { reward: reading(look), weight: 1 } },
      })
      for (const run of [() => pipeline.generate("a"), () => pipeline.score("a", "bc")]) {
        const error = await assertRejects(run, GenArmError, part)
        assert(error.message.includes('"mine" (reading)'), error.message)
        assertEquals(error.reason, { _tag: "PluginFailed", plugin: "reading" })
        assertEquals(models.openCaches(), 0)
      }
    })
  }

  it("with a model that fails fails the text, and the next one is written", async () => {
    let fails = true
    const models = watch({
      ...winding,
      own: {
        next: (ids) => {
          if (fails && ids.length === 4) throw new Error("out of order")
          return rule(ids)
        },
      },
    })
    await using pipeline = await open(models, rewardsOf(ahead))
    const writing = () => pipeline.generate("cab", { maxTokens: 3, seed: 1 })
    const error = await assertRejects(writing, GenArmError, "out of order")
    assertEquals(error.reason, { _tag: "EngineFailed", engine: "own" })
    assertEquals(models.openCaches(), 0)
    fails = false
    await using fresh = await open(watch(winding), rewardsOf(ahead))
    assertEquals(
      (await writing()).tokens,
      (await fresh.generate("cab", { maxTokens: 3, seed: 1 })).tokens,
    )
  })

  it("goes on after it has failed", async () => {
    const models = watch(winding)
    const look: Look = async (own, candidates) => {
      await assertRejects(() => own.read([[77]], 1), GenArmError)
      return await ahead(own, candidates)
    }
    await using found = await open(models, rewardsOf(look))
    await using expected = await open(watch(winding), rewardsOf(ahead))
    const options = { maxTokens: 5, seed: 1 }
    assertEquals(
      (await found.generate("cab", options)).tokens,
      (await expected.generate("cab", options)).tokens,
    )
  })
})

describe("reading with a trained model", () => {
  const source = { model: model("cheerful-small") }
  const byReading = defineReward({
    name: "byReading",
    models: () => ({ own: source }),
    open: (_, __, { own }) => ({
      candidates: 2048,
      // Every candidate that is likely is read on too: what is kept is what the next step goes on from.
      async scoreCandidates({ ids, written }) {
        const text = [...own.promptIds, ...written]
        const likely = ids.slice(0, 5).map((id) => [...text, id])
        const [[row]] = await own.read([text, ...likely], text.length)
        return ids.map((id) => row[id])
      },
    }),
  })

  it("gives what the same model gives in a row of the batch", async () => {
    const graph = defineGraph({
      base: model("base"),
      rewards: {
        row: { reward: arm(source), weight: 0 },
        read: { reward: byReading(), weight: 1 },
      },
      sampler: greedy(),
    })
    await using pipeline = await openPipeline(graph, { threads: 1, onProgress: () => {} })
    const prompt = "One day, a little girl named Lily"
    const { text, tokens } = await pipeline.generate(prompt, { maxTokens: 12 })
    const scored = await pipeline.score(prompt, text)
    for (const told of [tokens, scored.tokens]) {
      for (const { rewards } of told) assertAlmostEquals(rewards.read, rewards.row, 1e-4)
    }
  })
})
