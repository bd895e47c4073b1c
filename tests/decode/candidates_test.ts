import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import {
  arm,
  defineReward,
  GenArmError,
  type GenArmReason,
  type Generation,
  greedy,
  logitBias,
  speculative,
} from "genarm"
import type { Candidates, PluginNode, RewardState } from "genarm/plugin"
import { describe, it } from "node:test"
import { markov } from "../plugins/strategies/_rules.ts"
import { drive } from "./_driven.ts"
import { always, letters, open, take, watch } from "./_pipelines.ts"

type ScoreCandidates = NonNullable<RewardState["scoreCandidates"]>

/** A reward that looks at candidates. */
const looking = (
  scoreCandidates: ScoreCandidates,
  rest: Partial<RewardState> = {},
): PluginNode<"reward"> =>
  defineReward({ name: "looking", open: () => ({ candidates: 3, scoreCandidates, ...rest }) })()

/** A reward that is the number of vowels in a text. */
const vowels = (text: string) => [...text].filter((letter) => "aei".includes(letter)).length
const byVowels: ScoreCandidates = ({ texts }) => texts.map(vowels)

/** A promise of what is given now, kept a few turns later. */
const later = async <A>(value: A): Promise<A> => {
  await new Promise((done) => setTimeout(done, 0))
  return value
}

const winding = { base: { next: markov(7, 3, letters.length) } }

/** What a sequence is told of its candidates, as plain data. */
function recorded(): { readonly seen: Candidates[]; readonly record: ScoreCandidates } {
  const seen: Candidates[] = []
  return {
    seen,
    record: ({ ids, texts, written }) => {
      seen.push({ ids: [...ids], texts: [...texts], written: [...written] })
      return ids.map(() => 0)
    },
  }
}

describe("candidates", () => {
  it("are the likeliest ids, best first and of equals the lowest, with the texts they make", async () => {
    const { seen, record } = recorded()
    const models = watch({ base: { next: always(1, 5, 3, 5, 2), bos: 9 } })
    await using pipeline = await open(models, {
      base: { model: "base", template: "ij{prompt}ji" },
      rewards: { x: { reward: looking(record), weight: 1 } },
      sampler: greedy(),
    })
    assertEquals((await pipeline.generate("cab", { maxTokens: 3 })).text, "bbb")
    assertEquals(seen, [
      { ids: [1, 3, 2], texts: ["b", "d", "c"], written: [] },
      { ids: [1, 3, 2], texts: ["bb", "bd", "bc"], written: [1] },
      { ids: [1, 3, 2], texts: ["bbb", "bbd", "bbc"], written: [1, 1] },
    ])
  })

  it("show half a character as U+FFFD, and the whole one when it is there", async () => {
    const { seen, record } = recorded()
    const vocabulary = ["<0xC3>", "<0xA9>", "e", "<end>"]
    const models = watch({
      base: { vocabulary, next: (ids) => ids.at(-1) === 0 ? [1, 9, 1, 3] : [9, 1, 5, 3] },
    })
    await using pipeline = await open(models, {
      rewards: { x: { reward: looking(record, { candidates: 4 }), weight: 1 } },
      sampler: greedy(),
    })
    assertEquals((await pipeline.generate("e", { maxTokens: 2 })).text, "é")
    assertEquals(seen, [
      { ids: [0, 2, 3, 1], texts: ["\uFFFD", "e", "", "\uFFFD"], written: [] },
      { ids: [1, 3, 0, 2], texts: ["é", "\uFFFD", "\uFFFD\uFFFD", "\uFFFDe"], written: [0] },
    ])
  })

  it("are those after row rewards, without what these rule out and ids that have no name", async () => {
    const { seen, record } = recorded()
    const models = watch({
      base: { next: always(9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 99), padding: 1 },
      good: { next: always(1, 1, 1, 1, 1, 1, 1, 1, 40, 1) },
    })
    await using pipeline = await open(models, {
      rewards: {
        x: { reward: looking(record), weight: 1 },
        bias: { reward: logitBias({ bias: { a: "ban" } }), weight: 1 },
        good: { reward: arm({ model: "good" }), weight: 1 },
      },
    })
    await pipeline.generate("a", { maxTokens: 1 })
    assertEquals(seen.map(({ ids }) => ids), [[8, 1, 2]])
  })

  it("are no more than the ids that are left", async () => {
    const { seen, record } = recorded()
    const models = watch({ base: { next: always(1, 0, 2) } })
    const reward = looking(record, { candidates: 50 })
    await using pipeline = await open(models, { rewards: { x: { reward, weight: 1 } } })
    await pipeline.generate("a", { maxTokens: 1 })
    assertEquals(seen.map(({ ids }) => ids), [[2, 0]])
  })

  it("of a second reward are what the first leaves, in the order that it makes", async () => {
    const { seen, record } = recorded()
    const models = watch({ base: { next: always(9, 8, 7, 6, 5) } })
    const three = looking(() => [0, -Infinity, 4], { candidates: 3 })
    await using pipeline = await open(models, {
      rewards: {
        first: { reward: three, weight: 1 },
        second: { reward: looking(record, { candidates: 5 }), weight: 1 },
      },
      sampler: greedy(),
    })
    const { ids, tokens } = await pipeline.generate("a", { maxTokens: 1 })
    assertEquals(seen.map(({ ids }) => ids), [[2, 0]])
    assertEquals([ids, tokens[0].rewards], [[2], { first: 4, second: 0 }])
  })
})

