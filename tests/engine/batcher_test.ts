import { assert, assertEquals, assertRejects } from "@std/assert"
import { describe, it } from "node:test"
import { setImmediate } from "node:timers/promises"
import { Batcher, type RowResult } from "../../src/engine/batcher.ts"
import type { OwnedRow } from "../../src/engine/check_rows.ts"
import { closed, type Engine, type EngineCache } from "../../src/engine/engine.ts"
import { GenArmError } from "../../src/errors.ts"
import { OwnedCache } from "../../src/engine/owned_cache.ts"

/** A cache that only counts. */
class CountingCache extends OwnedCache {
  readonly engine: Engine = { name: "counting" } as Engine
  length = 0
  protected copy(): EngineCache {
    return new CountingCache()
  }
  protected cut(length: number): void {
    this.length = length
  }
  protected free(): void {}
}

type CountingRow = OwnedRow<CountingCache>

const row = (length: number): CountingRow => ({
  cache: new CountingCache(),
  tokens: new Array(length).fill(0),
  want: "last",
})

/** A batcher that writes down the lengths of the rows of each run; a row of 13 fails. */
function watched({ joins = false } = {}) {
  const runs: number[][] = []
  let inside = 0
  const batcher = new Batcher<CountingRow>(async (rows) => {
    assertEquals(++inside, 1, "one run at a time")
    runs.push(rows.map(({ tokens }) => tokens.length))
    await undefined
    inside--
    if (rows.some(({ tokens }) => tokens.length === 99)) throw new Error("the whole run failed")
    return rows.map(({ cache, tokens }): RowResult => {
      if (tokens.length === 13) return closed("thirteen")
      cache.length += tokens.length
      return Float32Array.of(tokens.length)
    })
  }, joins)
  return { runs, batcher }
}

describe("a batcher", () => {
  it("joins the calls of one turn, and gives each its own rows in its own order", async () => {
    const { runs, batcher } = watched()
    const calls = [[row(2), row(1)], [row(3)], [], [row(1), row(2), row(3)]]
    const results = await Promise.all(calls.map((rows) => batcher.submit(rows)))
    assertEquals(runs, [[1, 1, 2, 2, 3, 3]])
    assertEquals(results.map((rows) => rows.map(([x]) => x)), [[2, 1], [3], [], [1, 2, 3]])
  })

  it("keeps rows apart whose padding would cost more than a run", async () => {
    const { runs, batcher } = watched()
    await batcher.submit([row(120), row(130), row(20)])
    assertEquals(runs, [[20], [120, 130]])
  })

  it("runs steps first, and a piece of what is long between two steps", async () => {
    const { runs, batcher } = watched({ joins: true })
    const stepping = async () => {
      for (let step = 0; step < 4; step++) await batcher.submit([row(1)])
    }
    const [[long]] = await Promise.all([batcher.submit([row(150)]), stepping(), stepping()])
    assertEquals(long[0], 22, "the result of the last piece")
    assertEquals(runs, [[1, 1], [64], [1, 1], [64], [1, 1], [22], [1, 1]])
  })

  it("lets no short row wait for a long one, and no long one for ever", async () => {
    const { runs, batcher } = watched()
    const ended: string[] = []
    const end = (name: string) => () => void ended.push(name)
    const long = batcher.submit([row(900)]).then(end("long"))
    let short = Promise.resolve()
    for (let i = 0; i < 8; i++) {
      short = short.then(() => batcher.submit([row(300)])).then(end("short"))
    }
    await Promise.all([long, short])
    assertEquals(runs.flat().reduce((sum, n) => sum + n), 900 + 8 * 300)
    assert(runs.every((lengths) => lengths.every((n) => n <= 256 * 1.25)), `${runs}`)
    assertEquals(ended[0], "short")
    assert(ended.indexOf("long") < 8, ended.join())
  })

  it("joins the pieces of a row that wants all", async () => {
    const cache = new CountingCache()
    const batcher = new Batcher<CountingRow>((rows) =>
      Promise.resolve(rows.map(({ cache, tokens }) => {
        cache.length += tokens.length
        return Float32Array.from(Array.from(tokens).flatMap((id) => [id, -id]))
      }))
    )
    const tokens = Array.from({ length: 1300 }, (_, i) => i)
    const [all] = await batcher.submit([{ cache, tokens, want: "all" }])
    assertEquals([...all], tokens.flatMap((id) => [id, -id]))
    assertEquals(cache.length, 1300)
  })

  it("ends a row that is closed between two pieces", async () => {
    const { runs, batcher } = watched()
    const long = row(5000)
    const call = batcher.submit([long])
    const failing = assertRejects(() => call, GenArmError, "closed")
    while (runs.length < 2) await undefined
    long.cache.close()
    await failing
    assertEquals(runs, [[256], [256]])
    await batcher.idle()
  })

  it("collects what is asked while a run is under way", async () => {
    const { runs, batcher } = watched()
    const first = batcher.submit([row(1)])
    await undefined
    await undefined
    const later = [batcher.submit([row(2)]), batcher.submit([row(2)])]
    await Promise.all([first, ...later])
    assertEquals(runs, [[1], [2, 2]])
  })

  it("waits a turn for sequences that were just served", async () => {
    const { runs, batcher } = watched({ joins: true })
    const sequence = async () => {
      for (let step = 0; step < 3; step++) {
        await batcher.submit([row(1)])
        await undefined // what a sequence does between two steps
        await undefined
      }
    }
    await Promise.all([sequence(), sequence()])
    assertEquals(runs, [[1, 1], [1, 1], [1, 1]])
  })

  it("does not wait for sequences that were served longer ago, or have ended", async () => {
    const { runs, batcher } = watched({ joins: true })
    const [paused, other, stepping] = [row(2), row(2), row(1)]
    await batcher.submit([paused, other])
    other.cache.close()
    for (let step = 0; step < 2; step++) {
      const turn = setImmediate().then(() => "turn")
      const call = batcher.submit([stepping]).then(() => "call")
      assertEquals(await Promise.race([turn, call]), step === 0 ? "turn" : "call")
      await call
      await turn
    }
    assertEquals(runs, [[2, 2], [1], [1]])
  })

  it("fails a call with one bad row, takes back its others, and no other call", async () => {
    const { batcher } = watched()
    const [good, bad, far] = [row(3), row(13), row(300)]
    const call = batcher.submit([good, bad, far])
    const other = row(13 - 1)
    const [[beside]] = await Promise.all([
      batcher.submit([other]),
      assertRejects(() => call, GenArmError, "thirteen"),
    ])
    assertEquals(beside[0], 12)
    assertEquals([good, bad, far, other].map(({ cache }) => cache.length), [0, 0, 0, 12])
    assertEquals([good, bad, far].map(({ cache }) => cache.isRunning), [false, false, false])
  })

  it("goes on after a run that failed as a whole", async () => {
    const { batcher } = watched()
    const failing = batcher.submit([row(99)])
    await assertRejects(() => failing, Error, "the whole run failed")
    assertEquals((await batcher.submit([row(1)])).length, 1)
    await batcher.idle()
  })

  it("is idle when nothing is left, however much was asked meanwhile", async () => {
    const { runs, batcher } = watched()
    await batcher.idle()
    const calls = [batcher.submit([row(1)]).then(() => batcher.submit([row(2)]))]
    await batcher.idle()
    assert(runs.length >= 1)
    await Promise.all(calls)
    await batcher.idle()
    assertEquals(runs, [[1], [2]])
  })
})
