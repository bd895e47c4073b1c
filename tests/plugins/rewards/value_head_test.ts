import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import {
  arm,
  beamSearch,
  bestOfN,
  defineGraph,
  GenArmError,
  type GraphSpec,
  greedy,
  openPipeline,
  type Pipeline,
  tableRuntime,
  type TableValueModel,
} from "genarm"
import { describe, it } from "node:test"
import { valueHead, type ValueHeadOptions } from "../../../plugins/rewards/value_head.ts"
import { fixture } from "../../_fixtures.ts"
import { tellingOpened } from "../../_opened.ts"
import { expectedValues, valueHead as valueFixture } from "../../_value_heads.ts"

/** Twenty-five tokens, the first the likeliest. */
const vocabulary = [..."abcdefghijklmnopqrstuvwxy"]
const falling = vocabulary.map((_, id) => 25 - id)
const base = { vocabulary, next: () => falling }

/** The value of a text is that of its last letter, and a tenth for each letter. */
const worth: Record<string, number> = { a: -2, b: 0.25, c: 0.5, d: 3, y: 50 }
const judged = (text: string) => (worth[text.at(-1)!] ?? 0) + text.length / 10
const textOf = (ids: readonly number[]) => ids.map((id) => vocabulary[id]).join("")
const judge: TableValueModel = { vocabulary, values: (ids) => [judged(textOf(ids))] }

/** Opens a base and one reward. */
function open(
  options: Partial<ValueHeadOptions>,
  model: TableValueModel = judge,
  spec: Partial<Omit<GraphSpec, "base">> & { readonly weight?: number } = {},
): Promise<Pipeline> {
  const { weight = 1, ...rest } = spec
  const graph = defineGraph({
    base: "base",
    rewards: { r: { reward: valueHead({ model: "judge", ...options }), weight } },
    ...rest,
  })
  return openPipeline(graph, { runtime: tableRuntime({ base, judge: model }) })
}

/** The guided probabilities of a step after "ab", by letter, and what the reward said. */
async function step(options: Partial<ValueHeadOptions>, weight = 1, model = judge) {
  await using pipeline = await open(options, model, { weight })
  const { tokens: [{ top }] } = await pipeline.generate("ab", { maxTokens: 1, trace: { top: 25 } })
  return new Map(top!.map(({ text, logprob, rewards }) => [
    text,
    { chance: Math.exp(logprob.guided), reward: rewards.r },
  ]))
}

/** Probabilities that are proportional to `p e^(w V)`, worked out here. */
function assertTilted(
  found: Awaited<ReturnType<typeof step>>,
  count: number,
  tilt: (letter: string) => number,
): void {
  const some = vocabulary.slice(0, count)
  assertEquals([...found.keys()].sort(), some)
  const masses = some.map((letter, id) => falling[id] * Math.exp(tilt(letter)))
  const sum = masses.reduce((a, b) => a + b)
  some.forEach((letter, id) =>
    assertAlmostEquals(found.get(letter)!.chance, masses[id] / sum, 2e-6)
  )
}

