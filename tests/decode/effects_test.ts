import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert"
import { Cause, Context, Data, Effect, Exit, Fiber, type Scope } from "effect"
import {
  bestOfN,
  defineGraph,
  defineReward,
  GenArmError,
  type OpenOptions,
  openPipeline,
} from "genarm"
import { generate, makePipeline, type Runtime } from "genarm/effect"
import type { Candidates, PluginNode, RewardState } from "genarm/plugin"
import { describe, it } from "node:test"
import { markov } from "../plugins/strategies/_rules.ts"
import { drive, finish } from "./_driven.ts"
import { letters, open, watch, type Watched } from "./_pipelines.ts"

const models = () => watch({ base: { next: markov(7, 3, letters.length) } })
const turn = () => new Promise((done) => setTimeout(done, 0))
const options = { maxTokens: 12, seed: 4 }

/** A service that a reward asks for. */
class Taste extends Context.Service<Taste, { readonly of: (text: string) => number }>()(
  "test/Taste",
) {}

const vowels = (text: string) => [...text].filter((letter) => "aei".includes(letter)).length
const judged = ({ texts }: Candidates) => texts.map(vowels)
const byTaste = ({ texts }: Candidates) => Effect.map(Taste, (taste) => texts.map(taste.of))

const looking = (
  scoreCandidates: NonNullable<RewardState["scoreCandidates"]>,
  rest: Partial<RewardState> = {},
): PluginNode<"reward"> =>
  defineReward({ name: "looking", open: () => ({ candidates: 3, scoreCandidates, ...rest }) })()

const rewards = (reward: PluginNode<"reward">) => ({ mine: { reward, weight: 0.7 } })

/** Opens a pipeline with services. */
const openWith = (
  { runtime }: Watched,
  reward: PluginNode<"reward">,
  services?: OpenOptions["services"],
) =>
  openPipeline(defineGraph({ base: "base", rewards: rewards(reward) }), {
    runtime,
    onProgress: () => {},
    ...services && { services },
  })

/** A pipeline of an Effect program. */
const make = (reward: PluginNode<"reward">) =>
  makePipeline(defineGraph({ base: "base", rewards: rewards(reward) }))

const run = <A, E>(watched: Watched, program: Effect.Effect<A, E, Runtime | Scope.Scope>) =>
  Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(watched.runtime)))

/** An effect that never ends, and counts what becomes of it. */
function counted(): {
  readonly counts: Record<string, number>
  readonly never: Effect.Effect<never>
} {
  const counts = { begun: 0, interrupted: 0 }
  const never = Effect.suspend(() => {
    counts.begun++
    return Effect.never
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => void counts.interrupted++)))
  return { counts, never }
}

