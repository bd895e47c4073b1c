import { assert, assertEquals } from "@std/assert"
import {
  arm,
  contrast,
  defineReward,
  type GenerateOptions,
  type Generation,
  type GraphSpec,
  greedy,
  logitBias,
  phases,
  type Prompt,
  prompted,
  speculative,
  type SpeculativeOptions,
} from "genarm"
import { describe, it } from "node:test"
import { letters, open, script, type Table } from "../../decode/_pipelines.ts"
import { countRuns } from "./_counting.ts"
import { markov, mostly, product, reversed } from "./_rules.ts"

const size = letters.length
const base = markov(1, 2, size)
const kind = markov(2, 2, size)
const guided = product([base, 1], [kind, 1.5])

/** Models that stand in several graphs and drafts. */
const models: Record<string, Table> = {
  base: { next: base },
  kind: { next: kind },
  wordy: { next: markov(3, 1, size) },
  few: { vocabulary: letters.slice(0, 7), next: markov(4, 2, 7) },
  perfect: { next: guided },
  fair: { next: mostly(guided, markov(5, 3, size), 3) },
  useless: { next: markov(6, 3, size) },
  liar: { next: reversed(guided) },
  half: { vocabulary: letters.slice(0, 5), next: (ids) => guided(ids).slice(0, 5) },
  stubborn: { next: () => letters.map((_, id) => id === 9 ? 1 : 0) },
}

/** Counts the vowels it has heard, and likes the text the less for it. */
const jaded = defineReward({
  name: "jaded",
  open: () => {
    let heard = 0
    return {
      score: (_, out) => out.forEach((_, id) => out[id] = id % 4 === 0 ? -0.7 * heard : 0),
      accept: (id) => void (heard += id % 4 === 0 ? 1 : -heard),
    }
  },
})

const kindly = { kind: { reward: arm({ model: "kind" }), weight: 1.5 } }

const graphs: Record<string, Partial<GraphSpec>> = {
  "no reward": {},
  "one reward": { rewards: kindly },
  "three rewards, one against": {
    rewards: {
      ...kindly,
      wordy: { reward: arm({ model: "wordy" }), weight: -0.6 },
      apart: { reward: contrast({ expert: "few", amateur: "base" }), weight: 0.5 },
    },
  },
  "weights that change": {
    rewards: {
      kind: {
        reward: arm({ model: "kind" }),
        weight: phases({
          phases: [{ weight: 0, tokens: 7 }, { weight: 3, tokens: 4 }, { weight: -1 }],
        }),
      },
    },
  },
  "a reward with a memory": { rewards: { ...kindly, jaded: { reward: jaded(), weight: 1 } } },
  "biases and bans": {
    rewards: {
      ...kindly,
      bias: { reward: logitBias({ bias: { a: "ban", b: 2, j: "ban", c: -1 } }), weight: 1 },
    },
  },
  "a prompt of its own for the reward": {
    rewards: { p: { reward: prompted({ prefix: "badge" }), weight: 1 } },
  },
}

const drafts: Record<string, SpeculativeOptions["draft"]> = {
  "the text itself": "lookup",
  "the reward's model": { model: "kind" },
  "the base": {},
  "the base with another prompt": { template: "cab{prompt}" },
  "a perfect model": { model: "perfect" },
  "a fair model": { model: "fair" },
  "a useless model": { model: "useless" },
  "a model of the opposite": { model: "liar" },
  "a model that lacks tokens": { model: "half" },
  "a model that says one thing": { model: "stubborn" },
}

/** Costs that make every draft worth it, so that the adapting never hides a mistake. */
const free = { draft: 0, verify: 0 }

/** Holds speculation to the text that plain decoding writes; gives the runs that each took. */
async function compare(
  graph: Partial<GraphSpec>,
  options: SpeculativeOptions,
  { prompt = "abcab", tables = models, ...request }: GenerateOptions & {
    readonly prompt?: Prompt
    readonly tables?: Record<string, Table>
  },
): Promise<{ readonly text: Generation; readonly plain: number; readonly fast: number }> {
  const counted = countRuns(tables)
  const spec = { ...graph, sampler: greedy() }
  await using plain = await open(counted, spec)
  await using fast = await open(counted, { ...spec, strategy: speculative(options) })
  const text = await plain.generate(prompt, { seed: 1, ...request })
  const plainRuns = counted.take().runs.base
  assertEquals(await fast.generate(prompt, { seed: 1, ...request }), text)
  assertEquals(counted.openCaches(), 0)
  return { text, plain: plainRuns, fast: counted.take().runs.base }
}

