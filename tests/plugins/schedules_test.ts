import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { Effect, Stream, SubscriptionRef } from "effect"
import {
  arm,
  defineGraph,
  GenArmError,
  linear,
  live,
  logitBias,
  openPipeline,
  phases,
  type ScheduleNode,
} from "genarm"
import { openTokenizer } from "genarm/train"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { cosine } from "../../plugins/schedules/cosine.ts"
import { entropyGated, type EntropyGatedOptions } from "../../plugins/schedules/entropy_gated.ts"
import { live as liveOver } from "../../plugins/schedules/live.ts"
import { tokenClass, type TokenClassOptions } from "../../plugins/schedules/token_class.ts"
import { always, letters, open, script, type Table, watch } from "../decode/_pipelines.ts"

const fixture = fileURLToPath(new URL("../fixtures/models/llama", import.meta.url))
const models = watch({ base: { next: always(...letters.map(() => 1)) } })

/** The weights in force at the first `count` tokens. */
async function weights(
  weight: ScheduleNode,
  count: number,
  { base, prompt = "a" }: { readonly base?: Table; readonly prompt?: string | number[] } = {},
): Promise<number[]> {
  await using pipeline = await open(base === undefined ? models : watch({ base }), {
    rewards: { x: { reward: logitBias({ bias: {} }), weight } },
  })
  const { tokens } = await pipeline.generate(prompt, { maxTokens: count, seed: 1 })
  return tokens.map(({ weights }) => weights.x)
}

describe("linear", () => {
  it("moves evenly, arrives at its last token and stays there", async () => {
    assertEquals(await weights(linear({ from: 1, to: 0, tokens: 4 }), 7), [
      1,
      0.75,
      0.5,
      0.25,
      0,
      0,
      0,
    ])
    assertEquals(await weights(linear({ from: -2, to: 2, tokens: 2 }), 4), [-2, 0, 2, 2])
    assertEquals(await weights(linear({ from: 3, to: 5, tokens: 1 }), 3), [3, 5, 5])
  })
})

describe("cosine", () => {
  const half = (position: number, tokens: number) => (1 - Math.cos(Math.PI * position / tokens)) / 2

  it("moves along half a cosine, arrives at its last token and stays there", async () => {
    const found = await weights(cosine({ from: 3, to: -1, tokens: 8 }), 11)
    found.forEach((weight, at) =>
      assertAlmostEquals(weight, 3 - 4 * half(Math.min(at, 8), 8), 1e-14)
    )
    assertEquals([found[0], ...found.slice(8)], [3, -1, -1, -1])
    // As far from one end as from the other.
    assertAlmostEquals(found[2] + found[6], 2, 1e-14)
    assertEquals(await weights(cosine({ from: 3, to: 5, tokens: 1 }), 3), [3, 5, 5])
  })

  it("takes the whole text where it is not told how long", async () => {
    const found = await weights(cosine({ from: 0, to: 1 }), 5)
    found.forEach((weight, at) => assertAlmostEquals(weight, half(at, 4), 1e-14))
    assertEquals([found[0], found[4]], [0, 1])
    assertEquals(await weights(cosine({ from: 2, to: 5 }), 1), [2])
  })

  it("never goes back on its way", async () => {
    const found = await weights(cosine({ from: 0, to: 1, tokens: 500 }), 502)
    for (let i = 1; i < found.length; i++) assert(found[i] >= found[i - 1], `${i}`)
  })
})

