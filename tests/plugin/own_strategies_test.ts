import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert"
import { Effect, Schema } from "effect"
import {
  arm,
  defineGraph,
  defineReward,
  defineStrategy,
  GenArmError,
  type Generation,
  type GraphSpec,
  greedy,
  type GuidedSequence,
  type RewardState,
} from "genarm"
import { argmax } from "genarm/math"
import { describe, it } from "node:test"
import { type Drive, drive, driven, finish } from "../decode/_driven.ts"
import { always, letters, open, script, take, watch, type Watched } from "../decode/_pipelines.ts"

const uniform = () => letters.map(() => 1)
const even = () => watch({ base: { next: uniform } })

describe("a strategy of one's own", () => {
  it("may write several texts, and keep the best", async () => {
    const best = defineStrategy({
      name: "best",
      options: Schema.Struct({
        of: Schema.Int,
        letter: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("a"))),
      }),
      async *run({ of, letter }, sequence) {
        const id = letters.indexOf(letter)
        const texts = [sequence, ...Array.from({ length: of - 1 }, () => sequence.fork())]
        const count = ({ ids }: GuidedSequence) => ids.filter((other) => other === id).length
        await Promise.all(texts.map(finish))
        texts.sort((a, b) => count(b) - count(a))
        for (const text of texts.slice(1)) text.close()
        yield texts[0]
      },
    })
    assertEquals(best({ of: 2 }).options, { of: 2, letter: "a" })
    const models = even()
    const count = async (of: number) => {
      await using pipeline = await open(models, { strategy: best({ of, letter: "d" }) })
      const texts = await pipeline.generateAll(["a"], { n: 30, seed: 1, maxTokens: 20 })
      assertEquals(models.openCaches(), 0)
      for (const { ids, tokens, text } of texts) {
        assertEquals(ids, tokens.map(({ id }) => id))
        assertEquals(text, ids.map((id) => letters[id]).join(""))
      }
      return texts.reduce((sum, { text }) => sum + text.split("d").length - 1, 0) / texts.length
    }
    const [one, five] = [await count(1), await count(5)]
    // Of 20 letters 2 are "d" on average, and 3.6 in the best of five texts.
    assert(one > 1.4 && one < 2.6 && five > 3 && five < 4.3, `${one}, ${five}`)
  })

  it("may take back what it does not like", async () => {
    const without = driven(async function* (sequence) {
      while (sequence.ended === undefined) {
        const id = await sequence.step()
        if (letters[id] === "e") sequence.rewind(1)
        else yield sequence
      }
    })
    const models = even()
    await using pipeline = await open(models, { strategy: without })
    const { ids, text } = await pipeline.generate("a", { maxTokens: 300, seed: 2 })
    assertEquals(ids.length, 300)
    assertEquals(new Set(text), new Set("abcdfghij"))
  })

  it("tells each token as soon as it yields it", async () => {
    const log: string[] = []
    const strategy = driven(async function* (sequence) {
      while (sequence.ended === undefined) {
        const id = await sequence.step()
        log.push(`written ${letters[id]}`)
        if (sequence.ids.length % 2 === 0) yield sequence
      }
      log.push("done")
      yield sequence
    })
    await using pipeline = await open(watch({ base: { next: script([1, 2, 3, 4, 5]) } }), {
      strategy,
    })
    for await (const { text } of pipeline.stream("a", { maxTokens: 5 })) log.push(`told ${text}`)
    assertEquals(log, [
      ...["written b", "written c", "told b", "told c"],
      ...["written d", "written e", "told d", "told e"],
      ...["written f", "done", "told f"],
    ])
  })

  it("may tell all at the end, and ends with the text that plain decoding gives", async () => {
    const models = watch({ base: { next: script([1, 2, 3, 4, 5]), eos: [4] } })
    const strategy = driven(async function* (sequence) {
      yield await finish(sequence)
    })
    await using own = await open(models, { strategy })
    await using plain = await open(models)
    for (const request of [{}, { maxTokens: 2 }, { stop: ["cd"] }, { stop: ["dx"] }]) {
      const options = { seed: 1, ...request }
      assertEquals(await own.generate("a", options), await plain.generate("a", options))
    }
  })

  it("may yield a sequence that has nothing new", async () => {
    const strategy = driven(async function* (sequence) {
      yield sequence
      await sequence.step()
      yield sequence
      yield sequence
      yield await finish(sequence)
    })
    await using pipeline = await open(watch({ base: { next: script([1, 2, 3]) } }), { strategy })
    assertEquals((await pipeline.generate("a", { maxTokens: 3 })).text, "bcd")
  })

  it("has models of its own, which it alone reads", async () => {
    const strategy = defineStrategy({
      name: "second",
      options: Schema.Struct({ model: Schema.String }),
      sources: ({ model }) => ({ critic: { model, template: "b{prompt}" } }),
      // The likeliest id for the critic among the three likeliest for the base.
      async *run(_, sequence) {
        const row = new Float32Array(sequence.vocabularySize)
        while (sequence.ended === undefined) {
          const scores = [...await sequence.evaluate()]
          await sequence.preview([], { only: sequence.models.critic })
          sequence.models.critic.logProbs(0, row)
          const third = scores.toSorted((a, b) => b - a)[2]
          sequence.accept(argmax(row.map((p, id) => scores[id] >= third ? p : -Infinity)), 0)
          yield sequence
        }
      },
    })
    const models = watch({
      base: { next: always(1, 2, 3, 9, 8, 7) },
      judge: { next: always(9, 9, 9, 1, 2, 3) },
    })
    await using pipeline = await open(models, { strategy: strategy({ model: "judge" }) })
    assertEquals((await pipeline.generate("a", { maxTokens: 4 })).text, "ffff")
    assertEquals(models.last.judge, [1, 0, 5, 5, 5])
    assertEquals(models.calls, { base: 4, judge: 4 })
    assertEquals(models.openCaches(), 0)
  })

  it("reads a model after tokens that it lacks as after those before them", async () => {
    const few = letters.slice(0, 5)
    const tables = watch({
      base: { next: () => letters.map(() => 1) },
      few: { vocabulary: few, next: (ids) => few.map((_, id) => 1 + (id + ids.length) % 5) },
    })
    const seen: number[] = []
    await drive(tables, async (sequence) => {
      const { draft } = sequence.models
      const row = new Float32Array(sequence.vocabularySize)
      const look = (ahead: number) => {
        draft.logProbs(ahead, row)
        seen.push(Math.round(Math.exp(row[0]) * 15))
      }
      await sequence.evaluate()
      await sequence.preview([7, 1, 8, 2], { only: draft })
      for (const ahead of [0, 1, 2, 3, 4]) look(ahead)
      assertThrows(() => look(5), RangeError, "0 to 4 ahead")
      sequence.accept(7, 0)
      for (const ahead of [0, 1, 2, 3]) look(ahead)
    }, { draft: "few" })
    // The chance of its first token is 1 + the length of what it has read, after "a".
    assertEquals(seen, [2, 2, 3, 3, 4, ...[2, 3, 3, 4]])
  })

  it("gives the same text for the same seed", async () => {
    const strategy = driven(async function* (sequence) {
      while (sequence.ended === undefined) {
        await sequence.evaluate()
        sequence.accept(Math.floor(sequence.random.nextUniform() * 10), -Math.log(10))
        yield sequence
      }
    })
    await using pipeline = await open(even(), { strategy })
    const texts = await pipeline.generateAll(["a"], { n: 8, seed: 3, maxTokens: 20 })
    assertEquals(new Set(texts.map(({ text }) => text)).size, 8)
    assertEquals(await pipeline.generate("a", { seed: 5, maxTokens: 20 }), texts[2])
  })

  it("is part of the graph as plain data", () => {
    const strategy = defineStrategy({ name: "own", run: async function* () {} })
    const graph = defineGraph({ base: "base", strategy: strategy() })
    assertEquals(graph.strategy?.plugin, "own")
    const error = assertThrows(() => strategy({ a: 1 } as never), GenArmError)
    assertEquals(error.reason._tag, "InvalidOption")
    const wrong = assertThrows(
      () => defineGraph({ base: "base", strategy: greedy() as never }),
      GenArmError,
    )
    assertEquals(wrong.reason._tag, "InvalidGraph")
  })
})

