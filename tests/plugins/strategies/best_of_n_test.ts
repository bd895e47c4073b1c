import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import { arm, defineReward, GenArmError, type GraphSpec, greedy, logitBias } from "genarm"
import { describe, it } from "node:test"
import { bestOfN, type BestOfNOptions } from "../../../plugins/strategies/best_of_n.ts"
import { driven, finish } from "../../decode/_driven.ts"
import { always, letters, open, type Table, watch } from "../../decode/_pipelines.ts"
import { countRuns } from "./_counting.ts"
import { deviation } from "./_exact_texts.ts"
import { markov } from "./_rules.ts"

const size = letters.length
const tables: Record<string, Table> = {
  base: { next: markov(71, 2, size), eos: [4] },
  kind: { next: markov(72, 2, size) },
}
const rewards: GraphSpec["rewards"] = {
  kind: { reward: arm({ model: "kind" }), weight: 0.5 },
  vowels: { reward: logitBias({ bias: { a: 1, e: 1, i: 1 } }), weight: 2 },
}
const request = { seed: 3, maxTokens: 12 }

/** What each of `n` texts is, and how it is rewarded. */
async function all(n: number, spec: Partial<GraphSpec>) {
  const found: { ids: readonly number[]; rewards: Readonly<Record<string, number>> }[] = []
  const strategy = driven(async function* (sequence) {
    await sequence.evaluate()
    const texts = [sequence]
    while (texts.length < n) texts.push(sequence.fork())
    for (const text of texts) {
      await finish(text)
      found.push({ ids: [...text.ids], rewards: await text.rewards() })
    }
    yield sequence
  })
  await using pipeline = await open(watch(tables), { ...spec, strategy })
  await pipeline.generate("abc", request)
  return found
}

async function best(options: BestOfNOptions, spec: Partial<GraphSpec>) {
  await using pipeline = await open(watch(tables), { ...spec, strategy: bestOfN(options) })
  return await pipeline.generate("abc", request)
}

const first = <A>(items: readonly A[], worth: (item: A) => number) =>
  items.reduce((best, item) => worth(item) > worth(best) ? item : best)

describe("the best of n texts", () => {
  it("is the one with the greatest reward, of those that the seed gives", async () => {
    const texts = await all(8, { rewards })
    const { ids } = await best({ by: "kind" }, { rewards })
    assertEquals(ids, first(texts, ({ rewards }) => rewards.kind).ids)
    const sum = first(texts, ({ rewards }) => 0.5 * rewards.kind + 2 * rewards.vowels).ids
    assertEquals((await best({}, { rewards })).ids, sum)
    const vowels = (await best({ by: "vowels", n: 3 }, { rewards })).ids
    assertEquals(vowels, first(await all(3, { rewards }), ({ rewards }) => rewards.vowels).ids)
    // They are not the same text by chance.
    assert(new Set([ids, sum, vowels].map(String)).size > 1)
  })

  it("is the same for a seed on every machine", async () => {
    assertEquals((await best({ by: "vowels" }, { rewards })).text, "habgiiid")
  })

  it("of one is the text without a strategy", async () => {
    await using plain = await open(watch(tables), { rewards })
    assertEquals(await best({ n: 1 }, { rewards }), await plain.generate("abc", request))
  })

  it("of equals is the first", async () => {
    const none = { none: { reward: logitBias({ bias: {} }), weight: 1 } }
    const texts = await all(8, { rewards: none })
    assertEquals((await best({}, { rewards: none })).ids, texts[0].ids)
  })

  it("is judged as a whole by rewards of texts", async () => {
    const short = defineReward({
      name: "short",
      open: () => ({ scoreText: ({ text }) => -text.length }),
    })
    const spec = { rewards: { short: { reward: short(), weight: 1 } } }
    const { ids } = await best({ n: 6 }, spec)
    assertEquals(ids.length, Math.min(...(await all(6, spec)).map(({ ids }) => ids.length)))
  })

  it("has the distribution of the greatest of n draws, within the bound of its divergence", async () => {
    const [chances, n] = [[0.4, 0.3, 0.2, 0.1], 4]
    const watched = watch({ base: { vocabulary: ["a", "b", "c", "d"], next: always(...chances) } })
    const order = logitBias({ bias: { b: 1, c: 2, d: 3 } })
    await using pipeline = await open(watched, {
      rewards: { order: { reward: order, weight: 0 } },
      strategy: bestOfN({ n, by: "order" }),
    })
    let below = 0
    const exact = new Map(chances.map((chance, id) => {
      const before = below
      below += chance
      return [String(id), below ** n - before ** n]
    }))
    const divergence = [...exact.values()].reduce(
      (sum, p, id) => sum + p * Math.log(p / chances[id]),
      0,
    )
    assert(divergence < Math.log(n) - (n - 1) / n)
    const texts = await pipeline.generateAll(["a"], { maxTokens: 1, n: 400, seed: 5 })
    const found = deviation(texts.map(({ ids }) => String(ids[0])), exact)
    assert(found < 3.72, `${found} standard deviations`)
    assertAlmostEquals([...exact.values()].reduce((a, b) => a + b), 1, 1e-12)
  })

  it("reads the prompt once, and leaves no cache open", async () => {
    const counted = countRuns(tables)
    {
      await using pipeline = await open(counted, { rewards, strategy: bestOfN({ n: 5 }) })
      const { ids } = await pipeline.generate("abcdefghij", { ...request, maxTokens: 2 })
      // Ten of the prompt, and one for each text that goes on.
      assert(counted.read.base <= 10 + 5, `${counted.read.base} tokens for ${ids.length}`)
    }
    assertEquals(counted.openCaches(), 0)
  })

  it("needs a reward, and one that there is", async () => {
    const refused = async (options: BestOfNOptions, spec: Partial<GraphSpec>, message: string) => {
      const error = await assertRejects(() => best(options, spec), GenArmError, message)
      assertEquals(error.reason, {
        _tag: "InvalidGraph",
        path: ["strategy", "options", "by"],
      })
    }
    await refused({}, {}, "the graph has no rewards")
    await refused(
      { by: "kid" },
      { rewards },
      'the reward "kid", and the graph has kind, vowels: did you mean "kind"?',
    )
  })

  it("is the only one with a sampler that does not draw", async () => {
    await using plain = await open(watch(tables), { rewards, sampler: greedy() })
    const { ids } = await best({}, { rewards, sampler: greedy() })
    assertEquals(ids, (await plain.generate("abc", request)).ids)
  })
})
