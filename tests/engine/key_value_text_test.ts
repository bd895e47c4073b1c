import { assert, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { KeyValueSlab } from "../../src/engine/key_value_slab.ts"
import { type KeyValueStore, KeyValueText } from "../../src/engine/key_value_text.ts"

const shape = { layers: 2, heads: 2, headSize: 3 }
const bytesPerToken = 2 * shape.layers * shape.heads * shape.headSize * 4

/** A text beside what it should hold: one number a token. */
interface Twin {
  readonly text: KeyValueText
  tokens: number[]
}

const openStore = (): KeyValueStore => ({ slab: new KeyValueSlab(shape), snapshots: { bytes: 0 } })

/** The number that stands for a token at one place. */
const cell = (token: number, buffer: number, head: number, i: number) =>
  token * 100 + buffer * 10 + head * 3 + i

/** Appends tokens as an engine does: all texts at once, in neighbouring slots. */
function append(store: KeyValueStore, twins: readonly Twin[], added: readonly number[][]): void {
  const { slab } = store
  const length = Math.max(...twins.map(({ text }, i) => text.length + added[i].length))
  const first = KeyValueText.enter(store, twins.map(({ text }) => text), length)
  const rows: number[][] = []
  twins.forEach(({ text }, i) => rows[text.slot - first] = added[i])
  assertEquals(rows.filter(Boolean).length, twins.length, "neighbours")
  const steps = Math.max(...added.map(({ length }) => length))
  const delta: number[] = []
  for (let buffer = 0; buffer < 2 * shape.layers; buffer++) {
    for (const row of rows) {
      for (let head = 0; head < shape.heads; head++) {
        for (let step = 0; step < steps; step++) {
          for (let i = 0; i < shape.headSize; i++) {
            delta.push(step < row.length ? cell(row[step], buffer, head, i) : -1)
          }
        }
      }
    }
  }
  slab.append(Float32Array.from(delta), first, steps, rows.map(({ length }) => length))
  twins.forEach((twin, i) => twin.tokens.push(...added[i]))
}

/** Reads what a text holds where it steps. */
function checkSlot({ slab }: KeyValueStore, { text, tokens }: Twin): void {
  assertEquals(text.length, tokens.length)
  slab.buffers.forEach((buffer, b) => {
    for (let head = 0; head < shape.heads; head++) {
      const begin = (text.slot * shape.heads + head) * slab.capacity * shape.headSize
      const found = buffer.subarray(begin, begin + tokens.length * shape.headSize)
      const expected = tokens.flatMap((token) => [0, 1, 2].map((i) => cell(token, b, head, i)))
      assertEquals([...found], expected)
    }
  })
}

/** Opens a text of these tokens. */
function filled(store: KeyValueStore, tokens: number[]): Twin {
  const twin: Twin = { text: new KeyValueText(store), tokens: [] }
  append(store, [twin], [tokens])
  return twin
}

const fork = ({ text, tokens }: Twin): Twin => ({ text: text.fork(), tokens: [...tokens] })
const count = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i)