describe("a reward on candidates", () => {
  it("is added to the base's scores, and all other ids are ruled out", async () => {
    const models = watch({ base: { vocabulary: ["a", "b", "c"], next: always(0.5, 0.3, 0.2) } })
    for (const [weight, expected] of [[1, [5 / 11, 6 / 11]], [-2, [20 / 23, 3 / 23]]] as const) {
      const reward = looking(() => [0, Math.log(2)], { candidates: 2 })
      await using pipeline = await open(models, { rewards: { x: { reward, weight } } })
      const { tokens: [{ top }] } = await pipeline.generate("a", {
        maxTokens: 1,
        trace: { top: 3 },
      })
      const found = Object.fromEntries(
        top!.map((
          { id, logprob, rewards },
        ) => [id, { chance: Math.exp(logprob.guided), reward: rewards.x }]),
      )
      assertEquals(Object.keys(found), ["0", "1"])
      expected.forEach((chance, id) => assertAlmostEquals(found[id].chance, chance, 1e-6))
      assertAlmostEquals(found[1].reward, Math.log(2), 1e-7)
    }
  })

  it("of weight 0 leaves the base's text and probabilities exactly as they are", async () => {
    const options = { maxTokens: 60, seed: 5 }
    await using plain = await open(watch(winding))
    const expected = await plain.generate("a", options)
    const asked = { candidates: 0, chosen: 0 }
    const counting: ScoreCandidates = (candidates) => {
      asked[candidates.ids.length === 1 ? "chosen" : "candidates"]++
      return byVowels(candidates)
    }
    await using guided = await open(watch(winding), {
      rewards: { x: { reward: looking(counting), weight: 0 } },
    })
    const found = await guided.generate("a", options)
    assertEquals(found.ids, expected.ids)
    assertEquals(
      found.tokens.map(({ logprob }) => logprob),
      expected.tokens.map(({ logprob }) => logprob),
    )
    assertEquals(asked.candidates, 60)
    // Tokens that are none of the likeliest are asked about when they have been chosen.
    assert(asked.chosen > 0)
    const written = found.tokens.map((_, i) => found.text.slice(0, i + 1))
    assertEquals(found.tokens.map(({ rewards }) => rewards.x), written.map(vowels))
    const { tokens } = await guided.score("a", found.ids)
    assertEquals(tokens.map(({ rewards }) => rewards.x), written.map(vowels))
  })

  it("gives the same text at once and later, alone and beside others, again and again", async () => {
    const options = { maxTokens: 40, seed: 11 }
    const generate = async (scoreCandidates: ScoreCandidates) => {
      await using pipeline = await open(watch(winding), {
        rewards: { x: { reward: looking(scoreCandidates), weight: 0.7 } },
      })
      const alone = await pipeline.generate("a", options)
      assertEquals((await pipeline.generate("a", options)).tokens, alone.tokens)
      const beside = await pipeline.generateAll(["a", "b", "c"], options)
      assertEquals(beside[0].tokens, alone.tokens)
      return alone
    }
    const atOnce = await generate(byVowels)
    const promised = await generate((candidates) => later(byVowels(candidates) as number[]))
    assertEquals(promised.tokens, atOnce.tokens)
    const typed = await generate((candidates) =>
      Float64Array.from(byVowels(candidates) as number[])
    )
    assertEquals(typed.tokens, atOnce.tokens)
  })

  it("says of a text that is given what it said when that was written", async () => {
    await using pipeline = await open(watch(winding), {
      rewards: {
        x: {
          reward: looking((candidates) => later(byVowels(candidates) as number[])),
          weight: 0.7,
        },
        y: {
          reward: looking(({ ids }) => ids.map((id) => id / 10), { candidates: 2 }),
          weight: -1,
        },
      },
    })
    const written = await pipeline.generate("cab", { maxTokens: 50, seed: 3 })
    const given = await pipeline.score("cab", written.ids)
    assertEquals(given.ids, written.ids)
    given.tokens.forEach(({ logprob, rewards, weights }, i) => {
      const told = written.tokens[i]
      assertEquals([logprob.base, rewards, weights], [
        told.logprob.base,
        told.rewards,
        told.weights,
      ])
      assertAlmostEquals(logprob.guided, told.logprob.guided, 1e-6) // summed in another order
    })
    const outside = await pipeline.score("cab", [letters.length - 1, 0, 1, 2, 3])
    assertEquals(outside.guided, -Infinity)
  })

  it("guides drafted texts to the same text as plain steps", async () => {
    const models = { ...winding, draft: { next: markov(9, 2, letters.length) } }
    const rewards = { x: { reward: looking(byVowels), weight: 0.7 } }
    const options = { maxTokens: 40 }
    await using plain = await open(watch(models), { rewards, sampler: greedy() })
    const expected = await plain.generate("a", options)
    for (const draft of ["lookup", { model: "draft" }, { model: "base" }] as const) {
      const watched = watch(models)
      await using drafted = await open(watched, {
        rewards,
        sampler: greedy(),
        strategy: speculative({ draft }),
      })
      assertEquals((await drafted.generate("a", options)).ids, expected.ids)
      assertEquals(watched.openCaches(), 0)
    }
  })

  it("follows copies of a text, each with the texts of its own, and is asked anew after a rewind", async () => {
    const { seen, record } = recorded()
    const models = watch({ base: { next: always(1, 5, 3, 4, 2) } })
    const spec = { rewards: { x: { reward: looking(record), weight: 1 } }, sampler: greedy() }
    const { text } = await drive(models, async (sequence) => {
      await sequence.step()
      const copy = sequence.fork()
      await copy.evaluate()
      copy.accept(3, 0)
      await copy.step()
      await sequence.evaluate()
      sequence.rewind(1)
      await sequence.evaluate()
      sequence.accept(2, 0)
      copy.close()
    }, { spec, maxTokens: 3 })
    assertEquals(text, "cbb")
    assertEquals(seen.map(({ texts }) => texts[0]), ["b", "bb", "bdb", "bb", "b", "cb", "cbb"])
    assertEquals(models.openCaches(), 0)
  })

  it("that rules out all candidates leaves no token", async () => {
    await fails(
      looking(({ ids }) => ids.map(() => -Infinity)),
      "NonFiniteScores",
      "no token is left",
    )
  })

  it("is not asked where no id is left, and the reward that left none is what fails", async () => {
    const models = watch({ base: { next: always(1, 1) } })
    const broken = defineReward({
      name: "broken",
      open: () => ({ score: (_, out) => out.fill(NaN) }),
    })
    await using pipeline = await open(models, {
      rewards: {
        x: { reward: looking(() => assert(false) as never), weight: 1 },
        broken: { reward: broken(), weight: 1 },
      },
    })
    const error = await assertRejects(
      () => pipeline.generate("a"),
      GenArmError,
      '"broken" gave NaN',
    )
    assertEquals(error.reason, { _tag: "NonFiniteScores", term: "broken" })
  })
})

