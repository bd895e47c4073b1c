import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { defineReward, GenArmError, type GraphSpec, logitBias } from "genarm"
import { describe, it } from "node:test"
import { passes, threshold } from "../../../plugins/strategies/_acceptance.ts"
import { cards, type CardsOptions } from "../../../plugins/strategies/cards.ts"
import { always, letters, open, type Table, watch } from "../../decode/_pipelines.ts"
import { markov } from "./_rules.ts"

const coin: Record<string, Table> = { base: { vocabulary: ["h", "t"], next: always(1, 1) } }
const heads: Partial<GraphSpec> = {
  rewards: { heads: { reward: logitBias({ bias: { h: 1 } }), weight: 0 } },
}

/** Tokens of each segment as they are told: what comes without another run of a model. */
async function segments(
  tables: Record<string, Table>,
  options: CardsOptions,
  { maxTokens, seed = 1 }: { readonly maxTokens: number; readonly seed?: number },
  spec: Partial<GraphSpec> = heads,
): Promise<number[][]> {
  const watched = watch(tables)
  const found: number[][] = []
  {
    await using pipeline = await open(watched, { ...spec, strategy: cards(options) })
    let calls = -1
    for await (const { id } of pipeline.stream([0], { maxTokens, seed })) {
      if (watched.calls.base !== calls) found.push([])
      calls = watched.calls.base
      found.at(-1)!.push(id)
    }
  }
  assertEquals(watched.openCaches(), 0)
  return found
}

const count = (ids: readonly number[]) => ids.filter((id) => id === 0).length

/** Two tokens a segment, and a strict threshold of one heads in each. */
const strict: CardsOptions = {
  by: "heads",
  target: 4,
  alpha: 0,
  beta: 0,
  entropy: 0,
  least: 2,
}

