import { assert, assertAlmostEquals, assertEquals, assertInstanceOf } from "@std/assert"
import { Cause, Effect, Exit, Fiber, Option, type Scope, Stream } from "effect"
import { defineObjective, defineReward, GenArmError, greedy, sampling } from "genarm"
import { builtins } from "../plugins/builtins.ts"
import {
  defineGraph,
  generate,
  makePipeline,
  type Pipeline,
  Registry,
  Runtime,
  score,
  streamTokens,
  train,
} from "genarm/effect"
import { scale } from "genarm/onnx"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { fixture } from "./_fixtures.ts"
import { temporaryFolder } from "./files/_altered.ts"
import { letters, script, watch, type Watched } from "./decode/_pipelines.ts"

const alphabet = (onCall: (call: number) => void = () => {}) => {
  let call = 0
  const says = script([1, 2, 3, 4, 5, 6, 7, 8, 9])
  return watch({
    base: {
      contextLength: 4_000,
      next: (ids) => {
        onCall(++call)
        return says(ids)
      },
    },
  })
}

/** A pipeline over a base alone, in the scope of the program. */
const open: Effect.Effect<Pipeline, GenArmError, Runtime | Scope.Scope> = Effect
  .flatMap(defineGraph({ base: "base" }), (graph) => makePipeline(graph))

const run = <A, E>(
  models: Watched,
  program: Effect.Effect<A, E, Runtime | Scope.Scope>,
): Promise<A> => Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(models.runtime)))

/** The `GenArmError` that a program fails with. */
const failure = async (models: Watched, program: Parameters<typeof run>[1]) => {
  const error = await run(models, Effect.flip(program))
  assertInstanceOf(error, GenArmError)
  return error
}

describe("an Effect program", () => {
  it("generates, streams and scores as a plain one does", async () => {
    const models = alphabet()
    const program = Effect.gen(function* () {
      const pipeline = yield* open
      const whole = yield* generate(pipeline, "a", { maxTokens: 4, seed: 1 })
      const tokens = yield* Stream.runCollect(
        streamTokens(pipeline, "a", { maxTokens: 4, seed: 1 }),
      )
      return { whole, tokens, scored: yield* score(pipeline, "a", whole.ids) }
    })
    const { whole, tokens, scored } = await run(models, program)
    assertEquals(whole.text, "bcde")
    assertEquals([...tokens], [...whole.tokens])
    assertEquals(scored.ids, whole.ids)
    assertEquals(models.openCaches(), 0)
  })

  it("pulls one token at a time, and frees the cache where it stops", async () => {
    const models = alphabet()
    const program = Effect.gen(function* () {
      const pipeline = yield* open
      const stream = streamTokens(pipeline, "a")
      assertEquals(models.calls.base, undefined)
      const two = yield* stream.pipe(Stream.take(2), Stream.runCollect)
      assertEquals(models.openCaches(), 0)
      assertEquals(models.calls.base, 2)
      // A stream is a description: run again, it begins again.
      const again = yield* stream.pipe(Stream.take(1), Stream.runCollect)
      return [...two, ...again].map(({ text }) => text)
    })
    assertEquals(await run(models, program), ["b", "c", "b"])
    assertEquals(models.openCaches(), 0)
  })

  it("fails with typed errors, which can be told apart by tag", async () => {
    const models = alphabet()
    const wrong = await failure(models, Effect.flatMap(open, (p) => generate(p, [77])))
    assertEquals(wrong.reason, { _tag: "InvalidPrompt" })
    const early = await failure(
      models,
      Effect.flatMap(open, (p) => Stream.runDrain(streamTokens(p, "a", { maxTokens: 0 }))),
    )
    assertEquals(early.reason, { _tag: "InvalidOption", path: ["maxTokens"] })
    const unscored = await failure(models, Effect.flatMap(open, (p) => score(p, "a", [77])))
    assertEquals(unscored.reason, { _tag: "InvalidPrompt" })
    const spec = await failure(models, defineGraph({ base: "" }))
    assertEquals(spec.reason, { _tag: "InvalidGraph", path: ["base"] })
    const unknown = await failure(
      models,
      Effect.flatMap(defineGraph({ base: "other" }), (graph) => makePipeline(graph)),
    )
    assertEquals(unknown.reason, { _tag: "ModelNotFound", model: "other" })
    const caught = await run(
      models,
      Effect.flatMap(open, (p) => generate(p, [])).pipe(
        Effect.catchTag("GenArmError", (error) => Effect.succeed(error.reason._tag)),
      ),
    )
    assertEquals(caught, "InvalidPrompt")
    assertEquals(models.openCaches(), 0)
  })

  it("closes its pipeline with its scope", async () => {
    const models = alphabet()
    const pipeline = await run(models, open)
    const error = await failure(models, generate(pipeline, "a"))
    assertEquals(error.reason, { _tag: "Closed" })
  })

  it("finds plugins by name in the registry it provides", async () => {
    const models = alphabet()
    const mine = defineReward({ name: "mine", open: () => ({ score: (_, out) => out.fill(4) }) })
    const spec = {
      base: "base",
      rewards: { x: { reward: { plugin: "mine", options: {} }, weight: 1 } },
    }
    const program = Effect.gen(function* () {
      const pipeline = yield* makePipeline(yield* defineGraph(spec))
      return (yield* generate(pipeline, "a", { maxTokens: 1 })).tokens[0].rewards
    })
    assertEquals((await failure(models, program)).reason, {
      _tag: "UnknownPlugin",
      kind: "reward",
      name: "mine",
      known: builtins.reward.map(({ name }) => name),
    })
    const plugins = {
      reward: [mine.definition],
      schedule: [],
      sampler: [sampling.definition, greedy.definition],
      strategy: [],
      objective: [],
    }
    const provided = program.pipe(Effect.provideService(Registry, plugins))
    assertEquals(await run(models, provided), { x: 4 })
  })
})

