import { assert, assertEquals, assertRejects } from "@std/assert"
import { arm, defineSampler, defineSchedule, GenArmError, type GraphSpec, logitBias } from "genarm"
import { argmax } from "genarm/math"
import type { ScheduleState, ScheduleStep } from "genarm/plugin"
import { describe, it } from "node:test"
import { drive, finish } from "../decode/_driven.ts"
import { letters, open, script, watch } from "../decode/_pipelines.ts"

const models = () => watch({ base: { next: script([1, 2, 3, 4, 5, 6, 7]) } })

/** Both a sampler's state and a schedule's: takes the likeliest, and weighs it by 1. */
const plain = {
  sample: ({ scores }: { readonly scores: Float32Array }) => argmax(scores),
  logProbability: () => 0,
  weight: () => 1,
}

type State = typeof plain & { fork?(): State } & Omit<ScheduleState, "fork" | "weight">

/** A state that logs what it is told under a name; copies are called `name'`. */
function heard(log: string[], name = "own"): State {
  return {
    ...plain,
    accept: (id) => log.push(`${name} ${letters[id]}`),
    rewind: (count) => log.push(`${name} -${count}`),
    fork: () => heard(log, `${name}'`),
  }
}

/** Graphs in which one plugin keeps such a state. */
const places: Record<string, (open: () => State) => Partial<GraphSpec>> = {
  sampler: (open) => ({ sampler: defineSampler({ name: "own", open })() }),
  schedule: (open) => {
    const weight = defineSchedule({ name: "own", open })()
    return { rewards: { x: { reward: logitBias({ bias: {} }), weight } } }
  },
}

for (const [kind, specWith] of Object.entries(places)) {
  describe(`a ${kind} that keeps state of the tokens`, () => {
    it("hears of each, by whomever it was chosen", async () => {
      const log: string[] = []
      await drive(models(), async (sequence) => {
        await sequence.step()
        await sequence.evaluate()
        sequence.accept(2, 0)
        await finish(sequence)
      }, { spec: specWith(() => heard(log)), maxTokens: 3 })
      assertEquals(log, ["own b", "own c", "own d"])
    })

    it("is copied and taken back with the text", async () => {
      const log: string[] = []
      await drive(models(), async (sequence) => {
        await sequence.step()
        const copy = sequence.fork()
        await copy.step()
        await sequence.step()
        await sequence.step()
        sequence.rewind(2)
        sequence.rewind(0)
        const second = copy.fork()
        await second.step()
        copy.rewind(1)
        await finish(sequence)
      }, { spec: specWith(() => heard(log)), maxTokens: 4 })
      assertEquals(log, [
        ...["own b", "own' c", "own c", "own d", "own -2"],
        ...["own'' d", "own' -1", "own c", "own d", "own e"],
      ])
    })

    it("is opened anew for a copy where it keeps nothing of the tokens", async () => {
      let opened = 0
      const spec = specWith(() => {
        opened++
        return plain
      })
      await drive(models(), async (sequence) => {
        await sequence.step()
        await finish(sequence.fork())
        sequence.rewind(1)
      }, { spec, maxTokens: 3 })
      assertEquals(opened, 2)
    })

    it("fails a strategy that forks or rewinds what it cannot follow", async () => {
      const accept = () => {}
      const role = kind === "sampler" ? 'sampler "own"' : 'schedule "own" of "x"'
      for (
        const [state, method, move] of [
          [{ accept, rewind: accept }, "forks sequences", "fork()"],
          [{ accept, fork: () => plain }, "rewinds sequences", "rewind(count)"],
        ] as const
      ) {
        const watched = models()
        const error = await assertRejects(
          () =>
            drive(watched, async (sequence) => {
              await sequence.step()
              if (move === "fork()") sequence.fork()
              else sequence.rewind(1)
            }, { spec: specWith(() => ({ ...plain, ...state })) }),
          GenArmError,
          `the ${role} keeps state in accept and has no ${move}`,
        )
        assert(error.message.includes(method), error.message)
        assertEquals(error.reason, { _tag: "PluginFailed", plugin: "own" })
        assertEquals(watched.openCaches(), 0)
      }
    })

    it("fails the text by name where it throws", async () => {
      const fail = () => {
        throw new Error("broken on purpose")
      }
      for (const method of ["accept", "fork", "rewind"]) {
        const watched = models()
        const error = await assertRejects(
          () =>
            drive(watched, async (sequence) => {
              await sequence.step()
              sequence.fork()
              sequence.rewind(1)
            }, { spec: specWith(() => ({ ...heard([]), [method]: fail })) }),
          GenArmError,
          "broken on purpose",
        )
        assertEquals(error.reason, { _tag: "PluginFailed", plugin: "own" })
        assertEquals(watched.openCaches(), 0)
      }
    })
  })
}

describe("the step that a schedule sees", () => {
  it("has the base, the reward's own scores, and the token before", async () => {
    const steps: (Omit<ScheduleStep, "base" | "scores"> & { base: number[]; scores: number[] })[] =
      []
    let vocabularySize = -1
    const watching = defineSchedule({
      name: "watching",
      open: (_, sequence) => {
        vocabularySize = sequence.vocabularySize
        assertEquals(sequence.promptIds, [0, 1])
        assertEquals([sequence.token(1), sequence.decode([1, 2]), sequence.encode("cb")], [
          "b",
          "bc",
          [2, 1],
        ])
        return {
          weight: (step) => {
            const round = (row: Float32Array) =>
              Array.from(row, (p) => Math.round(100 * Math.exp(p)))
            steps.push({ ...step, base: round(step.base), scores: round(step.scores) })
            return 0.5
          },
        }
      },
    })
    const watched = watch({
      base: { vocabulary: letters.slice(0, 5), next: () => [10, 20, 30, 40, 0] },
      small: { vocabulary: letters.slice(0, 3), next: () => [50, 25, 25] },
    })
    await using pipeline = await open(watched, {
      rewards: {
        other: { reward: logitBias({ bias: { b: 5 } }), weight: 1 },
        x: { reward: arm({ model: "small" }), weight: watching() },
      },
    })
    const { ids: written } = await pipeline.generate([0, 1], { maxTokens: 2, seed: 1 })
    assertEquals(vocabularySize, 3)
    assertEquals(steps.map(({ position, maxTokens, lastId }) => [position, maxTokens, lastId]), [
      [0, 2, 1],
      [1, 2, written[0]],
    ])
    for (const { base, scores } of steps) {
      assertEquals(base, [10, 20, 30, 40, 0])
      assertEquals(scores, [50, 25, 25])
    }
  })
})