describe("cards", () => {
  it("keeps to the threshold at the end of each segment, and tells each at once", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const found = await segments(coin, strict, { maxTokens: 8, seed })
      assertEquals(found.map(({ length }) => length), [2, 2, 2, 2])
      found.forEach((_, i) => assert(count(found.slice(0, i + 1).flat()) >= i + 1))
    }
  })

  it("takes the best of what was refused, and of one more", async () => {
    // Nothing reaches the target.
    const hopeless = { ...strict, target: 1_000, least: 1, most: 1 }
    const share = async (rejections: number) => {
      let sum = 0
      for (let seed = 0; seed < 12; seed++) {
        const found = await segments(coin, { ...hopeless, rejections }, { maxTokens: 12, seed })
        sum += count(found.flat()) / 144
      }
      return sum
    }
    // The best of n coins is tails with 2^-n.
    assert(Math.abs(await share(0) - 0.5) < 0.13)
    assert(Math.abs(await share(1) - 0.75) < 0.12)
    assert(await share(9) > 0.98)
  })

  it("accepts what is below the threshold with the chance that it says", async () => {
    // Tails is log 4 below: it is accepted one time of four, and is a fifth of the tokens.
    const options = { ...strict, target: 1, alpha: 1, beta: 1 / Math.log(4), most: 1, least: 1 }
    let tails = 0
    for (let seed = 0; seed < 250; seed++) {
      const [[id]] = await segments(coin, options, { maxTokens: 1, seed })
      tails += id
    }
    assert(Math.abs(tails / 250 - 0.2) < 0.08, `${tails} of 250`)
  })

  it("ends segments where the next token is uncertain, of a length within bounds", async () => {
    // Certain of a letter, but after every fifth token of the text.
    const next = (ids: readonly number[]) =>
      letters.map((_, id) => ids.length % 5 === 0 || id === ids.length % 10 ? 1 : 0)
    const tables = { base: { next } }
    const spec: Partial<GraphSpec> = {
      rewards: { none: { reward: logitBias({ bias: {} }), weight: 1 } },
    }
    const options = { by: "none", target: 0, entropy: 2 }
    const lengths = async (more: Partial<CardsOptions>) =>
      (await segments(tables, { ...options, ...more }, { maxTokens: 24 }, spec)).map((ids) =>
        ids.length
      )
    // The prompt is one token.
    assertEquals(await lengths({}), [4, 5, 5, 5, 5])
    assertEquals(await lengths({ uncertainty: "base" }), [4, 5, 5, 5, 5])
    assertEquals(await lengths({ least: 6 }), [9, 10, 5])
    assertEquals(await lengths({ most: 4 }), [4, 4, 4, 4, 4, 4])
    assertEquals(await lengths({ entropy: 3 }), [24])
  })

  it("tells the base's uncertainty from that of the guided distribution", async () => {
    const spec: Partial<GraphSpec> = {
      rewards: { sure: { reward: logitBias({ bias: { h: 50 } }), weight: 1 } },
    }
    const options = { by: "sure", target: 0, least: 1, entropy: 0.5 }
    const found = (uncertainty: "base" | "guided") =>
      segments(coin, { ...options, uncertainty }, { maxTokens: 6 }, spec)
    // The last token needs no run after the one before it, and so comes with it here.
    assertEquals((await found("base")).map(({ length }) => length), [1, 1, 1, 1, 2])
    assertEquals((await found("guided")).map(({ length }) => length), [6])
  })

  it("goes by rewards of texts, from that of no text on", async () => {
    const seen: string[] = []
    const judge = defineReward({
      name: "judge",
      open: () => ({
        scoreText: ({ text }) => {
          seen.push(text)
          return text.endsWith("t") ? 1 : 0
        },
      }),
    })
    const spec = { rewards: { judge: { reward: judge(), weight: 1 } } }
    const options = { ...strict, by: "judge", target: 1, alpha: 1 }
    const found = await segments(coin, options, { maxTokens: 8 }, spec)
    assertEquals(seen[0], "")
    for (const ids of found) assertEquals(ids.at(-1), 1)
  })

  it("ends a segment with the text, and gives the same text for a seed", async () => {
    const base = { next: markov(81, 2, letters.length), eos: [4] }
    const spec: Partial<GraphSpec> = {
      rewards: { vowels: { reward: logitBias({ bias: { a: 1, e: 1, i: 1 } }), weight: 1 } },
      strategy: cards({ by: "vowels", target: 10, entropy: 2 }),
    }
    await using pipeline = await open(watch({ base }), spec)
    const request = { maxTokens: 40, seed: 5 }
    const one = await pipeline.generate("abc", request)
    assertEquals(await pipeline.generate("abc", request), one)
    assertEquals((await pipeline.generateAll(["abc"], { ...request, n: 2 }))[0], one)
    assertEquals(one.text, "gafigdbdgaaa")
    assertEquals(one.ids.indexOf(4), one.stopReason === "eos" ? one.ids.length - 1 : -1)
  })

  it("refuses a reward that is not there, and bounds that are none", async () => {
    const error = await assertRejects(
      () => segments(coin, { ...strict, by: "tails" }, { maxTokens: 1 }),
      GenArmError,
      "the graph has heads",
    )
    assertEquals(error.reason._tag, "InvalidGraph")
    assertThrows(() => cards({ by: "heads", target: 1, least: 70 }), GenArmError, "at most 64")
    assertThrows(() => cards({ by: "heads", target: 1, beta: -1 }), GenArmError)
  })
})

describe("the threshold", () => {
  it("rises from between the prompt's reward and the target", () => {
    // r0 = 0.5 * -1.5 + 0.5 * 8.5 = 3.5.
    const rule = { target: 8.5, start: -1.5, alpha: 0.5, tokens: 128 }
    assertAlmostEquals(threshold(rule, 0), 3.5)
    assertAlmostEquals(threshold(rule, 64), 6)
    assertAlmostEquals(threshold(rule, 128), 8.5)
    assertAlmostEquals(threshold(rule, 300), 8.5)
    assertAlmostEquals(threshold({ ...rule, alpha: 0 }, 32), 1)
    assertAlmostEquals(threshold({ ...rule, alpha: 1 }, 0), 8.5)
  })

  it("is passed above it, and below it by chance", () => {
    assert(passes(3, 3, 0.7, 0.999))
    assert(!passes(2.999, 3, 0, 0))
    // e^(-0.7 / 0.7) = 0.36788.
    assert(passes(2.3, 3, 0.7, 0.3678))
    assert(!passes(2.3, 3, 0.7, 0.3679))
  })
})