/**
 * Checks that a strategy fails the request with its name, that nothing stays open, and that the
 * models still work.
 */
async function refuse(
  run: Drive,
  part: string,
  { spec = {}, models = even() }: { spec?: Partial<GraphSpec>; models?: Watched } = {},
): Promise<GenArmError> {
  await using pipeline = await open(models, { ...spec, strategy: driven(run) })
  const error = await assertRejects(
    () => pipeline.generate("a", { maxTokens: 5, seed: 1 }),
    GenArmError,
    part,
  )
  assertEquals(error.reason, { _tag: "PluginFailed", plugin: "driven" })
  assert(error.message.includes('"driven"'), error.message)
  assertEquals(models.openCaches(), 0)
  await using sound = await open(models)
  assertEquals((await sound.generate("a", { maxTokens: 5 })).ids.length, 5)
  return error
}

describe("a strategy that misuses its sequence is told so, by name:", () => {
  const wrong: Record<string, [part: string, (sequence: GuidedSequence) => unknown]> = {
    "accepting before it has evaluated": [
      "before it called evaluate",
      (sequence) => sequence.accept(1, 0),
    ],
    "accepting twice after one evaluation": [
      "before it called evaluate",
      async (sequence) => {
        await sequence.evaluate()
        sequence.accept(1, 0)
        sequence.accept(1, 0)
      },
    ],
    "accepting an id that is none": [
      "accepted the id 10, whose guided score is undefined",
      async (sequence) => {
        await sequence.evaluate()
        sequence.accept(10, 0)
      },
    ],
    "accepting an id between two": [
      "accepted the id 1.5",
      async (sequence) => {
        await sequence.evaluate()
        sequence.accept(1.5, 0)
      },
    ],
    "stepping after the end": [
      "has ended (length)",
      async (sequence) => {
        await finish(sequence)
        await sequence.step()
      },
    ],
    "evaluating after the end": [
      "has ended (length)",
      async (sequence) => await (await finish(sequence)).evaluate(),
    ],
    "looking further than may be written": [
      "previewed 5 tokens, and 5 may be written",
      async (sequence) => await sequence.preview([1, 2, 3, 4, 5]),
    ],
    "looking further after some were written": [
      "previewed 3 tokens, and 3 may be written",
      async (sequence) => {
        await sequence.step()
        await sequence.step()
        await sequence.preview([1, 2, 3])
      },
    ],
    "looking at ids that are none": [
      "previewed 77: expected ids from 0 to 9",
      async (sequence) => await sequence.preview([1, 77]),
    ],
    "reading further than it has looked": [
      "preview them first",
      async (sequence) => {
        await sequence.preview([1, 2])
        sequence.base.logProbs(3, new Float32Array(10))
      },
    ],
    "rewinding more than there is": [
      "rewound 3 tokens: expected 0 to 2",
      async (sequence) => {
        await sequence.step()
        await sequence.step()
        sequence.rewind(3)
      },
    ],
    "rewinding a part of a token": ["rewound 0.5", (sequence) => sequence.rewind(0.5)],
    "rewinding forwards": ["rewound -1", (sequence) => sequence.rewind(-1)],
    "stepping a sequence that it has closed": [
      "a sequence that it has closed",
      async (sequence) => {
        sequence.close()
        await sequence.step()
      },
    ],
    "forking a sequence that it has closed": [
      "a sequence that it has closed",
      (sequence) => {
        sequence.close()
        sequence.fork()
      },
    ],
    "rewinding a sequence that it has closed": [
      "a sequence that it has closed",
      async (sequence) => {
        await sequence.step()
        sequence.close()
        sequence.rewind(1)
      },
    ],
    "looking ahead of a sequence that it has closed": [
      "a sequence that it has closed",
      async (sequence) => {
        const fork = sequence.fork()
        fork.close()
        await fork.preview([1])
      },
    ],
    "accepting in a sequence that it has closed": [
      "a sequence that it has closed",
      async (sequence) => {
        await sequence.evaluate()
        sequence.close()
        sequence.accept(1, 0)
      },
    ],
  }
  for (const [what, [part, body]] of Object.entries(wrong)) {
    it(what, async () => {
      await refuse(async function* (sequence) {
        await body(sequence)
        yield sequence
      }, part)
    })
  }

  it("accepting an id that a reward has ruled out", async () => {
    const ban = defineReward({
      name: "ban",
      open: () => ({ score: (_, out) => void (out.fill(0)[4] = -Infinity) }),
    })
    const spec = { rewards: { ban: { reward: ban(), weight: 1 } } }
    await refuse(
      async function* (sequence) {
        await sequence.evaluate()
        sequence.accept(4, 0)
        yield sequence
      },
      "accepted the id 4, whose guided score is -Infinity",
      { spec },
    )
  })

  it("but not for what a reward has broken: that names the reward", async () => {
    for (const [value, term] of [[NaN, "x"], [-Infinity, "base"]] as const) {
      const reward = defineReward({
        name: "broken",
        open: () => ({ score: (_, out) => out.fill(value) }),
      })
      const strategy = driven(async function* (sequence) {
        sequence.accept(argmax(await sequence.evaluate()), 0)
        yield sequence
      })
      const rewards = { x: { reward: reward(), weight: 1 } }
      await using pipeline = await open(even(), { rewards, strategy })
      const error = await assertRejects(() => pipeline.generate("a"), GenArmError)
      assertEquals(error.reason, { _tag: "NonFiniteScores", term })
    }
  })

  it("taking back what it has yielded", async () => {
    await refuse(async function* (sequence) {
      await sequence.step()
      await sequence.step()
      yield sequence
      await sequence.step()
      sequence.rewind(2)
      yield sequence
    }, "rewound 2 tokens: expected 0 to 1, which have not been yielded")
  })

  it("yielding another text than it had begun to tell", async () => {
    await refuse(async function* (sequence) {
      const fork = sequence.fork()
      await sequence.evaluate()
      sequence.accept(1, 0)
      yield sequence
      await fork.evaluate()
      fork.accept(2, 0)
      yield fork
    }, "does not go on from the tokens")
  })

  it("yielding a shorter text than it has told", async () => {
    await refuse(async function* (sequence) {
      const fork = sequence.fork()
      await sequence.step()
      yield sequence
      yield fork
    }, "does not go on from the tokens")
  })

  it("yielding something else", async () => {
    for (const other of [undefined, null, 7, "text", {}, [1, 2]]) {
      await refuse(async function* () {
        yield other as never
      }, "something else than a sequence")
    }
  })

  it("yielding the sequence of another request", async () => {
    let foreign: GuidedSequence | undefined
    const models = even()
    const strategy = driven(async function* (sequence) {
      foreign ??= sequence
      await sequence.step()
      yield foreign
      yield await finish(sequence)
    })
    await using pipeline = await open(models, { strategy })
    const first = pipeline.stream("a", { seed: 1 })[Symbol.asyncIterator]()
    await first.next()
    const error = await assertRejects(
      () => pipeline.generate("a", { seed: 2 }),
      GenArmError,
      "a sequence of another request",
    )
    assertEquals(error.reason, { _tag: "PluginFailed", plugin: "driven" })
    await first.return?.()
    assertEquals(models.openCaches(), 0)
  })

  it("returning before the end", async () => {
    await refuse(async function* (sequence) {
      await sequence.step()
      yield sequence
    }, "returned after 1 tokens, and the text has not ended")
    await refuse(async function* (sequence) {
      yield sequence
      await finish(sequence)
    }, "returned after 0 tokens")
  })

  it("giving nothing to iterate", async () => {
    await refuse(() => undefined as never, "failed")
    await refuse(() => 7 as never, "failed")
  })

  it("throwing, with what it threw", async () => {
    const thrown = new Error("out of ideas")
    for (const steps of [0, 2]) {
      const error = await refuse(async function* (sequence) {
        for (let i = 0; i < steps; i++) await sequence.step()
        if (steps > 0) yield sequence
        sequence.fork()
        throw thrown
      }, "out of ideas")
      assertStrictEquals(error.cause, thrown)
    }
  })

  it("except for errors of the SDK's own, which keep their reason", async () => {
    const own = new GenArmError({ _tag: "InvalidOption", path: ["of"] }, "no such number")
    const strategy = driven(() => {
      throw own
    })
    await using pipeline = await open(even(), { strategy })
    assertStrictEquals(await assertRejects(() => pipeline.generate("a"), GenArmError), own)
  })
})

