import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert"
import {
  defineReward,
  defineSampler,
  defineSchedule,
  GenArmError,
  type GenArmReason,
  type GraphSpec,
  greedy,
  logitBias,
  type RewardTerm,
  sampling,
  type SequenceInfo,
} from "genarm"
import type { RewardState } from "genarm/plugin"
import { describe, it } from "node:test"
import { letters, open, watch } from "../decode/_pipelines.ts"

const thrown = new Error("out of paper")
const fail = () => {
  throw thrown
}
const failed = (plugin: string): GenArmReason => ({ _tag: "PluginFailed", plugin })
const broken = (term: string): GenArmReason => ({ _tag: "NonFiniteScores", term })

/** A reward called "bad" as a term called "x". */
function bad(
  open: (sequence: SequenceInfo) => Partial<RewardState>,
  weight: RewardTerm["weight"] = 1,
): Partial<GraphSpec> {
  const reward = defineReward({
    name: "bad",
    open: (_, sequence) => ({ score: (_, out) => void out.fill(0), ...open(sequence) }),
  })
  return { rewards: { x: { reward: reward(), weight } } }
}

/** The numbers that a reward gives: one for each id, or one for all. */
const gives = (...scores: number[]): Partial<GraphSpec> =>
  bad(() => ({
    score: (_, out) => scores.length === 1 ? void out.fill(scores[0]) : out.set(scores),
  }))

/**
 * Checks that generating fails for the reason, that nothing stays open, and that the same models
 * still work.
 */
async function refuse(
  spec: Partial<GraphSpec>,
  reason: GenArmReason,
  parts: readonly string[],
  options = {},
): Promise<GenArmError> {
  const models = watch({ base: { next: () => letters.map((_, id) => 1 + id) } })
  await using pipeline = await open(models, spec)
  const error = await assertRejects(
    () => pipeline.generate("a", { maxTokens: 5, ...options }),
    GenArmError,
  )
  assertEquals(error.reason, reason)
  for (const part of parts) assert(error.message.includes(part), `${part} in: ${error.message}`)
  assertEquals(models.openCaches(), 0)
  await using sound = await open(models)
  assertEquals((await sound.generate("a", { maxTokens: 5 })).ids.length, 5)
  // Not a pipeline that is broken for good: what fails is the request.
  await assertRejects(() => pipeline.generate("a", { maxTokens: 5, ...options }), GenArmError)
  assertEquals(models.openCaches(), 0)
  return error
}

describe("a reward that throws", () => {
  const places: Record<string, Partial<GraphSpec>> = {
    "as it opens": bad(fail),
    "as it scores": bad(() => ({ score: fail })),
    "as it hears of a token": bad(() => ({ accept: fail })),
    "as it closes": bad(() => ({ close: fail })),
  }
  for (const [place, spec] of Object.entries(places)) {
    it(`${place} fails the request, by its name, with what it threw`, async () => {
      const error = await refuse(spec, failed("bad"), ['"bad"', '"x"', "out of paper"])
      assertStrictEquals(error.cause, thrown)
    })
  }

  it("as it names its sources fails the opening", async () => {
    const reward = defineReward({ name: "bad", sources: fail, open: () => ({ score: () => {} }) })
    const models = watch({ base: { next: () => [1] } })
    const error = await assertRejects(
      () => open(models, { rewards: { x: { reward: reward(), weight: 1 } } }),
      GenArmError,
      "out of paper",
    )
    assertEquals(error.reason, failed("bad"))
  })

  it("an error of the SDK's own keeps its reason", async () => {
    const own = new GenArmError({ _tag: "InvalidOption", path: ["bias"] }, "no such id")
    const spec = bad(() => ({
      score: () => {
        throw own
      },
    }))
    assertStrictEquals(await refuse(spec, own.reason, []), own)
  })

  it("closes all others that are open", async () => {
    const closed: string[] = []
    const fine = (name: string, close: () => void) =>
      defineReward({
        name,
        open: () => ({ score: (_, out) => out.fill(0), close }),
      })()
    const note = (name: string) => fine(name, () => closed.push(name))
    const models = watch({ base: { next: () => [1, 1] } })
    const last = defineReward({ name: "last", open: fail })
    await using pipeline = await open(models, {
      rewards: {
        a: { reward: note("a"), weight: 1 },
        b: { reward: fine("b", fail), weight: 1 },
        c: { reward: note("c"), weight: 1 },
        d: { reward: last(), weight: 1 },
      },
    })
    await assertRejects(() => pipeline.generate("a"), GenArmError)
    assertEquals(closed, ["a", "c"])
    assertEquals(models.openCaches(), 0)
  })

  it("fails a score the same way", async () => {
    const models = watch({ base: { next: () => letters.map(() => 1) } })
    await using pipeline = await open(models, bad(() => ({ score: fail })))
    const error = await assertRejects(() => pipeline.score("a", "bc"), GenArmError)
    assertEquals(error.reason, failed("bad"))
    assertEquals(models.openCaches(), 0)
  })
})