describe("tokenClass", () => {
  const words = ["▁sun", "Ge", " May", "3", "14", ".", "<s>", "<0xC3>", "<0xA9>", "!"]
  const after = (options: TokenClassOptions, ids: number[], prompt: number[]) =>
    weights(tokenClass(options), ids.length + 1, {
      base: { vocabulary: words, next: script(ids, prompt.length) },
      prompt,
    })

  it("weighs by the class of the token before, the prompt's last at first", async () => {
    const classes = [
      { pattern: "\\d", weight: 1 },
      { pattern: "[.!?]$", weight: 2 },
      { pattern: "^\\s?\\p{Lu}", weight: 3 },
    ]
    const found = await after({ classes, otherwise: -1 }, [4, 5, 9, 2, 1, 0], [0, 3])
    assertEquals(found, [1, 1, 2, 2, 3, 3, -1])
  })

  it("takes the first class that fits", async () => {
    const classes = [{ pattern: "1", weight: 1 }, { pattern: "4", weight: 2 }]
    assertEquals(await after({ classes, otherwise: 0 }, [4], [0]), [0, 1])
  })

  it("sees what a token adds to a text: nothing for special ones, its space elsewhere", async () => {
    const classes = [{ pattern: "^$", weight: 1 }, { pattern: "^ ", weight: 2 }, {
      pattern: "\uFFFD",
      weight: 3,
    }]
    assertEquals(await after({ classes, otherwise: 0 }, [6, 2, 7, 8], [0]), [0, 1, 2, 3, 3])
  })

  it("sees the spaces of a tokenizer that leaves them out at the beginning", async () => {
    const classes = [{ pattern: "^ ", weight: 2 }, { pattern: "^[a-z]", weight: 1 }]
    await using pipeline = await openPipeline({
      base: fixture,
      rewards: {
        x: {
          reward: logitBias({ bias: {} }),
          weight: tokenClass({ classes, otherwise: 0 }),
        },
      },
    }, { threads: 1, onProgress: () => {} })
    const text = " the sky"
    const { tokens } = await pipeline.score("The", text)
    const tokenizer = await openTokenizer(fixture)
    const prompt = tokenizer.encode("The")
    const before = [prompt.at(-1)!, ...tokens.map(({ id }) => id)].slice(0, tokens.length)
    const expected = before.map((id) => {
      const name = tokenizer.token(id)!
      // A letter that the vocabulary lacks is the token of its byte.
      return /^[▁Ġ]/.test(name) ? 2 : /^([a-z]|<0x[67].>)/.test(name) ? 1 : 0
    })
    assert(new Set(expected).size > 1, expected.join())
    assertEquals(tokens.map(({ weights }) => weights.x), expected)
  })

  it("refuses a pattern that is none, and no classes", () => {
    const refuse = (options: unknown, path: (string | number)[], part: string) => {
      const error = assertThrows(() => tokenClass(options as never), GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    const bad = [{ pattern: "ok", weight: 1 }, { pattern: "(", weight: 1 }]
    refuse({ classes: bad, otherwise: 0 }, ["classes", 1, "pattern"], "regular expression")
    refuse({ classes: [], otherwise: 0 }, ["classes"], "length")
    refuse({ classes: [bad[0]] }, ["otherwise"], "Missing key")
  })
})

describe("entropyGated", () => {
  // By the last token: a coin flip of 2, of 4, of 8, and certainty.
  const sizes = [2, 4, 8, 1]
  const base: Table = {
    vocabulary: letters.slice(0, 8),
    next: (ids) => letters.slice(0, 8).map((_, id) => id < sizes[ids.length % 4] ? 1 : 0),
  }
  const entropies = [1, 2, 3, 4].map((length) => Math.log(sizes[length % 4]))
  const at = (options: EntropyGatedOptions) => weights(entropyGated(options), 4, { base })

  it("opens over the threshold, or at it and under", async () => {
    assertEquals(await at({ weight: 2, threshold: 1 }), [2, 2, 0, 0])
    assertEquals(await at({ weight: 2, threshold: 1, when: "below" }), [0, 0, 2, 2])
    assertEquals(await at({ weight: -3, threshold: 0 }), [-3, -3, 0, -3])
    assertEquals(await at({ weight: 2, threshold: 3 }), [0, 0, 0, 0])
    assertEquals(await at({ weight: 2, threshold: 3, when: "below" }), [2, 2, 2, 2])
  })

  it("opens along a logistic curve where it is soft", async () => {
    for (const when of ["above", "below"] as const) {
      const found = await at({ weight: 2, threshold: 1, softness: 0.3, when })
      found.forEach((weight, i) => {
        const over = (entropies[i] - 1) / 0.3 * (when === "above" ? 1 : -1)
        assertAlmostEquals(weight, 2 / (1 + Math.exp(-over)), 1e-5)
      })
    }
    // So steep that one side is closed, to all purposes, and nothing overflows.
    const steep = await at({ weight: 2, threshold: 1, softness: 1e-9 })
    steep.forEach((weight, i) => assertAlmostEquals(weight, [2, 2, 0, 0][i], 1e-9))
  })

  it("refuses what it does not know", () => {
    const wrong: [object, string][] = [
      [{ weight: Infinity, threshold: 1 }, "weight"],
      [{ weight: 1, threshold: -1 }, "threshold"],
      [{ weight: 1, threshold: 1, when: "never" }, "when"],
      [{ weight: 1, threshold: 1, softness: -0.1 }, "softness"],
      [{ weight: 1, threshold: 1, sharpness: 1 }, "sharpness"],
    ]
    for (const [options, key] of wrong) {
      const error = assertThrows(() => entropyGated(options as never), GenArmError, key)
      assertEquals(error.reason, { _tag: "InvalidOption", path: [key] })
    }
  })
})

describe("phases", () => {
  it("follow each other, and the last one stays, whatever its length", async () => {
    const three = [{ weight: 0, tokens: 2 }, { weight: 2, tokens: 1 }, { weight: -1 }]
    assertEquals(await weights(phases({ phases: three }), 6), [0, 0, 2, -1, -1, -1])
    const short = [{ weight: 1, tokens: 1 }, { weight: 2, tokens: 2 }]
    assertEquals(await weights(phases({ phases: short }), 5), [1, 2, 2, 2, 2])
    assertEquals(await weights(phases({ phases: [{ weight: 4 }] }), 2), [4, 4])
  })
})

describe("live", () => {
  it("is its first value until it is set", async () => {
    const weight = live(0.5)
    assertEquals(weight.value, 0.5)
    assertEquals(await weights(weight, 2), [0.5, 0.5])
    weight.set(-1)
    assertEquals(weight.value, -1)
    assertEquals(await weights(weight, 2), [-1, -1])
  })

  it("takes finite numbers only, and keeps the last of them", () => {
    const weight = live(2)
    for (const wrong of [NaN, Infinity, "1", undefined]) {
      const error = assertThrows(() => weight.set(wrong as never), GenArmError, "finite")
      assertEquals(error.reason._tag, "InvalidOption")
      assertThrows(() => live(wrong as never), GenArmError, "finite")
    }
    assertEquals(weight.value, 2)
  })

  it("is one value for all texts and pipelines that use it", async () => {
    const weight = live(1)
    const rewards = { x: { reward: arm({ model: "base" }), weight } }
    await using one = await open(models, { rewards })
    await using two = await open(models, { rewards: { y: rewards.x } })
    const first = one.stream("a", { maxTokens: 3 })[Symbol.asyncIterator]()
    const second = two.stream("a", { maxTokens: 3 })[Symbol.asyncIterator]()
    assertEquals((await first.next()).value.weights, { x: 1 })
    weight.set(3)
    assertEquals((await second.next()).value.weights, { y: 3 })
    assertEquals((await first.next()).value.weights, { x: 3 })
    await first.return!()
    await second.return!()
  })

  it("may override a weight for one request", async () => {
    await using pipeline = await open(models, {
      rewards: { x: { reward: arm({ model: "base" }), weight: 1 } },
    })
    const weight = live(7)
    const { tokens } = await pipeline.generate("a", { maxTokens: 1, weights: { x: weight } })
    assertEquals(tokens[0].weights, { x: 7 })
  })

  it("stays live in a graph", () => {
    const weight = live(1)
    const graph = defineGraph({
      base: "b",
      rewards: { x: { reward: arm({ model: "m" }), weight } },
    })
    weight.set(4)
    assertEquals((graph.rewards.x.weight as typeof weight).value, 4)
  })
})

describe("live over a SubscriptionRef", () => {
  it("reads it at each token, whoever changes it", async () => {
    const ref = await Effect.runPromise(SubscriptionRef.make(0.5))
    const weight = liveOver(ref)
    await using pipeline = await open(models, {
      rewards: { x: { reward: logitBias({ bias: {} }), weight } },
    })
    const stream = pipeline.stream("a", { maxTokens: 3 })[Symbol.asyncIterator]()
    const found: number[] = []
    for (const next of [2, -1, 7]) {
      found.push((await stream.next()).value.weights.x)
      await Effect.runPromise(SubscriptionRef.set(ref, next))
      assertEquals(weight.value, next)
    }
    assertEquals(found, [0.5, 2, -1])
  })

  it("is for subscribers what it is for texts", async () => {
    const program = Effect.gen(function* () {
      const ref = yield* SubscriptionRef.make(1)
      const weight = liveOver(ref)
      yield* SubscriptionRef.update(ref, (value) => value + 1)
      const shown = yield* SubscriptionRef.changes(ref).pipe(Stream.take(1), Stream.runCollect)
      return [weight.value, ...shown]
    })
    assertEquals(await Effect.runPromise(program), [2, 2])
  })

  it("fails a text whose weight is no finite number, by name", async () => {
    const ref = await Effect.runPromise(SubscriptionRef.make(1))
    const weight = liveOver(ref)
    await Effect.runPromise(SubscriptionRef.set(ref, NaN))
    const error = await assertRejects(() => weights(weight, 1), GenArmError, "finite")
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "live" })
    const text = await Effect.runPromise(SubscriptionRef.make("1"))
    assertThrows(() => liveOver(text as never), GenArmError, "finite")
  })

  it("is a live weight that cannot be saved, as the others are", async () => {
    const ref = await Effect.runPromise(SubscriptionRef.make(1))
    for (const weight of [liveOver(ref), liveOver(1)]) {
      const graph = defineGraph({
        base: "b",
        rewards: { x: { reward: arm({ model: "m" }), weight } },
      })
      assertThrows(() => JSON.stringify(graph), GenArmError, "live value")
    }
    const weight = liveOver(3)
    assert(liveOver(weight) === weight)
  })
})