describe("valueHead", () => {
  it("adds w V(prompt, text, v) to the base's scores of its twenty likeliest tokens", async () => {
    for (const weight of [1, 0.3, -1]) {
      assertTilted(await step({}, weight), 20, (letter) => weight * judged(`ab${letter}`))
    }
    const found = await step({ candidates: 25 })
    assertTilted(found, 25, (letter) => judged(`ab${letter}`))
    assertAlmostEquals(found.get("d")!.reward, 3.3, 1e-6)
  })

  it("clamps to 0 to 1 in the form of RAD", async () => {
    const found = await step({ form: "rad" }, 30)
    assertTilted(found, 20, (letter) => 30 * Math.min(1, Math.max(0, judged(`ab${letter}`))))
    assertEquals(["a", "d"].map((letter) => found.get(letter)!.reward), [0, 1])
  })

  it("takes the log-probability of its label in the form of FUDGE", async () => {
    const several: TableValueModel = {
      vocabulary,
      labels: ["bad", "good"],
      values: (ids) => [judged(textOf(ids)), ids.length],
    }
    const chances = (text: string) => {
      const [bad, good] = [Math.exp(judged(text)), Math.exp(text.length)]
      return good / (bad + good)
    }
    const among = await step({ form: "fudge", label: "good" }, 2, several)
    assertTilted(among, 20, (letter) => 2 * Math.log(chances(`ab${letter}`)))
    const alone = await step({ form: "fudge" })
    assertTilted(alone, 20, (letter) => -Math.log(1 + Math.exp(-judged(`ab${letter}`))))
    const far: TableValueModel = { vocabulary, values: () => [-2000] }
    assertEquals((await step({ form: "fudge" }, 1, far)).get("a")!.reward, -2000)
  })

  it("takes one label of several, by name or number", async () => {
    const several: TableValueModel = {
      vocabulary,
      labels: ["length", "worth"],
      values: (ids) => [ids.length, judged(textOf(ids))],
    }
    for (const label of ["worth", 1]) {
      assertTilted(await step({ label }, 1, several), 20, (letter) => judged(`ab${letter}`))
    }
    assertEquals((await step({ label: 0 }, 1, several)).get("c")!.reward, 3)
  })

  it("sums to V(text) - V(prompt) with differences, which choose as the values do", async () => {
    const texts: string[] = []
    for (const difference of [false, true]) {
      await using pipeline = await open({ difference }, judge, { weight: 0.3 })
      const { text, tokens } = await pipeline.generate("ab", { maxTokens: 6, seed: 7 })
      texts.push(text)
      const { rewards, tokens: scored } = await pipeline.score("ab", text)
      const whole = judged(`ab${text}`)
      assertAlmostEquals(rewards.r, difference ? whole - judged("ab") : whole, 1e-5)
      const sum = tokens.reduce((sum, { rewards }) => sum + rewards.r, 0)
      if (difference) assertAlmostEquals(sum, whole - judged("ab"), 1e-5)
      tokens.forEach(({ rewards }, i) => assertAlmostEquals(rewards.r, scored[i].rewards.r, 1e-6))
    }
    assertEquals(texts[0], texts[1])
  })

  it("reads each candidate once, and the rest of the text never again", async () => {
    let read = 0
    const counting: TableValueModel = {
      vocabulary,
      values: (ids) => {
        read++
        return judge.values(ids)
      },
    }
    await using pipeline = await open({ candidates: 4 }, counting)
    await pipeline.generate("abcabc", { maxTokens: 5 })
    assertEquals(read, 1 + 5 * 4) // the prompt's end, and the candidates of each step
  })

  it("goes through forks and rewinds of strategies, and leaves no cache open", async () => {
    const engines = new Set<{ readonly openCaches: number }>()
    const runtime = tellingOpened(
      tableRuntime({ base, judge }),
      (engine) => void engines.add(engine as unknown as { openCaches: number }),
    )
    for (const difference of [false, true]) {
      for (const strategy of [beamSearch({ beams: 3 }), bestOfN({ n: 3 })]) {
        const graph = defineGraph({
          base: "base",
          rewards: { r: { reward: valueHead({ model: "judge", difference }), weight: 2 } },
          strategy,
        })
        const pipeline = await openPipeline(graph, { runtime })
        const { text, tokens } = await pipeline.generate("a", { maxTokens: 4, seed: 3 })
        tokens.forEach(({ rewards }, i) => {
          const [after, before] = [1, 0].map((more) => judged(`a${text.slice(0, i + more)}`))
          assertAlmostEquals(rewards.r, difference ? after - before : after, 1e-5)
        })
        await pipeline.close()
        assertEquals(new Set([...engines].map(({ openCaches }) => openCaches)), new Set([0]))
      }
    }
  })
})

describe("valueHead with a tokenizer of its own", () => {
  const words = ["yes", " no", "!", "<end>", "<other>"]
  const letters = [..."yesno! ", "<end>"]
  const models = (ends: boolean) => ({
    base: { vocabulary: words, next: () => [5, 4, 3, 2, 1], eos: [3] },
    judge: {
      vocabulary: letters,
      ...ends && { eos: [7] },
      // As a number that tells which ids were read.
      values: (ids: readonly number[]) => [ids.reduce((sum, id) => (sum * 9 + id + 1) % 9973, 0)],
    },
  })
  const idsOf = (text: string) => [...text].map((letter) => letters.indexOf(letter))
  const graph = defineGraph({
    base: "base",
    rewards: { r: { reward: valueHead({ model: "judge" }), weight: 1e-4 } },
    sampler: greedy(),
  })

  for (const ends of [true, false]) {
    it(`reads candidates' text in its ids, and the end ${ends ? "as its own" : "not at all"}`, async () => {
      const all = models(ends)
      await using pipeline = await openPipeline(graph, { runtime: tableRuntime(all) })
      const { tokens: [, { top }] } = await pipeline.generate("yes", {
        maxTokens: 2,
        trace: { top: 5 },
      })
      const found = Object.fromEntries(top!.map(({ id, rewards }) => [words[id], rewards.r]))
      const valueOf = (ids: readonly number[]) => all.judge.values([...idsOf("yes"), ...ids])[0]
      assertEquals(found, {
        "yes": valueOf(idsOf("yesyes")),
        " no": valueOf(idsOf("yes no")),
        "!": valueOf(idsOf("yes!")),
        "<end>": valueOf([...idsOf("yes"), ...ends ? [7] : []]),
      })
    })
  }
})

