import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert"
import { Layer } from "effect"
import {
  arm,
  contrast,
  defineGraph,
  type Engine,
  GenArmError,
  type Generation,
  type GraphSpec,
  greedy,
  openPipeline,
  type Pipeline,
  prompted,
} from "genarm"
import { cpu } from "genarm/effect"
import { after, describe, it } from "node:test"
import { fixture } from "../_fixtures.ts"
import { tellingOpened, tellingRows } from "../_opened.ts"
import { adapterFixture, madeAdapter, merged } from "../llama/_adapters.ts"

const base = fixture("llama")
const settings = { seed: 3, rank: 4, alpha: 3 }
const own = madeAdapter(base, settings)
const reference = merged(base, settings)
after(() => {
  own[Symbol.dispose]()
  reference[Symbol.dispose]()
})
const attention = adapterFixture("attention")

/** The CPU's runtime, with a list of the engines it gave and a count of the rows they ran. */
function watched() {
  const engines = new Set<Engine>()
  const rows: number[] = []
  const layer = tellingRows(
    tellingOpened(Layer.fresh(cpu), (engine) => void engines.add(engine)),
    (_, some) => void rows.push(some.length),
  )
  return { layer, engines, rows }
}

async function withPipeline<A>(
  spec: Partial<GraphSpec>,
  body: (pipeline: Pipeline, watch: ReturnType<typeof watched>) => Promise<A>,
): Promise<A> {
  const watch = watched()
  await using pipeline = await openPipeline(
    defineGraph({ base, sampler: greedy(), ...spec }),
    { runtime: watch.layer, threads: 1, onProgress: () => {} },
  )
  return await body(pipeline, watch)
}

/** Each prompt is asked for by itself, and so many rows are stepped together. */
function assertSteps(rows: readonly number[], together: number): void {
  assertEquals(rows.slice(0, together), Array(together).fill(1))
  assert(rows.length > together + 1)
  assertEquals(new Set(rows.slice(together)), new Set([together]))
}

const options = { maxTokens: 12, seed: 1 }
const prompt = "The river runs"

/** The same tokens, with the same probabilities but for the order of sums. */
function assertSame(found: Generation, expected: Generation): void {
  assertEquals(found.ids, expected.ids)
  for (const [i, token] of found.tokens.entries()) {
    const { logprob, rewards } = expected.tokens[i]
    assertAlmostEquals(token.logprob.base, logprob.base, 1e-4)
    assertAlmostEquals(token.logprob.guided, logprob.guided, 1e-4)
    for (const [name, value] of Object.entries(rewards)) {
      assertAlmostEquals(token.rewards[name], value, 1e-4)
    }
  }
}

