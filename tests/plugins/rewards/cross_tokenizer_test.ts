import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import {
  arm,
  beamSearch,
  bestOfN,
  contrast,
  defineGraph,
  GenArmError,
  type GraphSpec,
  greedy,
  klBudget,
  lexicon,
  loadGraph,
  logitBias,
  type Pipeline,
  policyMixture,
  prompted,
  repetition,
  saveGraph,
  scale,
  speculative,
  sum,
  valueHead,
} from "genarm"
import type { PluginNode } from "genarm/plugin"
import { join } from "node:path"
import { describe, it } from "node:test"
import { crossTokenizer } from "../../../plugins/rewards/cross_tokenizer.ts"
import { open, type Table, watch, type Watched } from "../../decode/_pipelines.ts"
import { temporaryFolder } from "../../files/_altered.ts"
import { markov, type Rule, sharp } from "../strategies/_rules.ts"

/** A model that reads bytes: `<s>`, `</s>` and each byte, whose id is 2 more than it. */
const byteNames = [
  ...["<s>", "</s>"],
  ...Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`),
]
const bytesOf = (next: Rule): Table => ({ vocabulary: byteNames, bos: 0, eos: [1], next })
const bytes = (salt: number) => bytesOf(markov(salt, 3, byteNames.length))

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0")
}

const utf8 = new TextEncoder()
const byteIds = (text: string) => [...utf8.encode(text)].map((byte) => byte + 2)

/** A base of words, with a character in two halves, an end, and a token without text. */
const words = [
  ...["yes", " no", " so", "!", "é", "<0xC3>", "<0xA9>", "好", " a", "n", "o"],
  ...["<end>", "<pad>"],
]
const [half, otherHalf, end, pad] = ["<0xC3>", "<0xA9>", "<end>", "<pad>"].map((name) =>
  words.indexOf(name)
)
const baseRule = markov(3, 2, words.length)
const base: Table = { vocabulary: words, next: baseRule, eos: [end] }

/** What the base's ids are as bytes of the reward's model. */
function spelled(ids: readonly number[]): number[] {
  return ids.flatMap((id) => {
    if (id === half) return [0xC3 + 2]
    if (id === otherHalf) return [0xA9 + 2]
    return id === end ? [1] : id === pad ? [] : byteIds(words[id])
  })
}

/** The natural-log probability that a rule gives `ids` after `before`, worked out here. */
function logProb(rule: Rule, before: readonly number[], ids: readonly number[]): number {
  let total = 0
  ids.forEach((id, i) => {
    const masses = rule([...before, ...ids.slice(0, i)])
    total += Math.log(masses[id] / masses.reduce((a, b) => a + b))
  })
  return total
}

const cross = (
  of: PluginNode<"reward">,
  candidates = words.length,
): PluginNode<"reward"> => crossTokenizer({ of, candidates })

const rewards = (of: PluginNode<"reward">, weight = 1): Partial<GraphSpec> => ({
  rewards: { x: { reward: cross(of), weight } },
})

/** What the reward gives each token of the base after a text, by the token's name. */
async function scoresAfter(
  pipeline: Pipeline,
  prompt: string,
  ids: readonly number[],
): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (let id = 0; id < words.length; id++) {
    const { tokens } = await pipeline.score(prompt, [...ids, id])
    found.set(words[id], tokens.at(-1)!.rewards.x)
  }
  return found
}

const byteRule = markov(11, 3, byteNames.length)
const models = (): Watched => watch({ base, r: bytesOf(byteRule), other: bytes(12) })
const ofR = arm({ model: "r" })

describe("crossTokenizer over bytes", () => {
  const prompt = "yesé"
  const before = [0, ...byteIds(prompt)]
  const written = [words.indexOf(" no"), half]
  const writtenBytes = [...byteIds(" no"), 0xC3 + 2]

  it("gives a token the log-probability of its bytes after all bytes before it", async () => {
    await using pipeline = await open(models(), rewards(ofR))
    const found = await scoresAfter(pipeline, prompt, written)
    for (const [name, score] of found) {
      const ids = spelled([words.indexOf(name)])
      if (ids.length === 0) assertEquals(score, -Infinity, name)
      else assertAlmostEquals(score, logProb(byteRule, [...before, ...writtenBytes], ids), 2e-6)
    }
  })

  it("gives halves of a character together what they give it as a whole", async () => {
    await using pipeline = await open(models(), rewards(ofR))
    const halves = await pipeline.score(prompt, [half, otherHalf, end])
    const whole = await pipeline.score(prompt, [words.indexOf("é"), end])
    assertAlmostEquals(halves.rewards.x, whole.rewards.x, 1e-5)
    assertAlmostEquals(whole.rewards.x, logProb(byteRule, before, [...byteIds("é"), 1]), 1e-5)
    assertAlmostEquals(halves.tokens[0].rewards.x, logProb(byteRule, before, [0xC3 + 2]), 1e-6)
  })

  it("sums over a text to what the same reward is of it, for a base that reads bytes itself", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const tables = {
        base: { ...base, next: markov(seed, 3, words.length) },
        r: bytes(100 + seed),
      }
      await using guided = await open(watch(tables), rewards(ofR, 0.8))
      const { ids, tokens, text } = await guided.generate(prompt, { maxTokens: 25, seed })
      await using plain = await open(watch({ ...tables, byBytes: bytes(7) }), {
        base: "byBytes",
        rewards: { x: { reward: ofR, weight: 1 } },
      })
      // Half characters have no text: their bytes are given.
      const expected = (await plain.score(prompt, spelled(ids))).rewards.x
      const told = tokens.reduce((sum, { rewards }) => sum + rewards.x, 0)
      assertAlmostEquals(told, expected, 1e-4)
      assertAlmostEquals((await guided.score(prompt, ids)).rewards.x, expected, 1e-4)
      if (!ids.some((id) => [half, otherHalf, end].includes(id))) {
        assertAlmostEquals((await plain.score(prompt, text)).rewards.x, expected, 1e-4)
      }
    }
  })

  it("adds its weight times that to the base's scores", async () => {
    await using pipeline = await open(models(), rewards(ofR, 0.7))
    const { tokens: [{ top }] } = await pipeline.generate(prompt, {
      maxTokens: 1,
      trace: { top: words.length },
    })
    const masses = words.map((_, id) => {
      const guidance = id === pad ? -Infinity : 0.7 * logProb(byteRule, before, spelled([id]))
      return baseRule(idsOf(prompt))[id] * Math.exp(guidance)
    })
    const total = masses.reduce((a, b) => a + b)
    assertEquals(top!.length, words.length - 1)
    for (const { id, logprob } of top!) {
      assertAlmostEquals(Math.exp(logprob.guided), masses[id] / total, 1e-6)
    }
  })

  it("looks at the likeliest tokens only, and rules out the others", async () => {
    await using pipeline = await open(models(), {
      rewards: { x: { reward: cross(ofR, 4), weight: 1 } },
    })
    const options = { maxTokens: 1, trace: { top: words.length } }
    const { tokens: [{ top }] } = await pipeline.generate(prompt, options)
    const likeliest = baseRule(idsOf(prompt)).map((mass, id) => ({ mass, id }))
      .sort((a, b) => b.mass - a.mass || a.id - b.id).slice(0, 4).map(({ id }) => id)
    assertEquals(top!.map(({ id }) => id).sort(), likeliest.sort())
  })

  it("has no end where its model has none, and rules it out", async () => {
    const { eos: _, ...endless } = bytesOf(byteRule)
    await using pipeline = await open(watch({ base, r: endless }), rewards(ofR))
    const found = await scoresAfter(pipeline, prompt, [])
    assertEquals(found.get("<end>"), -Infinity)
    assert(found.get("!")! > -Infinity)
  })

  it("rules out what its bytes cannot spell, and all that follows", async () => {
    const few: Table = { vocabulary: ["y", "e", "s", "!", "</s>"], eos: [4], next: markov(2, 2, 5) }
    // Of weight 0 it is told, and leaves tokens to write.
    await using pipeline = await open(watch({ base, r: few }), rewards(ofR, 0))
    const found = await scoresAfter(pipeline, "yes", [])
    const possible = [...found].filter(([, score]) => score > -Infinity).map(([name]) => name)
    assertEquals(possible, ["yes", "!", "<end>"])
    const after = await scoresAfter(pipeline, "yes", [words.indexOf(" no")])
    assertEquals(new Set(after.values()), new Set([-Infinity]))
  })

  it("is NaN nowhere where its model finds a text impossible", async () => {
    const strict: Table = bytesOf((ids) =>
      byteNames.map((_, id) => id === 2 + 33 && ids.length ? 0 : 1)
    )
    await using pipeline = await open(watch({ base, r: strict }), rewards(ofR))
    const { tokens, rewards: { x } } = await pipeline.score("yes", [3, 0, 3])
    assertEquals(tokens.map(({ rewards }) => rewards.x), [
      -Infinity,
      Math.fround(logProb(strict.next as Rule, [0], byteIds("yes"))),
      -Infinity,
    ])
    assertEquals(x, -Infinity)
  })

  /** The ids of a text of the base. */
  function idsOf(text: string): number[] {
    const ids: number[] = []
    for (let at = 0; at < text.length; at += words[ids.at(-1)!].length) {
      ids.push(words.findIndex((word) => text.startsWith(word, at)))
    }
    return ids
  }
})

describe("rewards inside of crossTokenizer", () => {
  const prompt = "yes"
  const ids = [1, 4, 0, 8, end]
  const text = [...byteIds(" noéyes a"), 1]
  const of = (salt: number, ...before: readonly number[]) =>
    logProb(markov(salt, 3, byteNames.length), [0, ...before, ...byteIds(prompt)], text)
  const [r, other] = [11, 12].map((salt) => of(salt))
  const cases: Record<string, readonly [PluginNode<"reward">, number]> = {
    "a contrast": [contrast({ expert: "r", amateur: "other" }), r - other],
    "a sum": [sum({ of: [ofR, arm({ model: "other" })] }), r + other],
    "a scaled one": [scale({ of: ofR, by: -0.5 }), -0.5 * r],
    "scaled sums of contrasts": [
      scale({ of: sum({ of: [contrast({ expert: "r", amateur: "other" }), ofR] }), by: 2 }),
      2 * (2 * r - other),
    ],
    "a prefix": [prompted({ model: "r", prefix: "so! " }), of(11, ...byteIds("so! "))],
    "tokens of its own that are preferred": [
      sum({ of: [ofR, logitBias({ bias: { n: 2 } })] }),
      r + 2,
    ],
  }
  for (const [name, [reward, expected]] of Object.entries(cases)) {
    it(`may be ${name}`, async () => {
      const watched = models()
      await using pipeline = await open(watched, rewards(reward))
      const { rewards: { x } } = await pipeline.score(prompt, ids)
      assertAlmostEquals(x, expected, 1e-4)
      assertEquals(watched.openCaches(), 0)
    })
  }

  it("read prompts in the template of their term", async () => {
    await using pipeline = await open(models(), {
      rewards: { x: { reward: cross(ofR), weight: 1, template: "no{prompt}so" } },
    })
    const { rewards: { x } } = await pipeline.score(prompt, ids)
    const before = [0, ...byteIds("noyesso")]
    assertAlmostEquals(x, logProb(byteRule, before, text), 1e-4)
  })
})

describe("crossTokenizer over other tokenizers", () => {
  const pieces = ["<s>", "</s>", "no", " no", " noy", "yes", " so", "é", "好", " a", ..."yesno! a"]
  const rule = markov(21, 3, pieces.length)
  const table: Table = { vocabulary: pieces, bos: 0, eos: [1], next: rule }
  const encode = (text: string): number[] => {
    const ids: number[] = []
    while (text.length > 0) {
      const [best] = pieces.filter((piece) => text.startsWith(piece))
        .sort((a, b) => b.length - a.length)
      ids.push(pieces.indexOf(best))
      text = text.slice(best.length)
    }
    return ids
  }

  it("sums over a text to what it is of its words, whatever they looked like before", async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const tables = { base: { ...base, next: markov(seed, 2, words.length) }, r: table }
      await using pipeline = await open(watch(tables), rewards(ofR, seed / 4))
      const { text, tokens } = await pipeline.generate("yes", { maxTokens: 20, seed })
      const told = tokens.reduce((sum, { rewards }) => sum + rewards.x, 0)
      // A half that is never completed has no letter in the vocabulary: such texts are ruled out.
      const parts: readonly string[] = text.replace(/\uFFFD+$/, "").match(/\s*\S+/g) ?? []
      const ended = tokens.at(-1)!.id === end ? [1] : []
      const expected = logProb(rule, [0, ...encode("yes")], [...parts.flatMap(encode), ...ended])
      assertAlmostEquals(told, expected, 1e-4)
    }
  })

  it("spells a word anew as it grows", async () => {
    await using pipeline = await open(watch({ base, r: table }), rewards(ofR))
    // " no" is one token, and with a y it is another, though the base wrote it in two.
    const { tokens } = await pipeline.score("yes", [1, 0, 3])
    const total = (text: string) => logProb(rule, [0, ...encode("yes")], encode(text))
    const [a, b, c] = [" no", " noyes", " noyes!"].map(total)
    assertAlmostEquals(tokens[0].rewards.x, a, 1e-5)
    assertAlmostEquals(tokens[1].rewards.x, b - a, 1e-5)
    assertAlmostEquals(tokens[2].rewards.x, c - b, 1e-5)
  })
})

describe("crossTokenizer over a model that finds a word impossible", () => {
  it("rules it out, and gives what it grows into all that the text is worth", async () => {
    const pieces = [" no", " noy", ..."yesno! "]
    const chances = pieces.map((_, id) => id === 0 ? 0 : 1)
    const table: Table = { vocabulary: pieces, next: () => chances }
    await using pipeline = await open(watch({ base, r: table }), rewards(ofR))
    const { tokens } = await pipeline.score("yes", [1, 0, 3, 9])
    const each = Math.log(1 / 8)
    // " no" is impossible, " noyes" is three pieces, and then one is added at a time.
    const expected = [-Infinity, 3 * each, each, each]
    tokens.forEach(({ rewards }, i) => {
      if (i === 0) assertEquals(rewards.x, -Infinity)
      else assertAlmostEquals(rewards.x, expected[i], 1e-5)
    })
  })
})

describe("crossTokenizer under strategies, schedules and seeds", () => {
  const options = { maxTokens: 12, seed: 5 }
  const tables = {
    base: { ...base, next: sharp(markov(3, 2, words.length), 2) },
    r: bytesOf(byteRule),
    other: bytes(12),
  }
  const spec = rewards(contrast({ expert: "r", amateur: "other" }), 0.6)
  const contrastOf = (ids: readonly number[]) =>
    [11, -12].reduce(
      (sum, salt) =>
        sum + Math.sign(salt) * logProb(
            markov(Math.abs(salt), 3, byteNames.length),
            [0, ...byteIds("yes")],
            ids,
          ),
      0,
    )
  const strategies: Record<string, GraphSpec["strategy"] & object> = {
    "best of n": bestOfN({ n: 3 }),
    "beam search": beamSearch({ beams: 3 }),
    "speculation with a lookup": speculative({ draft: "lookup" }),
    "speculation with the base": speculative({ draft: { model: "base" } }),
  }
  for (const [name, strategy] of Object.entries(strategies)) {
    it(`tells each token of ${name} what it is worth after those before it`, async () => {
      const watched = watch(tables)
      await using pipeline = await open(watched, { ...spec, strategy })
      const { ids, tokens } = await pipeline.generate("yes", options)
      assertEquals(watched.openCaches(), 0)
      assert(ids.length > 1)
      ids.forEach((_, i) => {
        const [to, from] = [i + 1, i].map((length) => contrastOf(spelled(ids.slice(0, length))))
        assertAlmostEquals(tokens[i].rewards.x, to - from, 1e-4)
      })
    })
  }

  it("writes the same greedy text with and without drafts", async () => {
    const sampler = greedy()
    await using plain = await open(watch(tables), { ...spec, sampler })
    const { ids } = await plain.generate("yes", options)
    for (const draft of ["lookup", { model: "base" }] as const) {
      const strategy = speculative({ draft })
      await using drafted = await open(watch(tables), { ...spec, sampler, strategy })
      assertEquals((await drafted.generate("yes", options)).ids, ids)
    }
    await using single = await open(watch(tables), { ...spec, strategy: beamSearch({ beams: 1 }) })
    assertEquals((await single.generate("yes", options)).ids, ids)
  })

  it("writes one text for one seed, alone and beside others, on every runtime", async () => {
    await using pipeline = await open(watch(tables), spec)
    const alone = await pipeline.generate("yes", options)
    assertEquals((await pipeline.generate("yes", options)).tokens, alone.tokens)
    const [beside] = await pipeline.generateAll(["yes", " no", "!"], options)
    assertEquals(beside.tokens, alone.tokens)
    assertEquals(alone.ids, [7, 9, 6, 8, 6, 5, 5, 5, 11])
  })

  it("leaves the base as it is at weight 0, and is told all the same", async () => {
    await using plain = await open(watch(tables))
    const { ids } = await plain.generate("yes", options)
    await using pipeline = await open(watch(tables), {
      rewards: { x: { reward: cross(ofR, 2), weight: 0 } },
    })
    const found = await pipeline.generate("yes", options)
    assertEquals(found.ids, ids)
    found.tokens.forEach(({ id, rewards }, i) => {
      const before = [0, ...byteIds("yes"), ...spelled(ids.slice(0, i))]
      const expected = id === pad ? -Infinity : logProb(byteRule, before, spelled([id]))
      if (expected === -Infinity) assertEquals(rewards.x, expected)
      else assertAlmostEquals(rewards.x, expected, 1e-5)
    })
  })

  it("keeps the budget of its schedule, which sees the scores of candidates", async () => {
    for (const budget of [0.02, 0.2, 1]) {
      await using pipeline = await open(watch(tables), {
        rewards: { x: { reward: cross(ofR), weight: klBudget({ budget, most: 50 }) } },
      })
      const { tokens } = await pipeline.generate("yes", { ...options, trace: { top: 20 } })
      for (const { top, weights } of tokens) {
        const spent = top!.reduce(
          (sum, { logprob: { guided, base } }) =>
            sum + (guided === -Infinity ? 0 : Math.exp(guided) * (guided - base)),
          0,
        )
        if (weights.x === 0) assertAlmostEquals(spent, 0, 1e-6)
        else if (weights.x < 50) assertAlmostEquals(spent, budget, 0.01 * budget)
        assert(spent <= 1.01 * budget, `${spent}`)
      }
      assert(tokens.some(({ weights: { x } }) => x > 0 && x < 50))
    }
  })
})

describe("a crossTokenizer", () => {
  const reward = crossTokenizer({ of: contrast({ expert: "r", amateur: "other" }), candidates: 9 })

  it("is saved with what is inside, and is the same when it is loaded", async () => {
    using folder = temporaryFolder()
    const graph = defineGraph({ base: "base", rewards: { x: { reward, weight: 0.5 } } })
    for (const name of ["graph.json", "graph.yaml"]) {
      const file = join(folder.path, name)
      await saveGraph(graph, file)
      const loaded = await loadGraph(file)
      assertEquals(JSON.stringify(loaded), JSON.stringify(graph))
      const texts = []
      for (const { rewards } of [graph, loaded]) {
        await using pipeline = await open(models(), { rewards })
        texts.push((await pipeline.generate("yes", { maxTokens: 9, seed: 3 })).tokens)
      }
      assertEquals(texts[0], texts[1])
    }
  })

  it("stands in formulas under its name", () => {
    const graph = defineGraph({ base: "base", rewards: { kind: { reward, weight: 0.5 } } })
    assertEquals(String(graph), "base + 0.5*kind")
  })

  it("reads all models of one text side by side, and closes them", async () => {
    const watched = models()
    await using pipeline = await open(watched, { rewards: { x: { reward, weight: 0.5 } } })
    const texts = await pipeline.generateAll(["yes", " no", "é"], { maxTokens: 6, seed: 1, n: 2 })
    assertEquals([texts.length, watched.openCaches()], [6, 0])
  })
})

describe("crossTokenizer refuses", () => {
  const short: Table = { ...bytesOf(byteRule), contextLength: 10 }
  const tables = { ...{ base, r: bytesOf(byteRule), other: bytes(12), short }, words: base }
  const cases: Record<string, readonly [PluginNode<"reward">, string]> = {
    "a reward that runs no model": [
      lexicon({ words: { yes: 1 } }),
      'the reward "lexicon" runs no model, and needs no bridge',
    ],
    "one that keeps state of the tokens": [
      sum({ of: [ofR, repetition({ presence: 1 })] }),
      'the reward "sum" keeps state of the tokens',
    ],
    "one that reads the base beside its models": [
      policyMixture({ of: { a: { model: "r", weight: 0.3 }, b: { model: "other", weight: 0.7 } } }),
      "different tokenizers (base and of.a differ at id 0)",
    ],
    "models of two tokenizers": [
      contrast({ expert: "r", amateur: "words" }),
      'the models of the reward "contrast" have different tokenizers (expert and amateur differ',
    ],
    "rewards of candidates": [valueHead({ model: "r" }), '"valueHead" scores candidates or texts'],
    "another of its kind": [
      crossTokenizer({ of: ofR }),
      '"crossTokenizer" scores candidates or texts',
    ],
    "a context that is too short for the text": [
      arm({ model: "short" }),
      "the model's context holds 10",
    ],
  }
  for (const [name, [of, part]] of Object.entries(cases)) {
    it(name, async () => {
      const watched = watch(tables)
      const write = async () => {
        await using pipeline = await open(watched, rewards(of))
        await pipeline.generate("yesyes", { maxTokens: 5, seed: 1 })
      }
      const error = await assertRejects(write, GenArmError, part)
      assertEquals(error.reason._tag, "PluginFailed", error.message)
      assertEquals(watched.openCaches(), 0)
    })
  }

  it("options that mean nothing", () => {
    for (
      const [options, path] of [
        [{ of: ofR, candidates: 0 }, "candidates"],
        [{ of: ofR, candidates: 1.5 }, "candidates"],
        [{}, "of"],
        [{ of: "r" }, "of"],
        [{ of: ofR, bytes: true }, "bytes"],
        [{ of: ofR, longestMatch: "yes" }, "longestMatch"],
      ] as const
    ) {
      const error = assertThrows(() => crossTokenizer(options as never), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path: [path] })
    }
  })
})
