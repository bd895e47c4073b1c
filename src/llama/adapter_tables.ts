/**
 * The adapters of one graph as tables that each row of a batch looks its own matrices up in. The
 * modules of a stacked product lie side by side in A and as blocks on the diagonal of B, so that a
 * part costs two small products, however many of its modules are adapted:
 *
 * `x [S, columns] . A [columns, R] . B [R, rows]`, R the sum of the modules' largest ranks
 */
import type { LlamaAdapter } from "./adapter.ts"
import type { LlamaConfig } from "./config.ts"
import type { Projection } from "./forward.ts"
import { moduleShape, stackedModules } from "./linear_modules.ts"

/** What all adapters add to one product; entry 0 of the tables is zero, and stands for no adapter. */
export interface AdapterTables {
  /** R: smaller ranks are padded with zeros. */
  readonly rank: number
  readonly rows: number
  readonly columns: number
  /** `[adapters + 1, columns, R]` */
  readonly a: Float32Array
  /** `[adapters + 1, R, rows]`, scaled. */
  readonly b: Float32Array
}

/** The tables of one product; `undefined` where no adapter changes it. */
export function adapterTables(
  config: LlamaConfig,
  adapters: readonly LlamaAdapter[],
  layer: number,
  part: Projection,
): AdapterTables | undefined {
  const modules = stackedModules[part].map((module) => {
    const [rows, columns] = moduleShape(config, module)
    const lowRanks = adapters.map(({ layers }) => layers[layer][module])
    const rank = lowRanks.reduce((most, lowRank) => Math.max(most, lowRank?.rank ?? 0), 0)
    return { rows, columns, lowRanks, rank }
  })
  const sum = (sizes: readonly number[]) => sizes.reduce((total, n) => total + n, 0)
  const rank = sum(modules.map((module) => module.rank))
  if (rank === 0) return undefined
  const rows = sum(modules.map((module) => module.rows))
  const { columns } = modules[0]
  const a = new Float32Array((adapters.length + 1) * columns * rank)
  const b = new Float32Array((adapters.length + 1) * rank * rows)
  let firstRank = 0
  let firstRow = 0
  for (const module of modules) {
    module.lowRanks.forEach((lowRank, index) => {
      if (lowRank === undefined) return
      const entry = index + 1
      for (let r = 0; r < lowRank.rank; r++) {
        const to = entry * columns * rank + firstRank + r
        for (let c = 0; c < columns; c++) a[to + c * rank] = lowRank.a[r * columns + c]
        const from = entry * rank * rows + (firstRank + r) * rows + firstRow
        for (let row = 0; row < module.rows; row++) {
          b[from + row] = lowRank.scale * lowRank.b[row * lowRank.rank + r]
        }
      }
    })
    firstRank += module.rank
    firstRow += module.rows
  }
  return { rank, rows, columns, a, b }
}