describe("interruption", () => {
  it("of a text frees its cache and ends it between two steps", async () => {
    let interrupt = () => {}
    const models = alphabet((call) => call === 5 && interrupt())
    const program = Effect.gen(function* () {
      const pipeline = yield* open
      const fiber = yield* Effect.forkChild(generate(pipeline, "a", { maxTokens: 3_000 }))
      interrupt = () => fiber.interruptUnsafe()
      const exit = yield* Fiber.await(fiber)
      assert(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assertEquals(models.openCaches(), 0)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      assertEquals(models.calls.base, 5)
      return yield* generate(pipeline, "a", { maxTokens: 2 })
    })
    assertEquals((await run(models, program)).text, "bc")
  })

  it("of a stream does so too", async () => {
    const models = alphabet()
    const program = Effect.gen(function* () {
      const pipeline = yield* open
      const stream = streamTokens(pipeline, "a", { maxTokens: 3_000 }).pipe(
        // A reader that never comes back for its third token.
        Stream.mapEffect(({ id }) => id === 3 ? Effect.never : Effect.succeed(id)),
      )
      const fiber = yield* Effect.forkChild(Stream.runDrain(stream))
      while (models.calls.base !== 3) yield* Effect.yieldNow
      assertEquals(models.openCaches(), 1)
      yield* Fiber.interrupt(fiber)
      assertEquals(models.openCaches(), 0)
      assertEquals(models.calls.base, 3)
      return yield* generate(pipeline, "a", { maxTokens: 2 })
    })
    assertEquals((await run(models, program)).text, "bc")
  })

  it("by a timeout gives nothing, and leaves nothing behind", async () => {
    let stop = () => {}
    const stopped = new Promise<void>((resolve) => stop = resolve)
    const models = alphabet((call) => call === 4 && stop())
    const program = Effect.gen(function* () {
      const pipeline = yield* open
      const text = generate(pipeline, "a", { maxTokens: 3_000 })
      const result = yield* Effect.raceFirst(
        Effect.asSome(text),
        Effect.as(Effect.promise(() => stopped), Option.none()),
      )
      assert(Option.isNone(result))
      assertEquals(models.openCaches(), 0)
    })
    await run(models, program)
  })

  it("closes what a program has open when it ends early", async () => {
    const models = alphabet()
    const exit = await Effect.runPromiseExit(
      Effect.gen(function* () {
        const pipeline = yield* open
        const iterator = pipeline.stream("a")[Symbol.asyncIterator]()
        yield* Effect.promise(() => iterator.next())
        assertEquals(models.openCaches(), 1)
        return yield* Effect.interrupt
      }).pipe(Effect.scoped, Effect.provide(models.runtime)),
    )
    assert(Exit.isFailure(exit))
    assertEquals(models.openCaches(), 0)
  })
})

describe("a runtime of one's own", () => {
  it("is a layer, and opens each model of a graph once", async () => {
    const models = watch({ base: { next: () => letters.map(() => 1) } })
    const program = Effect.gen(function* () {
      const { name } = yield* Runtime
      yield* open
      return name
    })
    assertEquals(await run(models, program), "table")
    assertEquals(models.opened, { base: 1 })
  })
})

describe("a training in an Effect program", () => {
  const spec = {
    base: fixture("llama"),
    objective: { plugin: "nextToken" },
    data: ["The cat sees a red ball.", "A dog likes the sun.", "My bird finds bread."],
    heldOut: 0,
    batch: 1,
    tokens: 16,
    steps: 2,
  }
  const quiet = { threads: 1, onProgress: () => {} }

  it("gives what a plain one gives, with objectives of the registry", async () => {
    using folder = temporaryFolder()
    const out = join(folder.path, "out")
    const result = await Effect.runPromise(train({ ...spec, out }, quiet))
    assertEquals([result.steps, result.out], [2, out])
    const mine = defineObjective({
      name: "mine",
      data: "texts",
      loss: (_, { logProbs, mean }) => ({ loss: mean(scale(logProbs, -3)) }),
    })
    const own = train({ ...spec, objective: { plugin: "mine" }, out: `${out}2` }, quiet)
    const unknown = await Effect.runPromise(Effect.flip(own))
    assertEquals(unknown.reason, {
      _tag: "UnknownPlugin",
      kind: "objective",
      name: "mine",
      known: ["armPreference", "dpo", "nextToken"],
    })
    const plugins = {
      reward: [],
      schedule: [],
      sampler: [],
      strategy: [],
      objective: [mine.definition],
    }
    const provided = own.pipe(Effect.provideService(Registry, plugins))
    const [first] = (await Effect.runPromise(provided)).log
    const [plain] = result.log
    assert("train" in first && "train" in plain)
    assertAlmostEquals(first.train.loss / 3, plain.train.loss, 0.2)
  })

  it("fails with typed errors, its callback's included", async () => {
    using folder = temporaryFolder()
    const out = join(folder.path, "out")
    const wrong = await Effect.runPromise(Effect.flip(train({ ...spec, out, steps: 0 }, quiet)))
    assertEquals(wrong.reason, { _tag: "InvalidOption", path: ["steps"] })
    const cause = new Error("no more")
    const onProgress = () => {
      throw cause
    }
    const thrown = await Effect.runPromise(Effect.flip(train({ ...spec, out }, { onProgress })))
    assertEquals([thrown._tag, thrown.cause], ["GenArmError", cause])
  })

  it("ends when it is interrupted, and goes on from its checkpoint", async () => {
    using folder = temporaryFolder()
    const long = { ...spec, steps: 40, checkpointEvery: 1, out: join(folder.path, "out") }
    const seen: number[] = []
    const program = Effect.gen(function* () {
      let interrupt = () => {}
      const fiber = yield* Effect.forkChild(train(long, {
        ...quiet,
        onProgress: (progress) => {
          if (progress.stage === "train" && seen.push(progress.step) === 5) interrupt()
        },
      }))
      interrupt = () => fiber.interruptUnsafe()
      const exit = yield* Fiber.await(fiber)
      assert(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      // It has let go: nothing is written any more.
      const files = readdirSync(long.out)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      assertEquals(readdirSync(long.out), files)
      assertEquals(seen, [1, 2, 3, 4, 5])
    })
    await Effect.runPromise(program)
    const resumed = await Effect.runPromise(train(long, {
      ...quiet,
      onProgress: (progress) => {
        if (progress.stage === "train") seen.push(progress.step)
      },
    }))
    assertEquals(resumed.steps, 40)
    assertEquals(seen.slice(0, 7), [1, 2, 3, 4, 5, 5, 6])
  })
})
