import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/runtime/open_engine.ts"
import { argmax } from "../../src/math/argmax.ts"
import { expected, fixture, largestDifference, logSoftmax } from "../_fixtures.ts"

const open = (name: string, precision: "f32" | "q8" | "q4" = "f32") =>
  openEngine({ name, folder: fixture(name), precision, device: "cpu", threads: 2 })

/** Log-probabilities after each of the ids, in pieces of the given sizes. */
async function inPieces(engine: Engine, ids: readonly number[], sizes: readonly number[]) {
  const cache = engine.openCache()
  const rows: Float32Array[] = []
  let at = 0
  for (const size of sizes) {
    const tokens = ids.slice(at, at += size)
    const [out] = await engine.forward([{ cache, tokens, want: "all" }])
    for (let i = 0; i < tokens.length; i++) {
      rows.push(out.subarray(i * engine.vocabularySize, (i + 1) * engine.vocabularySize))
    }
  }
  cache.close()
  return rows
}

/**
 * What a different order of the same sums may change, as a share of the largest log-probability: some
 * eight roundings of float32. A row's own size is the measure, as logits of 20 round more coarsely
 * than logits of 10.
 */
const reordering = 1e-6

describe("a folder of the Llama family", () => {
  for (const [name, { ids, logits_at: logits, greedy }] of Object.entries(expected)) {
    it(`${name} gives transformers' probabilities, at once, in pieces and token by token`, async () => {
      const engine = await open(name)
      try {
        const atOnce = await inPieces(engine, ids, [40])
        for (const [position, row] of Object.entries(logits)) {
          const worst = largestDifference(atOnce[Number(position)], logSoftmax(row))
          assert(worst < 1e-4, `position ${position} is ${worst} off`)
        }
        const largest = Math.max(...atOnce.map((row) => -row.reduce((a, b) => Math.min(a, b))))
        for (const sizes of [[17, 1, 1, 21], ids.map(() => 1)]) {
          const rows = await inPieces(engine, ids, sizes)
          const worst = Math.max(...rows.map((row, i) => largestDifference(row, atOnce[i])))
          assert(worst < reordering * largest, `in pieces of ${sizes} it is ${worst} off`)
        }
      } finally {
        await engine.close()
      }
    })

    it(`${name} continues greedily as transformers does`, async () => {
      const engine = await open(name)
      try {
        const cache = engine.openCache()
        let tokens = [...ids]
        const found: number[] = []
        while (found.length < greedy.length) {
          const [row] = await engine.forward([{ cache, tokens, want: "last" }])
          tokens = [argmax(row)]
          found.push(tokens[0])
        }
        assertEquals(found, [...greedy])
      } finally {
        await engine.close()
      }
    })
  }
})
