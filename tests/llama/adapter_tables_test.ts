import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { randomStream } from "genarm/math"
import type { LlamaAdapter, LowRank } from "../../src/llama/adapter.ts"
import { type AdapterTables, adapterTables } from "../../src/llama/adapter_tables.ts"
import { readLlamaConfig } from "../../src/llama/config.ts"
import type { Projection } from "../../src/llama/forward.ts"
import { type LinearModule, moduleShape, stackedModules } from "../../src/llama/linear_modules.ts"

const config = readLlamaConfig({
  model_type: "llama",
  vocab_size: 16,
  hidden_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  intermediate_size: 20,
  max_position_embeddings: 64,
}, "tiny")

const random = randomStream(7)
const numbers = (count: number) =>
  Float32Array.from({ length: count }, () => random.nextUint32() / 2 ** 31 - 1)

function lowRank(module: LinearModule, rank: number, scale: number): LowRank {
  const [rows, columns] = moduleShape(config, module)
  return { rank, scale, a: numbers(rank * columns), b: numbers(rows * rank) }
}

const adapters: readonly LlamaAdapter[] = [
  { layers: [{ q_proj: lowRank("q_proj", 3, 2), v_proj: lowRank("v_proj", 1, 0.5) }] },
  { layers: [{ gate_proj: lowRank("gate_proj", 2, 1) }] },
  { layers: [{ k_proj: lowRank("k_proj", 2, -1), up_proj: lowRank("up_proj", 4, 3) }] },
]

/** `scale * B (A x)` of the modules of a part, one below the other. */
function obvious(adapter: LlamaAdapter, part: Projection, x: Float32Array): number[] {
  return stackedModules[part].flatMap((module) => {
    const [rows, columns] = moduleShape(config, module)
    const found = adapter.layers[0][module]
    return Array.from({ length: rows }, (_, row) => {
      let sum = 0
      for (let r = 0; r < (found?.rank ?? 0); r++) {
        let down = 0
        for (let c = 0; c < columns; c++) down += found!.a[r * columns + c] * x[c]
        sum += found!.scale * found!.b[row * found!.rank + r] * down
      }
      return sum
    })
  })
}

/** What the graph computes for a token whose row has the adapter `own`. */
function throughTables(tables: AdapterTables, own: number, x: Float32Array): number[] {
  const { rows, columns, owners, a, b } = tables
  const kept = owners.map((owner, r) => {
    let down = 0
    for (let c = 0; c < columns; c++) down += a[r * columns + c] * x[c]
    return owner === own ? down : 0
  })
  return Array.from(
    { length: rows },
    (_, row) => kept.reduce((sum, value, r) => sum + value * b[r * rows + row], 0),
  )
}

describe("the tables of all adapters", () => {
  for (const part of ["queryKeyValue", "gateUp"] as const) {
    it(`give each row of ${part} what its own adapter adds, and nothing to one without`, () => {
      const tables = adapterTables(config, adapters, 0, part)!
      const x = numbers(tables.columns)
      for (const [index, adapter] of adapters.entries()) {
        const found = throughTables(tables, index + 1, x)
        obvious(adapter, part, x).forEach((value, row) =>
          assertAlmostEquals(found[row], value, 1e-5)
        )
      }
      assert(throughTables(tables, 0, x).every((value) => value === 0))
    })
  }

  it("hold each rank once, whatever those of other adapters are", () => {
    assertEquals(adapterTables(config, adapters, 0, "queryKeyValue")!.owners, [1, 1, 1, 1, 3, 3])
    assertEquals(adapterTables(config, adapters, 0, "gateUp")!.owners, [2, 2, 3, 3, 3, 3])
  })

  it("are none where no adapter changes the product", () => {
    assertEquals(adapterTables(config, adapters, 0, "down"), undefined)
    assertEquals(adapterTables(config, [], 0, "queryKeyValue"), undefined)
  })

  it("keep what overflows to the rows of its own adapter", () => {
    const huge = { ...adapters[0].layers[0].v_proj!, scale: 3e38, b: numbers(4).fill(1e3) }
    const tables = adapterTables(
      config,
      [adapters[2], { layers: [{ v_proj: huge }] }],
      0,
      "queryKeyValue",
    )!
    const x = numbers(tables.columns)
    assert(tables.b.every(Number.isFinite))
    assert(throughTables(tables, 1, x).every(Number.isFinite))
    assert(throughTables(tables, 2, x).some(Number.isNaN))
  })
})