/** Generates with a reward that fails; nothing may be left open. */
async function fails(
  reward: PluginNode<"reward">,
  tag: GenArmReason["_tag"],
  part: string,
): Promise<GenArmError> {
  const models = watch({ base: { next: always(4, 3, 2, 1) } })
  await using pipeline = await open(models, { rewards: { mine: { reward, weight: 1 } } })
  const error = await assertRejects(
    () => pipeline.generate("a", { maxTokens: 5 }),
    GenArmError,
    part,
  )
  assertEquals(error.reason._tag, tag)
  if (error.reason._tag === "PluginFailed") assertEquals(error.reason.plugin, "looking")
  assertEquals(models.openCaches(), 0)
  const again = await assertRejects(() => pipeline.score("a", "bcd"), GenArmError, part)
  assertEquals(again.reason._tag, tag)
  assertEquals(models.openCaches(), 0)
  return error
}

describe("a reward on candidates that breaks its contract", () => {
  const cases: Record<string, readonly [ScoreCandidates, GenArmReason["_tag"], string]> = {
    "gives too few": [() => [1, 2], "PluginFailed", '"mine" (looking) gave 2 scores for 3'],
    "gives too many": [() => [1, 2, 3, 4], "PluginFailed", "gave 4 scores for 3 candidates"],
    "gives nothing": [() => undefined as never, "PluginFailed", "gave no scores for 3"],
    "gives NaN": [() => [1, NaN, 2], "NonFiniteScores", '"mine" gave NaN for the candidate 1'],
    "gives Infinity": [
      () => [Infinity, 1, 2],
      "NonFiniteScores",
      "gave Infinity for the candidate 0",
    ],
    "gives more than a float32": [() => [1, 2, 1e300], "NonFiniteScores", "gave 1e+300 for"],
    "gives text": [() => ["1", "2", "3"] as never, "NonFiniteScores", "gave 1 for the candidate 0"],
    "throws": [
      () => {
        throw new Error("out of order")
      },
      "PluginFailed",
      'the plugin "looking" of "mine" failed: out of order',
    ],
    "rejects": [
      () => Promise.reject(new Error("not today")),
      "PluginFailed",
      'the plugin "looking" of "mine" failed: not today',
    ],
    "promises too few": [() => later([1]), "PluginFailed", "gave 1 scores for 3 candidates"],
  }
  for (const [name, [scoreCandidates, tag, part]] of Object.entries(cases)) {
    it(`fails, and says how, when it ${name}`, async () => {
      await fails(looking(scoreCandidates), tag, part)
    })
  }

  const states: Record<string, readonly [RewardState, string]> = {
    "is of two grains": [
      { score: (_, out) => void out.fill(0), scoreCandidates: () => [], candidates: 3 },
      "has score and scoreCandidates: expected one of them",
    ],
    "is of none": [{}, "scores nothing: expected score, scoreCandidates or scoreText"],
    "looks at no candidates": [
      { scoreCandidates: () => [], candidates: 0 },
      "looks at 0 candidates: expected a number of them, 1 at least",
    ],
    "does not say at how many": [{ scoreCandidates: () => [] }, "looks at undefined candidates"],
    "looks at half a one": [{ scoreCandidates: () => [], candidates: 2.5 }, "looks at 2.5"],
    "has candidates, and nothing that scores them": [
      { score: (_, out) => void out.fill(0), candidates: 3 },
      "looks at 3 candidates, and has no scoreCandidates",
    ],
    "gives itself no time": [
      { scoreCandidates: () => [], candidates: 3, timeLimit: 0 },
      "has a timeLimit of 0: expected milliseconds, above 0",
    ],
  }
  for (const [name, [state, part]] of Object.entries(states)) {
    it(`fails before anything runs when it ${name}`, async () => {
      let closed = 0
      const reward = defineReward({
        name: "looking",
        open: () => ({ ...state, close: () => void closed++ }),
      })
      await fails(reward(), "PluginFailed", `the reward "mine" (looking) ${part}`)
      assertEquals(closed, 2, "one for each call")
    })
  }
})

