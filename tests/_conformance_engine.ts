/**
 * What every engine must do, as plain checks for any test runner. An engine is compared with itself:
 * however a text reaches it, in one call or in many, alone or beside others, its probabilities are
 * the same.
 */
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { randomStream } from "genarm/math"
import type { Engine, EngineCache } from "../src/engine/engine.ts"
import { GenArmError, type GenArmReason } from "../src/errors.ts"
import { largestDifference } from "./_fixtures.ts"

/** An engine under test. */
export interface Subject {
  readonly name: string
  open(): Promise<Engine>
  /** What open caches hold, in any unit; 0 when all are closed. */
  held?(engine: Engine): number
  /**
   * What a different order of the same sums may change in a log-probability, as a share of the
   * largest: 2e-6 where absent, some sixteen roundings of float32 and twice what was measured.
   */
  readonly tolerance?: number
  /** An id whose probabilities are NaN, in a model that is damaged on purpose. */
  readonly poison?: number
}

/** One thing that must hold. */
export interface Check {
  readonly name: string
  readonly run: () => Promise<void>
}

/** The checks of one engine; each opens it anew and closes it. */
export function engineConformance(subject: Subject): Check[] {
  return Object.entries({ ...checks, ...subject.poison === undefined ? {} : poisonChecks })
    .map(([name, check]) => ({
      name,
      run: async () => {
        const bench = new Bench(subject, await subject.open())
        try {
          await check(bench)
        } finally {
          await bench.engine.close()
        }
      },
    }))
}

/** An open engine with seeded ids and the two ways to compare. */
class Bench {
  readonly subject: Subject
  readonly engine: Engine
  readonly random = randomStream(20_410_819)

  constructor(subject: Subject, engine: Engine) {
    this.subject = subject
    this.engine = engine
  }

  /** An integer from `low` to `high`. */
  integer(low: number, high: number): number {
    return low + this.random.nextUint32() % (high - low + 1)
  }

  ids(count: number): number[] {
    return Array.from({ length: count }, () => {
      const id = this.integer(0, this.engine.vocabularySize - 1)
      return id === this.subject.poison ? (id + 1) % this.engine.vocabularySize : id
    })
  }

  /** `[tokens, vocabulary]` after each of the ids, run at once in a cache of their own. */
  async alone(ids: readonly number[]): Promise<Float32Array> {
    const cache = this.engine.openCache()
    try {
      return (await this.engine.forward([{ cache, tokens: ids, want: "all" }]))[0]
    } finally {
      cache.close()
    }
  }

  /** The rows from position `from` on, of what `alone` gave. */
  rows(all: Float32Array, from: number, to?: number): Float32Array {
    const size = this.engine.vocabularySize
    return all.subarray(from * size, to === undefined ? undefined : to * size)
  }

  same(found: Float32Array, expected: Float32Array, what: string): void {
    const worst = largestDifference(found, expected)
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    const tolerance = (this.subject.tolerance ?? 2e-6) * largest
    assert(worst <= tolerance, `${what}: ${worst} off, expected at most ${tolerance}`)
  }

  async filled(ids: readonly number[]): Promise<EngineCache> {
    const cache = this.engine.openCache()
    if (ids.length > 0) await this.engine.forward([{ cache, tokens: ids, want: "last" }])
    return cache
  }

  /** Goes on from a cache and expects what its whole text gives alone. */
  async continues(cache: EngineCache, held: readonly number[], what: string): Promise<void> {
    const more = this.ids(3)
    assertEquals(cache.length, held.length, `${what}: its length`)
    const [found] = await this.engine.forward([{ cache, tokens: more, want: "all" }])
    const expected = await this.alone([...held, ...more])
    this.same(found, this.rows(expected, held.length), what)
    cache.truncate(held.length)
  }
}

type Tag = GenArmReason["_tag"]

async function rejects(body: () => Promise<unknown>, tag: Tag, part = ""): Promise<void> {
  assertEquals((await assertRejects(body, GenArmError, part)).reason._tag, tag)
}

function throws(body: () => unknown, tag: Tag, part = ""): void {
  assertEquals(assertThrows(body, GenArmError, part).reason._tag, tag)
}