/** Waits until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    assert(turns < 1_000, "it never is")
    await turn()
  }
}

describe("an effect that a reward describes", () => {
  it("gives what a plain answer gives, at once or later", async () => {
    await using plain = await open(models(), { rewards: rewards(looking(judged)) })
    const { tokens } = await plain.generate("a", options)
    const ways: Record<string, NonNullable<RewardState["scoreCandidates"]>> = {
      succeeding: (candidates) => Effect.succeed(judged(candidates)),
      sleeping: (candidates) => Effect.as(Effect.sleep(1), judged(candidates)),
      promising: (candidates) => Effect.promise(() => Promise.resolve(judged(candidates))),
      generating: (candidates) =>
        Effect.gen(function* () {
          yield* Effect.yieldNow
          return judged(candidates)
        }),
    }
    for (const [name, way] of Object.entries(ways)) {
      await using pipeline = await open(models(), { rewards: rewards(looking(way)) })
      assertEquals((await pipeline.generate("a", options)).tokens, tokens, name)
    }
  })

  it("may be the score of a text", async () => {
    const whole = defineReward({
      name: "whole",
      open: () => ({
        scoreText: ({ text }) => Effect.as(Effect.yieldNow, vowels(text)),
      }),
    })
    const spec = { rewards: rewards(whole()) }
    const { text } = await drive(models(), async (sequence) => {
      await finish(sequence)
      const { mine } = await sequence.rewards()
      const { ids } = sequence
      assertEquals(mine, vowels(ids.map((id) => letters[id]).join("")))
    }, { spec, ...options })
    await using pipeline = await open(models(), spec)
    assertEquals((await pipeline.score("a", text)).rewards, { mine: vowels(text) })
  })

  it("runs for each copy of a text", async () => {
    const spec = { strategy: bestOfN({ n: 3 }) }
    await using plain = await open(models(), { ...spec, rewards: rewards(looking(judged)) })
    const later = looking((candidates) => Effect.as(Effect.sleep(0), judged(candidates)))
    await using pipeline = await open(models(), { ...spec, rewards: rewards(later) })
    assertEquals(
      (await pipeline.generate("a", options)).tokens,
      (await plain.generate("a", options)).tokens,
    )
  })
})

describe("the services of a pipeline", () => {
  const expected = async () => {
    await using plain = await open(models(), { rewards: rewards(looking(judged)) })
    return (await plain.generate("a", options)).tokens
  }

  it("are those that it is opened with", async () => {
    const services = Context.make(Taste, { of: vowels })
    await using pipeline = await openWith(models(), looking(byTaste), services)
    assertEquals((await pipeline.generate("a", options)).tokens, await expected())
    const other = Context.make(Taste, { of: (text) => 5 - vowels(text) })
    await using contrary = await openWith(models(), looking(byTaste), other)
    assert(
      JSON.stringify((await contrary.generate("a", options)).tokens) !==
        JSON.stringify(await expected()),
    )
  })

  it("are those of the program that makes it", async () => {
    const program = Effect.gen(function* () {
      const pipeline = yield* make(looking(byTaste))
      return (yield* generate(pipeline, "a", options)).tokens
    }).pipe(Effect.provideService(Taste, { of: vowels }))
    assertEquals(await run(models(), program), await expected())
  })

  it("hold references with their defaults, and with what is given for them", async () => {
    const Bonus = Context.Reference<number>("test/Bonus", { defaultValue: () => 3 })
    const reward = looking(({ ids }) => Effect.map(Bonus, (bonus) => ids.map(() => bonus)))
    const told = async (services?: Context.Context<never>) => {
      await using pipeline = await openWith(models(), reward, services)
      return (await pipeline.generate("a", { maxTokens: 1, seed: 1 })).tokens[0].rewards.mine
    }
    assertEquals([await told(), await told(Context.make(Bonus, 8))], [3, 8])
  })

  it("must be a context", async () => {
    const { runtime } = models()
    for (const services of [{ Taste: {} }, 5, null, Taste]) {
      const opening = () => openPipeline({ base: "base" }, { runtime, services: services as never })
      const error = await assertRejects(opening, GenArmError, "expected services as a Context")
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["services"] })
    }
  })
})

describe("an effect that gives nothing", () => {
  class Bitter extends Data.TaggedError("Bitter")<{ readonly message: string }> {}
  const cause = new Error("out of order")
  const cases: Record<
    string,
    readonly [Effect.Effect<number[], unknown, never>, string, unknown?]
  > = {
    "because a service is missing": [
      byTaste({ ids: [], texts: [], written: [] }) as never,
      "test/Taste",
    ],
    "because it fails": [Effect.fail(cause), "out of order", cause],
    "because it fails with a tag": [
      Effect.fail(new Bitter({ message: "too bitter" })),
      "too bitter",
    ],
    "because it fails with a text": [Effect.fail("just so"), "just so", "just so"],
    "because it dies": [Effect.die(cause), "out of order", cause],
    "because it throws": [
      Effect.sync(() => {
        throw cause
      }),
      "out of order",
      cause,
    ],
    "because it interrupts itself": [Effect.interrupt, "nterrupt"],
    "but too few scores": [Effect.succeed([1]), "gave 1 scores for 3 candidates"],
  }
  for (const [name, [effect, part, thrown]] of Object.entries(cases)) {
    it(`fails the text, and names the reward, ${name}`, async () => {
      const watched = models()
      await using pipeline = await openWith(watched, looking(() => effect))
      for (const call of [() => pipeline.generate("a"), () => pipeline.score("a", "bcd")]) {
        const error = await assertRejects(call, GenArmError, part)
        assertEquals(error.reason, { _tag: "PluginFailed", plugin: "looking" })
        assert(error.message.includes('"mine"'), error.message)
        if (thrown !== undefined) assertEquals(error.cause, thrown)
        assertEquals(watched.openCaches(), 0)
      }
    })
  }

  it("fails the score of a text in the same way", async () => {
    const whole = defineReward({
      name: "whole",
      open: () => ({ scoreText: () => Effect.fail(new Bitter({ message: "too bitter" })) }),
    })
    await using pipeline = await openWith(models(), whole())
    const error = await assertRejects(() => pipeline.score("a", "bc"), GenArmError, "too bitter")
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "whole" })
    assertInstanceOf(error.cause, Bitter)
  })
})

describe("an effect that goes on for ever is interrupted", () => {
  it("when its text is aborted", async () => {
    const { counts, never } = counted()
    const watched = models()
    await using pipeline = await openWith(watched, looking(() => never))
    const stop = new AbortController()
    const held = pipeline.generate("a", { signal: stop.signal })
    held.catch(() => {})
    await until(() => counts.begun === 1)
    stop.abort(new Error("enough"))
    await assertRejects(() => held, GenArmError, "aborted: enough")
    await until(() => counts.interrupted === 1)
    assertEquals(watched.openCaches(), 0)
  })

  it("when the pipeline is closed, those of all its texts", async () => {
    const { counts, never } = counted()
    const pipeline = await openWith(models(), looking(() => never))
    const held = [pipeline.generate("a"), pipeline.generate("b"), pipeline.score("a", "bc")]
    for (const call of held) call.catch(() => {})
    await until(() => counts.begun === 3)
    await pipeline.close()
    for (const call of held) await assertRejects(() => call, GenArmError, "closed")
    await until(() => counts.interrupted === 3)
  })

  it("when it takes longer than its time limit", async () => {
    const { counts, never } = counted()
    await using pipeline = await openWith(models(), looking(() => never, { timeLimit: 5 }))
    const error = await assertRejects(() => pipeline.generate("a"), GenArmError, "within 5 ms")
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "looking" })
    await until(() => counts.interrupted === 1)
    assertEquals(counts.begun, 1)
  })

  it("when the program that waits for its text is interrupted", async () => {
    const { counts, never } = counted()
    const watched = models()
    const program = Effect.gen(function* () {
      const pipeline = yield* make(looking(() => never))
      const fiber = yield* Effect.forkChild(generate(pipeline, "a", options))
      yield* Effect.promise(() => until(() => counts.begun === 1))
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* Effect.promise(() => until(() => counts.interrupted === 1))
      assertEquals(watched.openCaches(), 0)
    })
    await run(watched, program)
  })

  it("while those of other texts go on", async () => {
    const { counts, never } = counted()
    const pipeline = await openWith(
      models(),
      looking((candidates) =>
        candidates.texts[0].length === 3 && counts.begun === 0
          ? never
          : Effect.as(Effect.sleep(1), judged(candidates))
      ),
    )
    const stop = new AbortController()
    const held = pipeline.generate("a", { ...options, signal: stop.signal })
    held.catch(() => {})
    await until(() => counts.begun === 1)
    const other = pipeline.generate("a", options)
    stop.abort(new Error("enough"))
    await assertRejects(() => held, GenArmError, "aborted: enough")
    await using plain = await open(models(), { rewards: rewards(looking(judged)) })
    assertEquals((await other).tokens, (await plain.generate("a", options)).tokens)
    assertEquals(counts, { begun: 1, interrupted: 1 })
    await pipeline.close()
  })

  it("and one that has ended is not", async () => {
    let interrupted = 0
    const watched = looking((candidates) =>
      Effect.as(Effect.sleep(0), judged(candidates)).pipe(
        Effect.onInterrupt(() => Effect.sync(() => void interrupted++)),
      )
    )
    await using pipeline = await openWith(models(), watched)
    await pipeline.generate("a", options)
    await turn()
    assertEquals(interrupted, 0)
  })
})