describe("a reward on candidates that keeps a text waiting", () => {
  it("fails when it takes longer than its time limit, with its name", async () => {
    const never = looking(() => new Promise(() => {}), { timeLimit: 20 })
    const error = await fails(
      never,
      "PluginFailed",
      'the reward "mine" (looking) has not settled its promise within 20 ms',
    )
    assert(error.message.includes("timeLimit"))
  })

  it("may fail after its time limit, which nobody hears of", async () => {
    const refusals: ((why: Error) => void)[] = []
    const slow = looking(() => new Promise((_, refuse) => refusals.push(refuse)), { timeLimit: 5 })
    await fails(slow, "PluginFailed", "within 5 ms")
    for (const refuse of refusals) refuse(new Error("too late to matter"))
    await later(0)
    assertEquals(refusals.length, 2, "one for each call")
  })

  it("has as long as it likes without one", async () => {
    const models = watch(winding)
    const patient = looking((candidates) => later(byVowels(candidates) as number[]), {
      timeLimit: Infinity,
    })
    await using pipeline = await open(models, { rewards: { x: { reward: patient, weight: 1 } } })
    assertEquals((await pipeline.generate("a", { maxTokens: 5 })).ids.length, 5)
  })

  it("leaves no timer behind, whichever way it ends", async () => {
    const { setTimeout, clearTimeout } = globalThis
    const running = new Set<unknown>()
    globalThis.setTimeout = ((run: () => void, delay: number) => {
      const timer = setTimeout(() => {
        running.delete(timer)
        run()
      }, delay)
      if (delay >= 1_000) running.add(timer)
      return timer
    }) as never
    globalThis.clearTimeout = ((timer: never) => {
      running.delete(timer)
      clearTimeout(timer)
    }) as never
    let most = 0
    const counted = <A>(value: A): Promise<A> =>
      later(value).finally(() => most = Math.max(most, running.size))
    try {
      const well = looking(({ ids }) => counted(ids.map(() => 0)))
      await using pipeline = await open(watch(winding), {
        rewards: { x: { reward: well, weight: 1 } },
      })
      await pipeline.generate("a", { maxTokens: 3 })
      assertEquals([most, running.size], [1, 0])
      const wrong = looking(() => counted(0).then(() => Promise.reject(new Error("no"))))
      await fails(wrong, "PluginFailed", "no")
      assertEquals(running.size, 0)
    } finally {
      Object.assign(globalThis, { setTimeout, clearTimeout })
    }
  })

  it("holds no cache of a text that is aborted, and what it gives later is nobody's", async () => {
    const models = watch(winding)
    const promises: ((scores: number[]) => void)[] = []
    const isHeld = (texts: readonly string[]) => texts[0].length === 3
    let holds = true
    const reward = looking((candidates) =>
      holds && isHeld(candidates.texts)
        ? new Promise<number[]>((done) => promises.push(done))
        : byVowels(candidates)
    )
    await using pipeline = await open(models, { rewards: { x: { reward, weight: 2 } } })
    const options = { maxTokens: 12, seed: 4 }
    const stop = new AbortController()
    const held = pipeline.generate("a", { ...options, signal: stop.signal })
    held.catch(() => {})
    while (promises.length === 0) await later(0)
    assert(models.openCaches() > 0)
    stop.abort(new Error("enough"))
    assertEquals(models.openCaches(), 0)
    holds = false
    // It writes where the aborted text had its scores.
    const stream = pipeline.stream("a", options)
    const iterator = stream[Symbol.asyncIterator]()
    await iterator.next()
    promises[0]([1e6, 0, -1e6])
    const error = await assertRejects(() => held, GenArmError, "aborted: enough")
    assertEquals((error.partial as Generation).ids.length, 2)
    const whole = await stream
    assertEquals(whole.tokens, (await pipeline.generate("a", options)).tokens)
    assertEquals(models.openCaches(), 0)
  })

  it("does not keep a pipeline from closing", async () => {
    const models = watch(winding)
    let give: (scores: number[]) => void = () => {}
    const reward = looking(() => new Promise<number[]>((done) => give = done))
    const pipeline = await open(models, { rewards: { x: { reward, weight: 2 } } })
    const held = take(pipeline.stream("a"), 3)
    held.catch(() => {})
    await later(0)
    await later(0)
    await pipeline.close()
    assertEquals(models.openCaches(), 0)
    give([1, 2, 3])
    const error = await assertRejects(() => held, GenArmError, "closed")
    assertEquals(error.reason._tag, "Closed")
  })
})