const checks: Record<string, (bench: Bench) => Promise<void>> = {
  "a text gives the same at once, token by token and in pieces": async (b) => {
    const ids = b.ids(40)
    const expected = await b.alone(ids)
    for (const sizes of [ids.map(() => 1), [17, 1, 1, 21], [1, 39], [39, 1]]) {
      const cache = b.engine.openCache()
      let at = 0
      for (const size of sizes) {
        const tokens = ids.slice(at, at + size)
        const [found] = await b.engine.forward([{ cache, tokens, want: "all" }])
        b.same(found, b.rows(expected, at, at + size), `pieces of ${sizes}, from ${at} on`)
        at += size
      }
      assertEquals(cache.length, 40)
      cache.close()
    }
  },

  "a row that wants the last position gets the last row of all": async (b) => {
    const ids = b.ids(12)
    const cache = b.engine.openCache()
    const [last] = await b.engine.forward([{ cache, tokens: ids, want: "last" }])
    assertEquals(last.length, b.engine.vocabularySize)
    b.same(last, b.rows(await b.alone(ids), 11), "the last position")
  },

  "every distribution sums to one": async (b) => {
    const all = await b.alone(b.ids(20))
    for (let at = 0; at < 20; at++) {
      const row = b.rows(all, at, at + 1)
      assertAlmostEquals(row.reduce((sum, x) => sum + Math.exp(x), 0), 1, 1e-5)
    }
  },

  "rows of different lengths over caches of different lengths share a call": async (b) => {
    const held = [0, 7, 1, 30, 0, 13].map((length) => b.ids(length))
    const added = [5, 1, 20, 2, 11, 1].map((length) => b.ids(length))
    const caches = await Promise.all(held.map((ids) => b.filled(ids)))
    for (const order of [[0, 1, 2, 3, 4, 5], [5, 2, 0], [3, 1], [4, 0, 5, 3, 2, 1]]) {
      const results = await b.engine.forward(order.map((i) => ({
        cache: caches[i],
        tokens: added[i],
        want: i % 2 === 0 ? "all" : "last",
      })))
      for (const [at, i] of order.entries()) {
        const whole = await b.alone([...held[i], ...added[i]])
        const from = held[i].length + (i % 2 === 0 ? 0 : added[i].length - 1)
        b.same(results[at], b.rows(whole, from), `row ${i} of the call ${order}`)
        caches[i].truncate(held[i].length)
      }
    }
  },

  "calls that overlap give what they give alone": async (b) => {
    const texts = [3, 18, 1, 9, 33, 2].map((length) => b.ids(length))
    const results = await Promise.all(texts.map((ids) => {
      const cache = b.engine.openCache()
      return b.engine.forward([{ cache, tokens: ids, want: "all" }])
    }))
    for (const [i, [found]] of results.entries()) {
      b.same(found, await b.alone(texts[i]), `call ${i}`)
    }
  },

  "sequences that step at the same time stay apart": async (b) => {
    const texts = Array.from({ length: 4 }, () => b.ids(12))
    const found = await Promise.all(texts.map(async (ids, i) => {
      const cache = b.engine.openCache()
      const rows: Float32Array[] = []
      // They begin at different lengths, so that a step joins ragged caches.
      let at = i
      if (at > 0) await b.engine.forward([{ cache, tokens: ids.slice(0, at), want: "last" }])
      for (; at < ids.length; at++) {
        rows.push((await b.engine.forward([{ cache, tokens: [ids[at]], want: "last" }]))[0])
      }
      return rows
    }))
    for (const [i, rows] of found.entries()) {
      const expected = await b.alone(texts[i])
      rows.forEach((row, at) => b.same(row, b.rows(expected, i + at, i + at + 1), `text ${i}`))
    }
  },

  "a cache grows with its text": async (b) => {
    const ids = b.ids(Math.min(300, b.engine.contextLength))
    const expected = await b.alone(ids)
    const cache = b.engine.openCache()
    for (let at = 0, size = 1; at < ids.length; at += size, size = size % 70 + 23) {
      const tokens = ids.slice(at, at + size)
      const [found] = await b.engine.forward([{ cache, tokens, want: "all" }])
      b.same(found, b.rows(expected, at, at + tokens.length), `from position ${at} on`)
    }
    assertEquals(cache.length, ids.length)
  },

  "a fork goes on separately, and so does its fork": async (b) => {
    const start = b.ids(9)
    const first = await b.filled(start)
    const second = first.fork()
    const two = b.ids(4)
    await b.engine.forward([{ cache: second, tokens: two, want: "last" }])
    const third = second.fork()
    const [one, three] = [b.ids(6), b.ids(2)]
    await b.engine.forward([
      { cache: third, tokens: three, want: "last" },
      { cache: first, tokens: one, want: "last" },
    ])
    await b.continues(first, [...start, ...one], "the first")
    await b.continues(second, [...start, ...two], "its fork")
    first.close()
    await b.continues(third, [...start, ...two, ...three], "the fork of the fork")
    const empty = b.engine.openCache().fork()
    await b.continues(empty, [], "the fork of an empty cache")
  },

  "a cache rolled back goes on as if it had never gone there": async (b) => {
    const ids = b.ids(20)
    const cache = await b.filled(ids)
    for (const length of [20, 13, 1, 0]) {
      cache.truncate(length)
      await b.continues(cache, ids.slice(0, length), `rolled back to ${length}`)
    }
  },

  "a cache refuses to be truncated to what it does not hold": async (b) => {
    const cache = await b.filled(b.ids(3))
    for (const length of [4, -1, 1.5, NaN, Infinity]) {
      throws(() => cache.truncate(length), "InvalidOption", "0 to 3")
    }
    assertEquals(cache.length, 3)
  },

  "closed caches hold nothing": async (b) => {
    const held = () => b.subject.held?.(b.engine) ?? 0
    const caches = await Promise.all([b.ids(5), b.ids(90), []].map((ids) => b.filled(ids)))
    caches.push(caches[1].fork())
    if (b.subject.held !== undefined) assert(held() > 0, "open caches hold something")
    for (const cache of caches) {
      cache.close()
      cache.close()
    }
    assertEquals(held(), 0)
    const again = await b.filled(b.ids(2))
    again.close()
    assertEquals(held(), 0)
  },

  "a closed cache says so, whatever is asked of it": async (b) => {
    const cache = await b.filled(b.ids(3))
    cache.close()
    throws(() => cache.fork(), "Closed")
    throws(() => cache.truncate(0), "Closed")
    await rejects(() => b.engine.forward([{ cache, tokens: [0], want: "last" }]), "Closed")
  },

  "rows that cannot run are refused, no cache changes, and the engine goes on": async (b) => {
    const { engine } = b
    const held = b.ids(6)
    const good = await b.filled(held)
    const other = await b.filled(held)
    const stranger = await b.subject.open()
    const foreign = stranger.openCache()
    const full = b.engine.contextLength - held.length + 1
    const refused: [cache: EngineCache, tokens: ArrayLike<number>, tag: Tag, part: string][] = [
      [other, [], "InvalidPrompt", "at least one token"],
      [other, [0, -1], "InvalidPrompt", "found -1 at position 1"],
      [other, [engine.vocabularySize], "InvalidPrompt", `0 to ${engine.vocabularySize - 1}`],
      [other, [0.5], "InvalidPrompt", "found 0.5"],
      [other, [NaN], "InvalidPrompt", "found NaN"],
      [other, new Array(full).fill(0), "InvalidPrompt", "tokens of context"],
      [foreign, [0], "InvalidOption", "opened by"],
      [good, [0], "InvalidOption", "one use at a time"],
      [
        { length: 0, fork: () => foreign, truncate() {}, close() {} },
        [0],
        "InvalidOption",
        "row 1",
      ],
    ]
    for (const [cache, tokens, tag, part] of refused) {
      const first = { cache: good, tokens: [0, 1], want: "last" } as const
      await rejects(() => engine.forward([first, { cache, tokens, want: "last" }]), tag, part)
      assertEquals([good.length, other.length], [6, 6])
    }
    await b.continues(good, held, "the good row's cache")
    await b.continues(other, held, "the refused row's cache")
    await stranger.close()
  },

  "the context can be filled to its last token": async (b) => {
    const ids = b.ids(b.engine.contextLength)
    const cache = await b.filled(ids.slice(0, -1))
    const [last] = await b.engine.forward([{ cache, tokens: ids.slice(-1), want: "last" }])
    b.same(last, b.rows(await b.alone(ids), ids.length - 1), "the last token of the context")
  },

  "a cache takes part in one call at a time": async (b) => {
    const ids = b.ids(5)
    const cache = await b.filled(ids)
    const row = { cache, tokens: [1], want: "last" } as const
    const running = b.engine.forward([row])
    throws(() => cache.fork(), "InvalidOption", "wait for the call")
    throws(() => cache.truncate(0), "InvalidOption", "wait for the call")
    await rejects(() => b.engine.forward([row]), "InvalidOption", "wait for the call")
    await running
    await b.continues(cache, [...ids, 1], "afterwards")
  },

  "a cache closed before its call runs fails that call alone": async (b) => {
    const texts = [b.ids(6), b.ids(6), b.ids(6)]
    const forward = (cache: EngineCache, tokens: number[]) =>
      b.engine.forward([{ cache, tokens, want: "all" }])
    const [first, second] = [await b.filled([1]), await b.filled([1])]
    const before = forward(first, texts[0])
    const lost = forward(second, texts[1])
    second.close()
    const third = b.engine.openCache() // may be given the memory of the second
    const after = forward(third, texts[2])
    await rejects(() => lost, "Closed")
    b.same((await before)[0], b.rows(await b.alone([1, ...texts[0]]), 1), "the call before it")
    b.same((await after)[0], await b.alone(texts[2]), "the call after it")
    await b.continues(third, texts[2], "the third cache")
  },

  "a cache closed while its call runs disturbs no other": async (b) => {
    const held = b.ids(4)
    for (let turns = 1; turns < 8; turns++) {
      const caches = await Promise.all([b.filled(held), b.filled(held), b.filled(held)])
      const calls = caches.map((cache) => b.engine.forward([{ cache, tokens: [2], want: "last" }]))
      for (let turn = 0; turn < turns; turn++) await undefined
      caches[1].close()
      const taker = b.engine.openCache()
      await Promise.allSettled(calls)
      await b.continues(taker, [], "a cache opened meanwhile")
      for (const cache of [caches[0], caches[2]]) {
        await b.continues(cache, [...held, 2], "a neighbour")
        cache.close()
      }
      taker.close()
    }
  },

  "results belong to the caller": async (b) => {
    const cache = b.engine.openCache()
    const [first] = await b.engine.forward([{ cache, tokens: [1, 2], want: "all" }])
    const kept = first.slice()
    const [second] = await b.engine.forward([{ cache, tokens: [3], want: "last" }])
    assertEquals(first, kept, "a later call overwrote an earlier result")
    first.fill(0)
    second.fill(0)
    b.same(await b.alone([1, 2]), kept, "after the results were overwritten")
    await b.continues(cache, [1, 2, 3], "the cache")
  },

  "no rows give no results": async (b) => {
    assertEquals(await b.engine.forward([]), [])
  },

  "random operations agree with texts run from scratch": async (b) => {
    const oracle = new Bench(b.subject, await b.subject.open())
    try {
      await randomOperations(b, oracle)
    } finally {
      await oracle.engine.close()
    }
    assertEquals(b.subject.held?.(b.engine) ?? 0, 0)
  },

  "closing waits for running calls, and is said to whoever comes later": async (b) => {
    const ids = b.ids(10)
    const expected = await b.alone(ids)
    const cache = await b.filled([1])
    const order: string[] = []
    const calls = [1, 2].map(async () => {
      const own = b.engine.openCache()
      const [found] = await b.engine.forward([{ cache: own, tokens: ids, want: "all" }])
      order.push("call")
      return found
    })
    const closing = b.engine.close().then(() => order.push("closed"))
    const again = b.engine.close()
    for (const found of await Promise.all(calls)) b.same(found, expected, "a call under way")
    await Promise.all([closing, again, b.engine.close()])
    assertEquals(order, ["call", "call", "closed"])
    throws(() => b.engine.openCache(), "Closed", b.engine.name)
    throws(() => cache.fork(), "Closed", b.engine.name)
    const row = { cache, tokens: [1], want: "last" } as const
    await rejects(() => b.engine.forward([row]), "Closed", b.engine.name)
    cache.close()
  },
}

