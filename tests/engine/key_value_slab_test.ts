import { assert, assertEquals } from "@std/assert"
import { randomStream } from "genarm/math"
import { describe, it } from "node:test"
import { KeyValueSlab, type SlabEntry } from "../../src/engine/key_value_slab.ts"

const shape = { layers: 2, heads: 3, headSize: 2 }
const buffersInAll = 2 * shape.layers

/** An entry beside what it should hold: one number a token, spread over all places of the token. */
interface Twin {
  readonly entry: SlabEntry
  readonly tokens: number[]
}

/** The number that stands for a token at one place. */
const cell = (token: number, buffer: number, head: number, i: number) =>
  token * 100 + buffer * 10 + head * 3 + i

function checkContents(slab: KeyValueSlab, { entry, tokens }: Twin): void {
  assertEquals(entry.length, tokens.length)
  slab.buffers.forEach((buffer, b) => {
    for (let head = 0; head < shape.heads; head++) {
      const begin = (entry.slot * shape.heads + head) * slab.capacity * shape.headSize
      tokens.forEach((token, position) => {
        for (let i = 0; i < shape.headSize; i++) {
          const found = buffer[begin + position * shape.headSize + i]
          assertEquals(found, cell(token, b, head, i), `slot ${entry.slot}, position ${position}`)
        }
      })
    }
  })
}

/** `[2 * layers, rows, heads, steps, headSize]`: `steps` tokens for each row, some of them padding. */
function delta(rows: readonly (readonly number[])[], steps: number): Float32Array {
  const out: number[] = []
  for (let buffer = 0; buffer < buffersInAll; buffer++) {
    for (const tokens of rows) {
      for (let head = 0; head < shape.heads; head++) {
        for (let step = 0; step < steps; step++) {
          for (let i = 0; i < shape.headSize; i++) {
            out.push(step < tokens.length ? cell(tokens[step], buffer, head, i) : -1)
          }
        }
      }
    }
  }
  return Float32Array.from(out)
}

/** Runs the entries as an engine does: together, in neighbouring slots, by one delta. */
function append(slab: KeyValueSlab, twins: readonly Twin[], added: readonly number[][]): void {
  slab.reserve(Math.max(...twins.map(({ tokens }, i) => tokens.length + added[i].length)))
  const first = slab.gather(twins.map(({ entry }) => entry))
  const inSlots = twins.map((twin, i) => ({ twin, tokens: added[i] }))
    .sort((a, b) => a.twin.entry.slot - b.twin.entry.slot)
  inSlots.forEach(({ twin }, row) => assertEquals(twin.entry.slot, first + row))
  const rows = inSlots.map(({ tokens }) => tokens)
  const steps = Math.max(...rows.map(({ length }) => length))
  slab.append(delta(rows, steps), first, steps, rows.map(({ length }) => length))
  inSlots.forEach(({ twin, tokens }) => twin.tokens.push(...tokens))
}

describe("KeyValueSlab", () => {
  it("keeps every cache through random operations", () => {
    const random = randomStream(99)
    const integer = (low: number, high: number) => low + random.nextUint32() % (high - low + 1)
    const slab = new KeyValueSlab(shape)
    let live: Twin[] = []
    let moved = 0
    for (let step = 0; step < 600; step++) {
      const operation = integer(0, 9)
      const one = live[integer(0, Math.max(0, live.length - 1))]
      if (one === undefined || (operation === 0 && live.length < 9)) {
        live.push({ entry: slab.add(), tokens: [] })
      } else if (operation === 1) {
        slab.remove(one.entry)
        live = live.filter((twin) => twin !== one)
      } else if (operation === 2 && live.length < 9) {
        const entry = slab.add()
        slab.reserve(1)
        slab.copy(one.entry, entry, one.entry.length)
        live.push({ entry, tokens: [...one.tokens] })
      } else if (operation === 3) {
        one.tokens.length = one.entry.length = integer(0, one.entry.length)
      } else {
        const some = live.filter(() => integer(0, 1) === 1)
        if (some.length === 0) continue
        const before = some.map(({ entry }) => entry.slot)
        // Long pieces now and then: above 64 numbers another way of copying is taken.
        const longest = integer(0, 9) === 0 ? 90 : 3
        append(
          slab,
          some,
          some.map(() => Array.from({ length: integer(1, longest) }, () => integer(0, 999))),
        )
        if (some.some(({ entry }, i) => entry.slot !== before[i])) moved++
      }
      assertEquals(slab.open, live.length)
      assertEquals(new Set(live.map(({ entry }) => entry.slot)).size, live.length)
      for (const twin of live) checkContents(slab, twin)
    }
    assert(moved > 50, `slots moved ${moved} times`)
    for (const { entry } of live) slab.remove(entry)
    assertEquals([slab.open, slab.bytes], [0, 0])
  })

  it("moves nothing when the entries are neighbours already", () => {
    const slab = new KeyValueSlab(shape)
    const twins = Array.from({ length: 4 }, () => ({ entry: slab.add(), tokens: [] }))
    append(slab, twins, [[1], [2], [3], [4]])
    const { generation } = slab
    append(slab, [twins[3], twins[2]], [[5, 6], [7]])
    append(slab, twins.slice(1), [[8], [9], [10]])
    assertEquals(twins.map(({ entry }) => entry.slot), [0, 1, 2, 3])
    assertEquals(slab.generation, generation)
    for (const twin of twins) checkContents(slab, twin)
  })

  it("grows by a quarter at least, so that a long text is seldom copied", () => {
    const slab = new KeyValueSlab(shape)
    const twin: Twin = { entry: slab.add(), tokens: [] }
    for (let token = 0; token < 2000; token++) append(slab, [twin], [[token]])
    checkContents(slab, twin)
    assert(slab.generation < 20, `copied ${slab.generation} times`)
    assert(slab.capacity < 2000 * 1.25 + 64)
  })

  it("takes nothing from a row whose slot was freed while it ran", () => {
    const slab = new KeyValueSlab(shape)
    const twins = [0, 1].map((): Twin => ({ entry: slab.add(), tokens: [] }))
    append(slab, twins, [[1], [2]])
    slab.remove(twins[1].entry)
    slab.append(delta([[3], [4]], 1), 0, 1, [1, 0])
    twins[0].tokens.push(3)
    checkContents(slab, twins[0])
    const next: Twin = { entry: slab.add(), tokens: [] }
    assertEquals([next.entry.slot, next.entry.length], [1, 0])
  })
})