describe("a reward that gives no numbers", () => {
  const samplers = { sampling: sampling(), greedy: greedy(), sharp: sampling({ temperature: 0.5 }) }
  for (const [name, sampler] of Object.entries(samplers)) {
    for (const trace of ["sampled", "none"] as const) {
      it(`is named, with ${name} and trace ${trace}`, async () => {
        const some = [0, 0, 0, NaN, 0, 0, 0, 0, 0, 0]
        const parts = ['"x"', "NaN", "id 3"]
        await refuse({ ...gives(...some), sampler }, broken("x"), parts, { trace })
        await refuse({ ...gives(NaN), sampler }, broken("x"), ['"x"', "NaN"], { trace })
        await refuse({ ...gives(Infinity), sampler }, broken("x"), ['"x"', "Infinity"], { trace })
      })

      it(`is told where nothing is left, with ${name} and trace ${trace}`, async () => {
        await refuse({ ...gives(-Infinity), sampler }, broken("base"), ["no token is left"], {
          trace,
        })
      })
    }
  }

  it("is the one that is named among several", async () => {
    const { rewards } = gives(NaN)
    const fine = { reward: logitBias({ bias: {} }), weight: 1 }
    await refuse({ rewards: { a: fine, ...rewards, z: fine } }, broken("x"), ['"x"'])
  })

  it("is told where weights are too large for any sum", async () => {
    const spec = { rewards: { x: { reward: logitBias({ bias: { a: 10 } }), weight: 1e300 } } }
    await refuse(spec, broken("base"), ["overflows", "1e+300"])
  })
})

describe("a schedule that fails", () => {
  const term = (
    open: () => { weight(step: { position: number }): number },
  ): Partial<GraphSpec> => ({
    rewards: {
      x: { reward: logitBias({ bias: {} }), weight: defineSchedule({ name: "bad", open })() },
    },
  })

  it("as it opens or is asked is named", async () => {
    await refuse(term(fail), failed("bad"), ['"bad"', '"x"', "out of paper"])
    await refuse(term(() => ({ weight: fail })), failed("bad"), ['"bad"', '"x"', "out of paper"])
  })

  it("to give a finite number is named, with the token", async () => {
    for (const wrong of [NaN, Infinity, undefined, "1"]) {
      const spec = term(() => ({ weight: ({ position }) => position < 2 ? 1 : wrong as never }))
      await refuse(spec, failed("bad"), ['"bad"', '"x"', String(wrong), "token 2"])
    }
  })
})

describe("a sampler that fails", () => {
  const by = (
    sample: () => unknown,
    logProbability: () => number = () => 0,
  ): Partial<GraphSpec> => ({
    rewards: { ban: { reward: logitBias({ bias: { c: "ban" } }), weight: 1 } },
    sampler: defineSampler({
      name: "bad",
      open: () => ({ sample: sample as () => number, logProbability }),
    })(),
  })

  it("as it opens, chooses or is asked for a probability is named", async () => {
    const sampler = defineSampler({ name: "bad", open: fail })()
    await refuse({ sampler }, failed("bad"), ['"bad"', "out of paper"])
    await refuse(by(fail), failed("bad"), ['"bad"', "out of paper"])
    await refuse(by(() => 0, fail), failed("bad"), ['"bad"', "out of paper"])
  })

  it("to choose an id that may be chosen is named, with the id", async () => {
    for (const id of [2, 10, -1, 1.5, NaN, undefined, "1"]) {
      await refuse(by(() => id), failed("bad"), ['"bad"', `chose ${id}`, "0 to 9"])
    }
  })
})

describe("a written-down model that fails", () => {
  it("is named, and takes neither other requests nor what it had read with it", async () => {
    let fails = true
    const models = watch({
      base: {
        next: (ids) => {
          if (fails && ids.length === 3 && ids[0] === 1) throw thrown
          return letters.map((_, id) => 1 + (id + ids.length) % 3)
        },
      },
    })
    await using pipeline = await open(models)
    const options = { maxTokens: 6, seed: 1 }
    const [first, second] = await Promise.allSettled([
      pipeline.generate("b", options),
      pipeline.generate("c", options),
    ])
    assert(first.status === "rejected" && second.status === "fulfilled")
    assertEquals(first.reason.reason, { _tag: "EngineFailed", engine: "base" })
    assertStrictEquals(first.reason.cause, thrown)
    assertEquals(models.openCaches(), 0)
    fails = false
    assertEquals((await pipeline.generate("b", options)).ids.length, 6)
  })

  it("by giving no probabilities is named", async () => {
    for (const row of [[0, 0], [NaN, 1], [-1, 0.5]]) {
      const models = watch({ base: { vocabulary: ["a", "b"], next: () => row } })
      await using pipeline = await open(models)
      const error = await assertRejects(() => pipeline.generate("a"), GenArmError)
      assertEquals(error.reason, broken("base"))
      assertEquals(models.openCaches(), 0)
    }
  })
})