const poisonChecks: Record<string, (bench: Bench) => Promise<void>> = {
  "a row of NaN fails its call, whose other rows change no cache either": async (b) => {
    const poison = b.subject.poison!
    const held = b.ids(5)
    const caches = await Promise.all([1, 2, 3].map(() => b.filled(held)))
    const row = (cache: EngineCache, ...tokens: number[]) => ({
      cache,
      tokens,
      want: "all" as const,
    })
    await rejects(
      () =>
        b.engine.forward([
          row(caches[0], 1, 2),
          row(caches[1], 1, poison),
          row(caches[2], ...b.ids(25)), // long enough to run apart from the others
        ]),
      "NonFiniteScores",
      b.engine.name,
    )
    for (const cache of caches) await b.continues(cache, held, "after a row of NaN")
  },

  "a row of NaN fails no other call": async (b) => {
    const poison = b.subject.poison!
    const ids = b.ids(4)
    const forward = (...tokens: number[]) =>
      b.engine.forward([{ cache: b.engine.openCache(), tokens, want: "all" }])
    const calls = [forward(...ids), forward(...ids.slice(1), poison), forward(...ids)]
    await rejects(() => calls[1], "NonFiniteScores", b.engine.name)
    for (const call of [calls[0], calls[2]]) {
      b.same((await call)[0], await b.alone(ids), "a call beside it")
    }
  },
}