describe("a reward that is an adapter of the base", () => {
  const rewards = (reward: ReturnType<typeof arm>) => ({ x: { reward, weight: 1.5 } })

  it("guides as the model does that it would be merged into, as a row of the base's engine", async () => {
    const expected = await withPipeline(
      { rewards: rewards(arm({ model: reference.path })) },
      async (pipeline, { engines }) => {
        assertEquals(engines.size, 2)
        return await pipeline.generate(prompt, options)
      },
    )
    for (const reward of [arm({ adapter: own.path }), arm({ model: base, adapter: own.path })]) {
      await withPipeline({ rewards: rewards(reward) }, async (pipeline, { engines, rows }) => {
        assertSame(await pipeline.generate(prompt, options), expected)
        assertEquals(engines.size, 1)
        assertSteps(rows, 2)
      })
    }
  })

  it("scores as that model does", async () => {
    const score = (reward: ReturnType<typeof arm>) =>
      withPipeline(
        { rewards: rewards(reward) },
        (pipeline) => pipeline.score(prompt, " to the sea"),
      )
    const found = await score(arm({ adapter: own.path }))
    const expected = await score(arm({ model: reference.path }))
    assertAlmostEquals(found.rewards.x, expected.rewards.x, 1e-3)
    assertAlmostEquals(found.guided, expected.guided, 1e-3)
    assert(Math.abs(found.rewards.x - found.base) > 0.5, "the adapter matters")
  })

  it("is one row where two ask for it, whatever they call its folder", async () => {
    const spec = {
      rewards: {
        a: { reward: arm({ adapter: own.path }), weight: 1 },
        b: { reward: arm({ adapter: `${own.path}/.` }), weight: -0.5 },
        c: { reward: arm({ adapter: attention }), weight: 0.3 },
        d: { reward: contrast({ expert: { adapter: own.path }, amateur: {} }), weight: 0.2 },
      },
    }
    await withPipeline(spec, async (pipeline, { engines, rows }) => {
      const { tokens } = await pipeline.generate(prompt, options)
      assertEquals(engines.size, 1)
      assertSteps(rows, 3)
      for (const { rewards, logprob } of tokens) {
        assertEquals(rewards.a, rewards.b)
        assert(rewards.a !== rewards.c)
        assertAlmostEquals(rewards.d, rewards.a - logprob.base, 1e-4)
      }
    })
  })

  it("runs beside a base that is quantised, and on a model that is not the base", async () => {
    const quantised = { base: { model: base, weights: "q8" as const } }
    await withPipeline(
      { ...quantised, rewards: rewards(arm({ adapter: own.path })) },
      async (pipeline, { engines }) => {
        assertEquals((await pipeline.generate(prompt, options)).ids.length, 12)
        assertEquals(engines.size, 1)
      },
    )
    const other = arm({ model: fixture("tinyllama"), adapter: adapterFixture("last_layer") })
    await withPipeline({ rewards: rewards(other) }, async (pipeline, { engines }) => {
      assertEquals((await pipeline.generate(prompt, options)).ids.length, 12)
      assertEquals(engines.size, 2)
    })
  })

  it("is refused where it is one of another model, and by its name where it is none", async () => {
    const opening = (adapter: string) =>
      withPipeline({ rewards: rewards(arm({ adapter })) }, () => Promise.resolve())
    const foreign = adapterFixture("last_layer")
    const error = await assertRejects(() => opening(foreign), GenArmError, "cannot run on")
    assertEquals(error.reason, { _tag: "UnsupportedModel", model: foreign })
    const lost = await assertRejects(() => opening("lost"), GenArmError, '"./lost"')
    assertEquals(lost.reason, { _tag: "ModelNotFound", model: "lost" })
  })
})

describe("a base with an adapter of its own", () => {
  const adapted = { model: base, adapter: own.path }

  it("writes what the merged model writes", async () => {
    const generate = (spec: Partial<GraphSpec>) =>
      withPipeline(spec, (pipeline) => pipeline.generate(prompt, options))
    assertSame(await generate({ base: adapted }), await generate({ base: reference.path }))
  })

  it("is what a source without a model means, and not what one with its model means", async () => {
    const spec = {
      base: adapted,
      rewards: {
        same: { reward: prompted({ prefix: "The " }), weight: 0 },
        plain: { reward: arm({ model: base }), weight: 0 },
        other: { reward: arm({ adapter: attention }), weight: 0 },
      },
    }
    await withPipeline(spec, async (pipeline, { engines, rows }) => {
      const { tokens, ids } = await pipeline.generate(prompt, options)
      assertEquals(engines.size, 1)
      assertSteps(rows, 4)
      await withPipeline({}, async (alone) => {
        const expected = await alone.score(prompt, ids)
        const sum = tokens.reduce((sum, { rewards }) => sum + rewards.plain, 0)
        assertAlmostEquals(sum, expected.base, 1e-3)
      })
      await withPipeline({ base: reference.path }, async (alone) => {
        const expected = await alone.score(`The ${prompt}`, ids)
        const sum = tokens.reduce((sum, { rewards }) => sum + rewards.same, 0)
        assertAlmostEquals(sum, expected.base, 1e-3)
      })
    })
  })
})
