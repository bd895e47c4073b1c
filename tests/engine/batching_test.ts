import { assert, assertEquals, assertRejects } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { setImmediate } from "node:timers/promises"
import type { DeltaEngine } from "../../src/engine/delta_engine.ts"
import type { Engine, EngineCache } from "../../src/engine/engine.ts"
import { GenArmError } from "../../src/errors.ts"
import { argmax } from "../../src/math/argmax.ts"
import { fixture, largestDifference } from "../_fixtures.ts"
import { heldBySlab, open, openBeside } from "./_engines.ts"

/** A text to write greedily: when it joins, what it begins with, and when it is given up. */
interface Request {
  readonly join: number
  readonly prompt: readonly number[]
  readonly steps: number
  /** Turns after which its cache is closed, whatever runs then. */
  readonly leave?: number
}

/** Writes a text; gives the distribution of each step. */
async function write(engine: Engine, { prompt, steps, leave }: Request): Promise<Float32Array[]> {
  const cache = engine.openCache()
  if (leave !== undefined) turns(leave).then(() => cache.close())
  try {
    const rows: Float32Array[] = []
    let tokens = prompt
    while (rows.length < steps) {
      const [row] = await engine.forward([{ cache, tokens, want: "last" }])
      rows.push(row)
      tokens = [argmax(row)]
    }
    return rows
  } finally {
    cache.close()
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate()
}

function requests(seed: number): Request[] {
  const random = randomStream(seed)
  const integer = (low: number, high: number) => low + random.nextUint32() % (high - low + 1)
  return Array.from({ length: 14 }, (_, i) => ({
    join: integer(0, 60),
    prompt: Array.from(
      { length: i % 4 === 0 ? integer(40, 90) : integer(1, 9) },
      () => integer(1, 299),
    ),
    steps: integer(1, 24),
    ...i % 3 === 2 && { leave: integer(0, 20) },
  }))
}

for (const [where, openAny] of [["in this thread", open], ["in a worker", openBeside]] as const) {
  describe(`texts that join and leave a running batch, ${where}`, () => {
    it("each give what they give alone, and those that are given up disturb no other", async () => {
      const engine = await openAny(fixture("llama"))
      let left = 0
      for (const seed of [1, 2]) {
        const all = requests(seed)
        const outcomes = await Promise.allSettled(all.map(async (request) => {
          await turns(request.join)
          return await write(engine, request)
        }))
        for (const [i, outcome] of outcomes.entries()) {
          const { leave, ...request } = all[i]
          if (outcome.status === "rejected") {
            assert(leave !== undefined, `text ${i}: ${outcome.reason}`)
            assertEquals((outcome.reason as GenArmError).reason._tag, "Closed")
            left++
            continue
          }
          const expected = await write(engine, request)
          assertEquals(outcome.value.length, expected.length)
          outcome.value.forEach((row, step) => {
            const worst = largestDifference(row, expected[step])
            assert(worst < 1e-4, `text ${i} at ${step}: ${worst} off`) // measured: 2e-6 at most
          })
        }
      }
      assert(left > 2, `${left} texts were given up in time`)
      await engine.close()
    })
  })
}

describe("forks that wait", () => {
  const engineOf = async () => await open(fixture("llama")) as DeltaEngine
  const filled = async (engine: Engine, tokens: readonly number[]): Promise<EngineCache> => {
    const cache = engine.openCache()
    await engine.forward([{ cache, tokens, want: "last" }])
    return cache
  }

  it("do not slow or enlarge the batch of those that step", async () => {
    const engine = await engineOf()
    const long = await filled(engine, new Array(120).fill(3))
    const waiting = [long.fork(), long.fork()]
    long.close()
    assertEquals([engine.slab.open, engine.slab.bytes], [0, 0])
    assertEquals(engine.cacheBytes, 120 * engine.bytesPerToken)
    const short = await filled(engine, [1, 2, 3])
    assertEquals([engine.slab.open, engine.slab.capacity], [1, 64])
    for (const cache of [short, ...waiting]) cache.close()
    assertEquals(heldBySlab(engine), 0)
    await engine.close()
  })

  it("go on after their parent was closed, cut, or closed while it ran", async () => {
    const engine = await engineOf()
    const prompt = Array.from({ length: 30 }, (_, i) => i + 1)
    const alone = await filled(engine, prompt)
    const row = (cache: EngineCache) => ({ cache, tokens: [7], want: "last" as const })
    const [expected] = await engine.forward([row(alone)])
    const ends = [
      (parent: EngineCache) => parent.close(),
      (parent: EngineCache) => parent.truncate(5),
      (parent: EngineCache) => {
        const call = engine.forward([row(parent)])
        parent.close()
        return assertRejects(() => call, GenArmError, "closed")
      },
      async (parent: EngineCache) => {
        const call = engine.forward([{ cache: parent, tokens: prompt, want: "all" }])
        await setImmediate()
        parent.close()
        await call.catch(() => undefined)
      },
    ]
    for (const [i, end] of ends.entries()) {
      const parent = await filled(engine, prompt)
      const [fork, other] = [parent.fork(), parent.fork()]
      const cut = other.fork()
      other.close()
      cut.truncate(12)
      await end(parent)
      parent.close()
      const [found] = await engine.forward([row(fork)])
      assert(largestDifference(found, expected) < 1e-4, `the fork of parent ${i}`)
      await engine.forward([{ cache: cut, tokens: prompt.slice(12), want: "last" }])
      const [again] = await engine.forward([row(cut)])
      assert(largestDifference(again, expected) < 1e-4, `the shorter fork of parent ${i}`)
      fork.close()
      cut.close()
    }
    alone.close()
    assertEquals(heldBySlab(engine), 0)
    await engine.close()
  })

  it("cannot be taken of a closed engine", async () => {
    const engine = await engineOf()
    const cache = await filled(engine, [1, 2, 3])
    await engine.close()
    const error = await assertRejects(
      () => Promise.resolve().then(() => cache.fork()),
      GenArmError,
      "closed",
    )
    assertEquals(error.reason, { _tag: "Closed" })
    cache.close()
    assertEquals(heldBySlab(engine), 0)
  })
})