/** Opens, forks, rolls back, closes and runs caches in a random order, alone and together. */
async function randomOperations(b: Bench, oracle: Bench): Promise<void> {
  const longest = 70
  let live: { cache: EngineCache; ids: number[] }[] = []
  const pick = () => live[b.integer(0, live.length - 1)]
  const forward = async (some: typeof live) => {
    const rows = some.map(({ cache }) => ({
      cache,
      tokens: b.ids(b.integer(1, b.integer(0, 3) === 0 ? 12 : 2)),
      want: b.integer(0, 1) === 0 ? "last" as const : "all" as const,
    }))
    const results = await b.engine.forward(rows)
    for (const [i, one] of some.entries()) {
      const before = one.ids.length
      one.ids.push(...rows[i].tokens)
      const from = rows[i].want === "all" ? before : one.ids.length - 1
      const expected = oracle.rows(await oracle.alone(one.ids), from)
      b.same(results[i], expected, `a text of ${one.ids.length} tokens among ${live.length}`)
    }
  }
  for (let step = 0; step < 120; step++) {
    const operation = b.integer(0, 9)
    if (live.length === 0 || (operation === 0 && live.length < 7)) {
      live.push({ cache: b.engine.openCache(), ids: [] })
    } else if (operation === 1 && live.length < 7) {
      const { cache, ids } = pick()
      live.push({ cache: cache.fork(), ids: [...ids] })
    } else if (operation === 2) {
      const one = pick()
      one.ids.length = b.integer(0, one.ids.length)
      one.cache.truncate(one.ids.length)
    } else if (operation === 3) {
      const one = pick()
      one.cache.close()
      live = live.filter((other) => other !== one)
    } else {
      const shuffled = live
        .filter(({ ids }) => ids.length < longest)
        .map((one) => ({ one, key: b.random.nextUint32() }))
        .sort((x, y) => x.key - y.key)
        .map(({ one }) => one)
      const some = shuffled.slice(0, b.integer(1, 5))
      if (operation < 8 || some.length < 2) await forward(some)
      else await Promise.all([forward(some.slice(0, 1)), forward(some.slice(1))])
    }
    for (const { cache, ids } of live) assertEquals(cache.length, ids.length)
  }
  for (const { cache } of live) cache.close()
}