describe("KeyValueText", () => {
  it("keeps every text through random operations, and frees all with the last", () => {
    const random = randomStream(20_260_701)
    const integer = (low: number, high: number) => low + random.nextUint32() % (high - low + 1)
    const store = openStore()
    let live: Twin[] = []
    let restored = 0
    for (let step = 0; step < 1500; step++) {
      const operation = integer(0, 9)
      const one = live[integer(0, Math.max(0, live.length - 1))]
      if (one === undefined || (operation === 0 && live.length < 12)) {
        live.push({ text: new KeyValueText(store), tokens: [] })
      } else if (operation <= 2 && live.length < 12) {
        live.push(fork(one))
      } else if (operation === 3) {
        one.tokens.length = integer(0, one.tokens.length)
        one.text.truncate(one.tokens.length)
      } else if (operation <= 5) {
        one.text.close()
        live = live.filter((twin) => twin !== one)
      } else {
        const some = live.filter(() => integer(0, 2) === 0)
        if (some.length === 0) continue
        const before = store.slab.open
        append(store, some, some.map(() => count(integer(1, 4), integer(0, 999))))
        restored += store.slab.open - before
        for (const twin of some) checkSlot(store, twin)
      }
      for (const { text, tokens } of live) assertEquals(text.length, tokens.length)
    }
    assert(restored > 200, `${restored} texts entered the slab`)
    for (const { text } of live) text.close()
    assertEquals([store.slab.open, store.slab.bytes, store.snapshots.bytes], [0, 0, 0])
  })

  it("takes no slot and no memory for a fork before it steps", () => {
    const store = openStore()
    const parent = filled(store, count(10))
    const forks = count(5).map(() => fork(parent))
    forks.push(fork(forks[0]))
    assertEquals([store.slab.open, store.snapshots.bytes], [1, 0])
    append(store, [forks[2]], [[77]])
    assertEquals(store.slab.open, 2)
    checkSlot(store, forks[2])
  })

  it("keeps one snapshot for all forks when their parent is closed, of its tokens alone", () => {
    const store = openStore()
    const parent = filled(store, count(10))
    const forks = count(5).map(() => fork(parent))
    forks[0].text.truncate(4)
    forks[0].tokens.length = 4
    append(store, [parent], [count(90)])
    parent.text.close()
    assertEquals([store.slab.bytes, store.snapshots.bytes], [0, 10 * bytesPerToken])
    append(store, forks, forks.map((_, i) => [i]))
    for (const twin of forks) checkSlot(store, twin)
    for (const { text } of forks) text.close()
    assertEquals(store.snapshots.bytes, 0)
  })

  it("keeps what its parent is cut to less than", () => {
    const store = openStore()
    const parent = filled(store, count(10))
    const [long, short] = [fork(parent), fork(parent)]
    short.text.truncate(3)
    short.tokens.length = 3
    parent.text.truncate(5)
    parent.tokens.length = 5
    append(store, [parent], [[500, 501, 502, 503, 504]])
    append(store, [long, short], [[1], [2]])
    for (const twin of [parent, long, short]) checkSlot(store, twin)
  })

  it("keeps only what a text has added to the snapshot it went on from", () => {
    const store = openStore()
    const prompt = filled(store, count(100))
    const known = fork(prompt)
    prompt.text.close()
    const ends = count(8).map((i) => {
      const sample = fork(known)
      append(store, [sample], [count(5, i)])
      const end = fork(sample)
      sample.text.close()
      return end
    })
    assertEquals(store.snapshots.bytes, (100 + 8 * 5) * bytesPerToken)
    known.text.close()
    append(store, ends, ends.map(() => [1]))
    for (const twin of ends) checkSlot(store, twin)
    for (const { text } of ends) text.close()
    assertEquals(store.snapshots.bytes, 0)
  })

  it("keeps no long text for the sake of its beginning", () => {
    const store = openStore()
    const long = filled(store, count(1000))
    let kept = fork(long)
    long.text.close()
    kept.text.truncate(10)
    kept.tokens.length = 10
    append(store, [kept], [[5]])
    const next = fork(kept)
    kept.text.close()
    assertEquals(store.snapshots.bytes, 11 * bytesPerToken)
    kept = next
    append(store, [kept], [[6]])
    checkSlot(store, kept)
  })

  it("stays whole through many forks that each close their parent", () => {
    const store = openStore()
    let twin = filled(store, [0])
    for (let token = 1; token < 60; token++) {
      const next = fork(twin)
      twin.text.close()
      twin = next
      append(store, [twin], [[token]])
    }
    checkSlot(store, twin)
    twin.text.close()
    assertEquals(store.snapshots.bytes, 0)
  })
})

describe("the slab of many texts", () => {
  it("moves one text when one of many has left", () => {
    const store = openStore()
    const twins = count(16).map((i) => filled(store, count(20, i)))
    append(store, twins, twins.map(() => [1]))
    twins[3].text.close()
    const rest = twins.filter((_, i) => i !== 3)
    const before = rest.map(({ text }) => text.slot)
    append(store, rest.toReversed(), rest.map(() => [2]))
    const moved = rest.filter(({ text }, i) => text.slot !== before[i])
    assertEquals(moved.length, 1)
    for (const twin of rest) checkSlot(store, twin)
  })

  it("gives back the room that a long text has left", () => {
    const store = openStore()
    const [long, short] = [filled(store, count(2000)), filled(store, count(10))]
    long.text.close()
    append(store, [short], [[1]])
    assertEquals(store.slab.capacity, 64)
    checkSlot(store, short)
  })

  it("changes nothing when memory runs out", () => {
    const store = openStore()
    const [one, two] = [filled(store, count(10)), filled(store, count(20))]
    const waiting = fork(two)
    const texts = [one, two, waiting].map(({ text }) => text)
    let failed = false
    try {
      KeyValueText.enter(store, texts, 2 ** 40)
    } catch (error) {
      failed = error instanceof RangeError
    }
    assert(failed, "an array of so many numbers cannot be made")
    assertEquals(store.slab.open, 2)
    append(store, [waiting, one, two], [[1], [2], [3]])
    for (const twin of [one, two, waiting]) checkSlot(store, twin)
  })
})