describe("speculative decoding with a greedy sampler writes what plain decoding writes", () => {
  for (const [graphName, graph] of Object.entries(graphs)) {
    it(`for ${graphName}, whoever drafts`, async () => {
      for (const [i, draft] of Object.values(drafts).entries()) {
        for (const most of [1 + i % 3, 4 + i % 5]) {
          for (const alternate of draft === "lookup" ? [false] : [false, true]) {
            await compare(graph, { draft, most, alternate, costs: free }, { maxTokens: 30 })
          }
        }
        await compare(graph, { draft }, { maxTokens: 30, trace: { top: 3 } })
      }
    })
  }

  it("where drafts are accepted, refused, or both", async () => {
    const graph = { rewards: kindly }
    const costs = free
    const runs = async (draft: SpeculativeOptions["draft"]) =>
      (await compare(graph, { draft, most: 4, costs }, { maxTokens: 60 })).fast
    const perfect = await runs({ model: "perfect" })
    // 60 tokens, five a run; and a run of the prompt.
    assert(perfect === 12 || perfect === 13, `perfect: ${perfect}`)
    const fair = await runs({ model: "fair" })
    assert(fair > 15 && fair < 45, `fair: ${fair}`)
    assert(await runs({ model: "useless" }) > 45)
    assert(await runs({ model: "liar" }) >= 60)
    const looked = await runs("lookup")
    assert(looked < 45, `looked up: ${looked}`)
  })

  it("for every length of text and of draft", async () => {
    for (let most = 1; most <= 8; most++) {
      for (let maxTokens = 1; maxTokens <= 11; maxTokens++) {
        for (const draft of [{ model: "perfect" }, { model: "fair" }, "lookup"] as const) {
          const options = { draft, most, costs: free }
          const { text } = await compare({ rewards: kindly }, options, { maxTokens })
          assertEquals([text.ids.length, text.stopReason], [maxTokens, "length"])
        }
      }
    }
  })

  it("for prompts of ids, conversations, a first token and a prompt of one token", async () => {
    const options = { draft: { model: "fair" }, costs: free, alternate: true }
    const maxTokens = 20
    const graph = { rewards: kindly }
    await compare(graph, options, { maxTokens, prompt: [1, 2, 3, 1, 2] })
    await compare(graph, options, { maxTokens, prompt: "j" })
    const prompt = [{ role: "user", content: "abc" }, { role: "assistant", content: "cab" }]
    await compare(graph, options, { maxTokens, prompt: prompt as Prompt })
    const begun = Object.fromEntries(
      Object.entries(models).map(([name, model]) => [name, { ...model, bos: 3 }]),
    )
    await compare(graph, options, { maxTokens, tables: begun })
    await compare(graph, { ...options, alternate: false }, { maxTokens, tables: begun, prompt: "" })
  })
})

/** A model that says the alphabet, and one that knows that it does. */
const spelled = script([1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5])
const alphabet: Record<string, Table> = {
  base: { next: spelled },
  same: { next: spelled },
}

describe("a text that ends inside of a draft", () => {
  const options = { draft: { model: "same" }, most: 8, costs: free }
  const ends = (request: GenerateOptions, tables = alphabet) =>
    compare({}, options, { prompt: "a", tables, maxTokens: 15, ...request })

  it("by a stop string ends there, though more was accepted", async () => {
    for (const stop of [["e"], ["fg"], ["hija"], ["cd", "de"], ["bcd"], ["ab", "xyz", "jab"]]) {
      const { text, plain, fast } = await ends({ stop })
      assertEquals(text.stopReason, "stop")
      assert(fast < plain, `${fast} runs instead of ${plain}`)
    }
    const { text } = await ends({ stop: ["fg"] })
    assertEquals([text.text, text.ids.length], ["bcde", 6])
  })

  it("holds back what may become a stop string, and brings it if it does not", async () => {
    const { text } = await ends({ stop: ["cdx", "efghx", "ijab!"] })
    assertEquals([text.text, text.stopReason], ["bcdefghijabcdef", "length"])
  })

  it("by an end token has that token as its last", async () => {
    for (let end = 1; end <= 9; end++) {
      const tables = { ...alphabet, base: { ...alphabet.base, eos: [end] } }
      const { text } = await ends({}, tables)
      assertEquals([text.ids.at(-1), text.ids.length, text.stopReason], [end, end, "eos"])
    }
  })

  it("by the limit of tokens never runs more than may be written", async () => {
    const counted = countRuns(alphabet)
    await using fast = await open(counted, { sampler: greedy(), strategy: speculative(options) })
    for (let maxTokens = 1; maxTokens <= 15; maxTokens++) {
      await fast.generate("a", { maxTokens })
      assertEquals(counted.take().read.base, maxTokens)
    }
  })
})

describe("a context that fills up", () => {
  const contexts = (base: number, kind: number, perfect: number): Record<string, Table> => ({
    base: { next: markov(1, 2, size), contextLength: base },
    kind: { next: markov(2, 2, size), contextLength: kind },
    perfect: { next: guided, contextLength: perfect },
  })
  const graph = { rewards: kindly }

  it("ends a text as it does without drafts", async () => {
    for (const alternate of [false, true]) {
      for (let context = 5; context <= 20; context++) {
        for (const tables of [contexts(context, 30, 30), contexts(30, context, 30)]) {
          for (const model of ["kind", "perfect"]) {
            const options = { draft: { model }, alternate, costs: free }
            const { text } = await compare(graph, options, { tables })
            assertEquals([text.ids.length, text.stopReason], [context - 4, "length"])
          }
        }
      }
    }
  })

  it("of a model that only drafts ends the drafts, not the text", async () => {
    for (const alternate of [false, true]) {
      for (let context = 5; context <= 20; context++) {
        const options = { draft: { model: "perfect" }, alternate, costs: free }
        const tables = contexts(30, 30, context)
        const { text } = await compare(graph, options, { tables })
        assertEquals([text.ids.length, text.stopReason], [26, "length"])
      }
    }
  })
})
