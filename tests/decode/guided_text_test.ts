import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert"
import {
  arm,
  defineReward,
  GenArmError,
  type GenerateOptions,
  type GraphSpec,
  greedy,
  type GuidedSequence,
  linear,
  sampling,
} from "genarm"
import { argmax, logSumExp, type RandomStream, randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { markov } from "../plugins/strategies/_rules.ts"
import { countRuns } from "../plugins/strategies/_counting.ts"
import { drive, driven, finish } from "./_driven.ts"
import { always, letters, open, script, type Table, watch } from "./_pipelines.ts"

const size = letters.length
const tables: Record<string, Table> = {
  base: { next: markov(61, 3, size), eos: [4] },
  kind: { next: markov(62, 2, size) },
  few: { vocabulary: letters.slice(0, 6), next: markov(63, 2, 6) },
}

/** Counts what it has heard, and can be copied and taken back. */
const counting = defineReward({
  name: "counting",
  open() {
    const state = (heard: number[]) => ({
      score: (_: unknown, out: Float32Array) =>
        out.forEach((_, id) => out[id] = -0.5 * heard.filter((other) => other === id).length),
      accept: (id: number) => void heard.push(id),
      fork: () => state([...heard]),
      rewind: (count: number) => void (heard.length -= count),
    })
    return state([])
  },
})

const spec: Partial<GraphSpec> = {
  rewards: {
    kind: { reward: arm({ model: "kind" }), weight: linear({ from: 0, to: 2, tokens: 12 }) },
    few: { reward: arm({ model: "few" }), weight: -0.5 },
    counting: { reward: counting(), weight: 1 },
  },
  sampler: greedy(),
}

describe("a guided text", () => {
  it("tells what it is", async () => {
    const models = watch({ base: { next: script([3, 4, 5]), bos: 7 } })
    await drive(models, async (sequence) => {
      assertEquals(sequence.vocabularySize, 10)
      assertEquals([sequence.promptIds, sequence.ids], [[7, 0], []])
      assertEquals([sequence.ended, sequence.room, sequence.models], [undefined, 3, {}])
      await finish(sequence)
      assertEquals([sequence.promptIds, sequence.ids], [[7, 0], [4, 5, 5]])
      assertEquals([sequence.ended, sequence.room], ["length", 0])
    }, { maxTokens: 3 })
  })

  it("has room for what the limit and the contexts of base and rewards allow", async () => {
    const room = async (contexts: Record<string, number>, request: GenerateOptions) => {
      let found = NaN
      const models = watch(Object.fromEntries(
        Object.entries(contexts).map(([name, contextLength]) => [name, {
          next: always(1, 1),
          contextLength,
        }]),
      ))
      const rewards = { kind: { reward: arm({ model: "kind" }), weight: 1 } }
      await drive(models, (sequence) => {
        found = sequence.room
        assertEquals(sequence.models.draft.room, contexts.draft)
        return Promise.resolve()
      }, { spec: { rewards }, draft: "draft", ...request })
      return found
    }
    assertEquals(await room({ base: 20, kind: 20, draft: 20 }, { maxTokens: 7 }), 7)
    assertEquals(await room({ base: 5, kind: 20, draft: 20 }, { maxTokens: 7 }), 5)
    assertEquals(await room({ base: 20, kind: 4, draft: 20 }, { maxTokens: 7 }), 4)
    assertEquals(await room({ base: 20, kind: 20, draft: 3 }, { maxTokens: 7 }), 7)
  })

  it("mixes its scores, the same ones until a token is written", async () => {
    const three = { vocabulary: ["a", "b", "c"] }
    const counted = countRuns({
      base: { ...three, next: always(0.5, 0.3, 0.2) },
      kind: { ...three, next: always(0.2, 0.2, 0.6) },
    })
    const rewards = { kind: { reward: arm({ model: "kind" }), weight: 1 } }
    await drive(counted, async (sequence) => {
      const scores = await sequence.evaluate()
      const total = logSumExp(scores)
      const found = [...scores].map((score) => Math.exp(score - total))
      const expected = [0.357142857, 0.214285714, 0.428571429]
      found.forEach((probability, id) => assertAlmostEquals(probability, expected[id], 1e-6))
      assertEquals(sequence.weightSum, 2)
      const before = [...scores]
      assertEquals([...await sequence.evaluate()], before)
      await sequence.preview([0, 1])
      assertEquals([...await sequence.evaluate()], before)
      assertEquals(counted.runs, { base: 2, kind: 2 })
      assertEquals(counted.read, { base: 3, kind: 3 })
    }, { spec: { rewards } })
  })

  it("tells the probabilities of the sampler, for scores of any kind", async () => {
    const models = watch({ base: { vocabulary: ["a", "b", "c"], next: always(0.5, 0.3, 0.2) } })
    const spec = { sampler: sampling({ temperature: 0.5, topK: 2 }) }
    await drive(models, async (sequence) => {
      const out = new Float32Array(3)
      sequence.probabilities(await sequence.evaluate(), out)
      const expected = [25 / 34, 9 / 34, 0]
      out.forEach((probability, id) => assertAlmostEquals(probability, expected[id], 1e-6))
      sequence.probabilities(Float32Array.of(-Infinity, 0, 0), out)
      assertEquals([...out], [0, 0.5, 0.5])
    }, { spec })
  })

  it("tells the guided log-probability, whatever the sampler was asked last", async () => {
    const models = watch(tables)
    const asked = { spec: { rewards: { kind: spec.rewards!.kind }, sampler: sampling() } }
    const { ids, tokens } = await drive(models, async (sequence) => {
      const out = new Float32Array(size)
      await sequence.step()
      await sequence.evaluate()
      sequence.accept(1, 0)
      sequence.probabilities(await sequence.evaluate(), out)
      sequence.accept(2, 0)
      sequence.probabilities(await sequence.evaluate(), out)
      sequence.probabilities(Float32Array.from(out, () => 5), out)
      sequence.accept(3, 0)
    }, asked)
    await using pipeline = await open(models, asked.spec)
    const score = await pipeline.score("a", ids)
    tokens.forEach(({ logprob }, at) =>
      assertAlmostEquals(logprob.guided, score.tokens[at].logprob.guided, 1e-5, `token ${at}`)
    )
  })

  it("is written by accepting as by steps, with the log-probability that is given", async () => {
    const plain = await drive(watch(tables), () => Promise.resolve(), { spec })
    const accepted = await drive(watch(tables), async (sequence) => {
      while (sequence.ended === undefined) {
        sequence.accept(argmax(await sequence.evaluate()), -0.25)
      }
    }, { spec })
    assertEquals(accepted.ids, plain.ids)
    assertEquals(
      accepted.tokens,
      plain.tokens.map((event) => ({ ...event, logprob: { ...event.logprob, sampled: -0.25 } })),
    )
  })

  it("that is driven anyhow is the text that plain decoding writes", async () => {
    let told = 0
    for (let seed = 0; seed < 60; seed++) {
      const models = watch(tables)
      const request = {
        seed,
        maxTokens: 12,
        stop: seed % 3 === 0 ? ["be", "dcd", "a"] : [],
        trace: seed % 2 === 0 ? { top: 2 } : "sampled" as const,
      }
      const draft = ["kind", "few", "base", undefined][seed % 4]
      await using plain = await open(models, spec)
      await using wandering = await open(models, {
        ...spec,
        strategy: driven((sequence) => wander(sequence, randomStream(seed)), draft),
      })
      const prompt = [seed % 6, seed % 5, seed % 3]
      const expected = await plain.generate(prompt, request)
      assertEquals(await wandering.generate(prompt, request), expected, `seed ${seed}`)
      assertEquals(models.openCaches(), 0)
      told += expected.ids.length
    }
    assert(told > 150, `${told}`)
  })
})

/** Goes to and fro with forks, guesses and rewinds, always with greedy choices; yields at times. */
async function* wander(
  sequence: GuidedSequence<"draft">,
  random: RandomStream,
): AsyncGenerator<GuidedSequence> {
  const below = (count: number) => random.nextUint32() % count
  let all = [sequence]
  let told = 0
  for (let turn = 0; turn < 60; turn++) {
    const current = all[below(all.length)]
    const move = below(8)
    if (move < 2 && current.ended === undefined) await current.step()
    else if (move === 2 && current.ended === undefined) {
      current.accept(argmax(await current.evaluate()), 0)
    } else if (move === 3 && current.room > 0) {
      const ids = Array.from({ length: below(current.room) }, () => below(6))
      const models = [current.base, ...Object.values(current.models)]
      const one = models[below(models.length)]
      await current.preview(ids, [{}, { only: one }, { except: one }][below(3)])
    } else if (move === 4) current.rewind(below(Math.max(0, current.ids.length - told) + 1))
    else if (move === 5 && all.length < 5) all.push(current.fork())
    else if (move === 6 && all.length > 1) {
      current.close()
      all = all.filter((other) => other !== current)
    } else if (move === 7 && current.ids.length >= told && below(3) === 0) {
      yield current
      told = current.ids.length
      if (current.ended !== undefined) return
      // What has fewer tokens than were told is of no use.
      all = all.filter((other) => other.ids.length >= told)
    }
  }
  yield await finish(all[0])
}

describe("a fork", () => {
  it("goes on from the same tokens by itself, and neither hears of the other", async () => {
    const models = watch({ base: { next: always(...letters.map(() => 1)) } })
    const { ids } = await drive(models, async (sequence) => {
      for (const id of [1, 2]) {
        await sequence.evaluate()
        sequence.accept(id, 0)
      }
      const fork = sequence.fork()
      assertEquals([fork.ids, fork.room, fork.promptIds], [[1, 2], 8, [0]])
      await sequence.evaluate()
      sequence.accept(3, 0)
      for (const id of [4, 5]) {
        await fork.evaluate()
        fork.accept(id, 0)
      }
      const third = fork.fork()
      fork.rewind(3)
      assertEquals([sequence.ids, fork.ids, third.ids], [[1, 2, 3], [1], [1, 2, 4, 5]])
      assertEquals([sequence.room, fork.room, third.room], [7, 9, 6])
      await fork.evaluate()
      fork.accept(6, 0)
      await fork.evaluate()
      assertEquals(models.last.base, [0, 1, 6])
      await third.evaluate()
      assertEquals(models.last.base, [0, 1, 2, 4, 5])
      return third
    })
    assertEquals(ids.slice(0, 4), [1, 2, 4, 5])
    assertEquals(models.openCaches(), 0)
  })

  it("runs no model again for the tokens that it shares", async () => {
    const counted = countRuns(tables)
    await drive(counted, async (sequence) => {
      for (let i = 0; i < 3; i++) await sequence.step()
      await sequence.evaluate()
      await sequence.preview([1, 2])
      counted.take()
      const fork = sequence.fork()
      assertEquals([...await fork.evaluate()], [...await sequence.evaluate()])
      await fork.preview([1, 2])
      assertEquals(counted.take(), { runs: {}, read: {} })
      await fork.step()
      await fork.evaluate()
      const { read } = counted.take()
      assert(read.base <= 1 && read.kind <= 1)
    }, { spec, maxTokens: 20 })
  })

  it("copies the state of rewards, which then go on separately", async () => {
    const seen: number[][] = []
    await drive(watch(tables), async (sequence) => {
      while (sequence.ids.length < 4) await sequence.step()
      const fork = sequence.fork()
      for (const id of [1, 1, 1]) {
        await fork.evaluate()
        fork.accept(id, 0)
      }
      const other = await (await finish(sequence)).ids
      seen.push([...other])
      await fork.evaluate()
      return sequence
    }, { spec })
    const plain = await drive(watch(tables), () => Promise.resolve(), { spec })
    assertEquals(seen, [[...plain.ids]])
  })

  it("has random numbers of its own, fixed by the request's seed", async () => {
    const models = watch({ base: { next: always(...letters.map(() => 1)) } })
    const draws = async (seed: number) => {
      const texts: string[] = []
      await drive(models, async (sequence) => {
        const forks = [sequence.fork(), sequence.fork()]
        forks.push(forks[0].fork())
        for (const one of [...forks, sequence]) texts.push((await finish(one)).ids.join(""))
      }, { seed, maxTokens: 30 })
      return texts
    }
    const texts = await draws(5)
    assertEquals(new Set(texts).size, 4)
    assertEquals(await draws(5), texts)
    assertNotEquals(await draws(6), texts)
  })

  it("that was made before a yield may go on from it", async () => {
    const models = watch({ base: { next: script([1, 2, 3, 4, 5, 6, 7]) } })
    const strategy = driven(async function* (sequence) {
      await sequence.step()
      await sequence.step()
      const fork = sequence.fork()
      yield sequence
      yield await finish(fork)
    })
    await using pipeline = await open(models, { strategy })
    const { ids, tokens } = await pipeline.generate("a", { maxTokens: 5 })
    assertEquals(ids, [1, 2, 3, 4, 5])
    assertEquals(tokens.map(({ id }) => id), ids)
  })

  it("frees its caches when it is closed, once", async () => {
    const models = watch(tables)
    await drive(models, async (sequence) => {
      await sequence.step()
      assertEquals(models.openCaches(), 3)
      const fork = sequence.fork()
      await sequence.step()
      await fork.step()
      assertEquals(models.openCaches(), 6)
      sequence.close()
      sequence.close()
      assertEquals(models.openCaches(), 3)
      return fork
    }, { spec })
    assertEquals(models.openCaches(), 0)
  })
})

describe("a rewind", () => {
  it("forgets tokens, text, what rewards have heard, and the end", async () => {
    const plain = await drive(watch(tables), () => Promise.resolve(), { spec, maxTokens: 8 })
    for (let count = 0; count <= plain.ids.length; count++) {
      const again = await drive(watch(tables), async (sequence) => {
        await finish(sequence)
        sequence.rewind(count)
        assertEquals(sequence.ids, plain.ids.slice(0, plain.ids.length - count))
        assertEquals(sequence.ended === undefined, count > 0)
      }, { spec, maxTokens: 8 })
      assertEquals(again, plain)
    }
  })

  it("leaves no scores behind", async () => {
    await drive(watch(tables), async (sequence) => {
      await sequence.step()
      const scores = [...await sequence.evaluate()]
      await sequence.step()
      await sequence.evaluate()
      sequence.rewind(1)
      assertEquals([...await sequence.evaluate()], scores)
      sequence.rewind(1)
      assertThrows(() => sequence.accept(1, 0), GenArmError, "before it called evaluate")
    }, { spec })
  })

  it("runs the models on the last token that is left, and no other", async () => {
    const counted = countRuns({ base: { next: always(1, 1, 1) } })
    await drive(counted, async (sequence) => {
      for (let i = 0; i < 6; i++) await sequence.step()
      counted.take()
      sequence.rewind(3)
      await sequence.evaluate()
      assertEquals(counted.take(), { runs: { base: 1 }, read: { base: 1 } })
    })
  })

  it("puts other tokens in place of those, also where characters and stop strings were cut", async () => {
    const vocabulary = ["a", "b", "<0xC3>", "<0xA9>", "x", "y", "z"]
    const models = watch({ base: { vocabulary, next: always(1, 1, 1, 1, 1, 1, 1) } })
    const { text, stopReason } = await drive(models, async (sequence) => {
      const write = async (ids: number[]) => {
        for (const id of ids) {
          await sequence.evaluate()
          sequence.accept(id, 0)
        }
      }
      await write([1, 2])
      sequence.rewind(1)
      await write([2, 3, 4])
      sequence.rewind(2)
      await write([3, 4, 5, 6])
      assertEquals(sequence.ended, "stop")
      sequence.rewind(1)
      await write([0])
      assertEquals(sequence.ended, undefined)
      await write([4, 5, 6])
    }, { stop: ["xyz"] })
    assertEquals([text, stopReason], ["b\u00e9xya", "stop"])
  })
})

describe("a preview", () => {
  it("that comes true makes the steps cost nothing more", async () => {
    const counted = countRuns({ base: { next: script([1, 2, 3, 4, 5, 6, 7, 8, 9]) } })
    await drive(counted, async (sequence) => {
      await sequence.evaluate()
      assertEquals(counted.take(), { runs: { base: 1 }, read: { base: 1 } })
      await sequence.preview([1, 2, 3])
      assertEquals(counted.take(), { runs: { base: 1 }, read: { base: 3 } })
      for (const expected of [1, 2, 3, 4]) assertEquals(await sequence.step(), expected)
      assertEquals(counted.take(), { runs: {}, read: {} })
      await sequence.step()
      assertEquals(counted.take(), { runs: { base: 1 }, read: { base: 1 } })
    })
  })

  it("that comes true in part is kept so far", async () => {
    const counted = countRuns({ base: { next: script([1, 2, 3, 4, 5, 6, 7, 8, 9]) } })
    await drive(counted, async (sequence) => {
      await sequence.evaluate()
      counted.take()
      await sequence.preview([1, 2, 9, 9])
      for (const expected of [1, 2, 3]) assertEquals(await sequence.step(), expected)
      assertEquals(counted.take(), { runs: { base: 1 }, read: { base: 4 } })
      assertEquals(await sequence.step(), 4)
      assertEquals(counted.take(), { runs: { base: 1 }, read: { base: 1 } })
    })
  })

  it("of more or other tokens reads only what is new", async () => {
    const counted = countRuns({ base: { next: always(1, 1, 1, 1, 1, 1) } })
    await drive(counted, async (sequence) => {
      await sequence.preview([1, 2])
      await sequence.preview([1, 2, 3])
      assertEquals(counted.take().read, { base: 4 })
      await sequence.preview([1, 2])
      await sequence.preview([])
      assertEquals(counted.take().read, {})
      await sequence.preview([1, 4, 5])
      assertEquals(counted.take().read, { base: 2 })
    })
  })

  it("is of the models that guidance needs, of one of them, or of all but one", async () => {
    const counted = countRuns({ ...tables, draft: { next: markov(64, 1, size) } })
    await drive(counted, async (sequence) => {
      const { base, models: { draft } } = sequence
      await sequence.evaluate()
      await sequence.preview([], { only: draft })
      counted.take()
      await sequence.preview([1, 2])
      assertEquals(counted.take().runs, { base: 1, kind: 1, few: 1 })
      await sequence.preview([1, 2], { only: draft })
      assertEquals(counted.take().runs, { draft: 1 })
      await sequence.preview([1, 2, 3], { except: base })
      assertEquals(counted.take().runs, { kind: 1, few: 1 })
      await sequence.preview([1, 2, 3], { except: draft })
      assertEquals(counted.take().runs, { base: 1 })
    }, { spec, draft: "draft" })
    // Nothing but what was asked of it.
    assertEquals(counted.take().runs.draft, undefined)
  })

  it("lets a model be read ahead, in the base's vocabulary", async () => {
    const rule = tables.few.next
    await drive(watch(tables), async (sequence) => {
      const { draft } = sequence.models
      const out = new Float32Array(size).fill(NaN)
      await sequence.preview([1, 2], { only: draft })
      for (const [ahead, ids] of [[0], [0, 1], [0, 1, 2]].entries()) {
        draft.logProbs(ahead, out)
        const row = Array.from(rule(ids))
        const sum = row.reduce((a, b) => a + b)
        out.forEach((logProb, id) =>
          id < 6
            ? assertAlmostEquals(logProb, Math.log(row[id] / sum), 1e-6)
            : assertEquals(logProb, -Infinity)
        )
      }
      assertThrows(() => draft.logProbs(3, out), RangeError, "0 to 2 ahead")
      assertThrows(() => sequence.base.logProbs(0, out), RangeError, "preview them first")
    }, { draft: "few" })
  })

  it("of a model of another sequence is refused", async () => {
    const models = watch(tables)
    await drive(models, async (sequence) => {
      const fork = sequence.fork()
      for (const one of [{ only: sequence.base }, { except: sequence.base }]) {
        let message = ""
        await fork.preview([1], one).catch((error) => message = String(error))
        assert(message.includes("a model of another sequence"), message)
      }
    })
  })
})
