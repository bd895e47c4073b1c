import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import type { Engine } from "../../src/engine/engine.ts"
import { fixture, largestDifference } from "../_fixtures.ts"
import { expectedValues, valueHead } from "../_value_heads.ts"
import { open, openBeside } from "./_engines.ts"

const { ids, values, labels } = expectedValues.sentiment

async function withEngine(
  openAny: (folder: string) => Promise<Engine>,
  body: (engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await openAny(fixture(valueHead("sentiment")))
  try {
    await body(engine)
  } finally {
    await engine.close()
  }
}

/** Whether rows are those that transformers gives after the ids from `from` to `to`. */
function checkRows(found: Float32Array, from: number, to: number): void {
  const worst = largestDifference(found, values.slice(from, to).flat())
  assert(worst < 1e-5, `rows ${from} to ${to} are ${worst} off`)
}

for (const [where, openAny] of [["in this thread", open], ["in a worker", openBeside]] as const) {
  describe(`rows of values ${where}`, () => {
    it("are as wide as there are labels, for the last token and for all, in one ragged batch", () =>
      withEngine(openAny, async (engine) => {
        assertEquals([engine.width, engine.vocabularySize], [labels.length, 300])
        const lengths = [3, 40, 1, 12]
        const rows = await engine.forward(lengths.map((length, i) => ({
          cache: engine.openCache(),
          tokens: ids.slice(0, length),
          want: i % 2 === 0 ? "last" : "all",
        })))
        lengths.forEach((length, i) => checkRows(rows[i], i % 2 === 0 ? length - 1 : 0, length))
      }))

    it("go on from forks and rewound caches", () =>
      withEngine(openAny, async (engine) => {
        const cache = engine.openCache()
        await engine.forward([{ cache, tokens: ids.slice(0, 20), want: "last" }])
        const fork = cache.fork()
        cache.truncate(7)
        const [on, back] = await engine.forward([
          { cache: fork, tokens: ids.slice(20, 23), want: "all" },
          { cache, tokens: ids.slice(7, 9), want: "all" },
        ])
        checkRows(on, 20, 23)
        checkRows(back, 7, 9)
        assertEquals([fork.length, cache.length], [23, 9])
      }))

    it("come whole from a text that runs in pieces", () =>
      withEngine(openAny, async (engine) => {
        const twice = [...ids, ...ids, ...ids] // the model's own 128 tokens hold three of them
        const step = engine.forward([{ cache: engine.openCache(), tokens: [ids[0]], want: "last" }])
        const [all] = await engine.forward([
          { cache: engine.openCache(), tokens: twice, want: "all" },
        ])
        assertEquals(all.length, twice.length * labels.length)
        checkRows(all.subarray(0, ids.length * labels.length), 0, ids.length)
        checkRows((await step)[0], 0, 1)
      }))
  })
}