describe("a reward with a memory", () => {
  const listening = (more: Partial<RewardState>): Partial<GraphSpec> => ({
    rewards: {
      x: {
        reward: defineReward({
          name: "listening",
          open: () => ({ score: (_, out) => out.fill(0), accept: () => {}, ...more }),
        })(),
        weight: 1,
      },
    },
  })
  const forking: Drive = async function* (sequence) {
    await sequence.step()
    yield await finish(sequence.fork())
  }
  const rewinding: Drive = async function* (sequence) {
    await sequence.step()
    sequence.rewind(1)
    yield await finish(sequence)
  }

  it("that cannot be copied or taken back is named where that is asked of it", async () => {
    const models = even()
    for (
      const [run, more, parts] of [
        [forking, { rewind: () => {} }, ["forks", '"x"', "has no fork()"]],
        [rewinding, { fork: () => ({ score: () => {} }) }, ["rewinds", '"x"', "no rewind(count)"]],
      ] as const
    ) {
      await using pipeline = await open(models, { ...listening(more), strategy: driven(run) })
      const error = await assertRejects(() => pipeline.generate("a"), GenArmError)
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "listening" })
      for (const part of parts) assert(error.message.includes(part), error.message)
      assertEquals(models.openCaches(), 0)
    }
  })

  it("that fails to copy or to take back is named", async () => {
    const thrown = new Error("out of paper")
    const fail = () => {
      throw thrown
    }
    const models = even()
    for (const [run, more] of [[forking, { fork: fail }], [rewinding, { rewind: fail }]] as const) {
      await using pipeline = await open(models, { ...listening(more), strategy: driven(run) })
      const error = await assertRejects(() => pipeline.generate("a"), GenArmError, "out of paper")
      assertEquals(error.reason, { _tag: "PluginFailed", plugin: "listening" })
      assertStrictEquals(error.cause, thrown)
      assertEquals(models.openCaches(), 0)
    }
  })

  it("is closed once for each copy", async () => {
    let [opened, closed] = [0, 0]
    const state = (): RewardState => {
      opened++
      return {
        score: (_, out) => out.fill(0),
        accept: () => {},
        fork: state,
        close: () => void closed++,
      }
    }
    const reward = defineReward({ name: "counted", open: state })
    const strategy = driven(async function* (sequence) {
      const fork = sequence.fork()
      const other = fork.fork()
      other.close()
      other.close()
      yield await finish(fork)
    })
    const rewards = { x: { reward: reward(), weight: 1 } }
    await using pipeline = await open(even(), { rewards, strategy })
    await pipeline.generate("a", { maxTokens: 3 })
    assertEquals([opened, closed], [3, 3])
  })
})

