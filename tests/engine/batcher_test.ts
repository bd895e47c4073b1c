import { assert, assertEquals, assertRejects } from "@std/assert"
import { describe, it } from "node:test"
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
function watched(othersActive: (rows: number) => boolean = () => false) {
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
  }, othersActive)
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
    await batcher.submit([row(1), row(200), row(2), row(190), row(1)])
    assertEquals(runs, [[1, 1, 2], [190, 200]])
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
    const { runs, batcher } = watched((rows) => rows < 2)
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