describe("valueHead over a published kind of folder", () => {
  const { ids, values } = expectedValues.reward
  const graph = (options: Partial<ValueHeadOptions>) =>
    defineGraph({
      base: fixture("llama"),
      rewards: {
        r: {
          reward: valueHead({
            model: fixture(valueFixture("reward")),
            candidates: 300,
            ...options,
          }),
          weight: 1,
        },
      },
    })

  it("gives each token transformers' value of the text up to it", async () => {
    await using pipeline = await openPipeline(graph({}))
    const scored = await pipeline.score(ids.slice(0, 30), ids.slice(30))
    scored.tokens.forEach(({ rewards }, i) => {
      assertAlmostEquals(rewards.r, values[30 + i][0], 1e-5)
    })
    assertAlmostEquals(scored.rewards.r, values[39][0], 1e-5)
  })

  it("runs at 8 bits too, and with an adapter", async () => {
    const { adapted } = expectedValues.reward
    const attention = fixture("../adapters/attention")
    await using changed = await openPipeline(graph({ adapter: attention, difference: true }))
    const scored = await changed.score(ids.slice(0, 30), ids.slice(30))
    assertAlmostEquals(scored.rewards.r, adapted![39][0] - adapted![29][0], 1e-5)
    await using quantised = await openPipeline(graph({ weights: "q8" }))
    const { rewards } = await quantised.score(ids.slice(0, 30), ids.slice(30))
    assert(Math.abs(rewards.r - values[39][0]) < 0.4, `${rewards.r}`)
  })
})

describe("valueHead refuses", () => {
  const several: TableValueModel = { ...judge, labels: ["bad", "good"], values: () => [1, 2] }

  for (
    const [what, options, model, part] of [
      [
        "no label of several",
        {},
        several,
        'judge has 2 labels: expected one of them, 0 "bad", 1 "good"',
      ],
      ["a name that no label has", { label: "best" }, several, '0 "bad", 1 "good", found "best"'],
      ["a number beyond the labels", { label: 2 }, several, '1 "good", found 2'],
      ["another number for the only one", { label: 1 }, judge, '0 "LABEL_0", found 1'],
      ["a language model", {}, base as never, "judge is a language model: expected a reward model"],
    ] as const
  ) {
    it(what, async () => {
      await using pipeline = await open(options, model)
      const writing = () => pipeline.generate("a", { maxTokens: 1 })
      const error = await assertRejects(writing, GenArmError, part)
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "valueHead" })
    })
  }

  it("options that mean nothing", () => {
    const wrong = [
      [{}, "model"],
      [{ model: "m", label: -1 }, "label"],
      [{ model: "m", label: "" }, "label"],
      [{ model: "m", form: "cd" }, "form"],
      [{ model: "m", candidates: 0 }, "candidates"],
    ] as const
    for (const [options, path] of wrong) {
      const error = assertThrows(() => valueHead(options as never), GenArmError)
      assertEquals(error.reason._tag, "InvalidOption")
      assert(error.message.includes(path), error.message)
    }
  })

  it("to be a base or what a reward reads rows of: a model with a value head cannot write", async () => {
    const runtime = tableRuntime({ base, judge: several })
    for (
      const [spec, needed] of [
        [{ base: "judge" }, "expected a language model as the base"],
        [
          { base: "base", rewards: { r: { reward: arm({ model: "judge" }), weight: 1 } } },
          'expected a language model for "r"',
        ],
      ] as const
    ) {
      const opening = () => openPipeline(spec, { runtime })
      const error = await assertRejects(opening, GenArmError, needed)
      assertEquals(error.reason, { _tag: "UnsupportedModel", model: "judge" })
      assert(error.message.includes("valueHead({ model })"))
    }
  })
})