describe("a strategy that is ended from outside", () => {
  /** Two forks and a clean-up; hears of its end. */
  const forked = (hear: (what: string) => void): GraphSpec["strategy"] & object =>
    driven(async function* (sequence) {
      try {
        const fork = sequence.fork()
        sequence.fork()
        while (fork.ended === undefined) {
          await fork.step()
          yield fork
        }
      } finally {
        hear("cleaned up")
      }
    })
  const why = new Error("the reader has left")
  const models = (onCall: (call: number) => void = () => {}) => {
    let call = 0
    const next = () => {
      onCall(++call)
      return uniform()
    }
    return watch({ base: { next, contextLength: 4_000 }, kind: { next: uniform } })
  }
  const rewards = { kind: { reward: arm({ model: "kind" }), weight: 1 } }

  it("by a reader who breaks off cleans up, and all is freed", async () => {
    const heard: string[] = []
    const watched = models()
    await using pipeline = await open(watched, {
      rewards,
      strategy: forked((what) => heard.push(what)),
    })
    assertEquals((await take(pipeline.stream("a"), 3)).length, 3)
    assertEquals(heard, ["cleaned up"])
    assertEquals(watched.openCaches(), 0)
  })

  it("by an abort while a model runs cleans up, and gives what was told", async () => {
    const heard: string[] = []
    const stop = new AbortController()
    const watched = models((call) => call === 4 && stop.abort(why))
    await using pipeline = await open(watched, {
      rewards,
      strategy: forked((what) => heard.push(what)),
    })
    const error = await assertRejects(
      () => pipeline.generate("a", { signal: stop.signal }),
      GenArmError,
    )
    assert(error.reason._tag === "Aborted")
    assertEquals((error.partial as Generation).ids.length, 3)
    assertEquals(heard, ["cleaned up"])
    assertEquals(watched.openCaches(), 0)
  })

  it("by an abort while its reader pauses frees all at once", async () => {
    const stop = new AbortController()
    const watched = models()
    await using pipeline = await open(watched, { rewards, strategy: forked(() => {}) })
    const iterator = pipeline.stream("a", { signal: stop.signal })[Symbol.asyncIterator]()
    await iterator.next()
    assert(watched.openCaches() >= 2)
    stop.abort(why)
    assertEquals(watched.openCaches(), 0)
    const error = await assertRejects(() => iterator.next(), GenArmError)
    assertEquals(error.reason._tag, "Aborted")
  })

  it("by closing the pipeline frees all", async () => {
    const watched = models()
    const pipeline = await open(watched, { rewards, strategy: forked(() => {}) })
    const iterator = pipeline.stream("a")[Symbol.asyncIterator]()
    await iterator.next()
    await pipeline.close()
    assertEquals(watched.openCaches(), 0)
    const error = await assertRejects(() => iterator.next(), GenArmError)
    assertEquals(error.reason._tag, "Closed")
  })

  it("by an abort is aborted, whatever it makes of that", async () => {
    for (const swallow of [true, false]) {
      const stop = new AbortController()
      const watched = models((call) => call === 3 && stop.abort(why))
      const strategy = driven(async function* (sequence) {
        try {
          while (sequence.ended === undefined) {
            await sequence.step()
            yield sequence
          }
        } catch (error) {
          if (swallow) return
          throw new Error("something else", { cause: error })
        }
      })
      await using pipeline = await open(watched, { rewards, strategy })
      const error = await assertRejects(
        () => pipeline.generate("a", { signal: stop.signal }),
        GenArmError,
      )
      assertEquals(error.reason._tag, "Aborted")
      assertEquals((error.partial as Generation).ids.length, 2)
      assertEquals(watched.openCaches(), 0)
    }
  })

  it("frees what it leaves open at its own end", async () => {
    const watched = models()
    await using pipeline = await open(watched, { rewards, strategy: forked(() => {}) })
    assertEquals((await pipeline.generate("a", { maxTokens: 5 })).ids.length, 5)
    assertEquals(watched.openCaches(), 0)
  })
})
