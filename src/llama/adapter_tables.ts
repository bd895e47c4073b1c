/**
 * The adapters of one graph as one low-rank product for all of them. The ranks of all adapters, and
 * of all modules of a stacked product, lie side by side; a row of the batch keeps what its own adapter
 * makes of it and drops the rest. No matrix is gathered by row, and each is read once for all rows;
 * what is computed in vain for the few adapters of a graph is small beside the product itself:
 *
 * `keep(x [tokens, columns] . A^T [columns, R]) . B [R, rows]`, R the sum of all ranks
 */
import type { LlamaAdapter } from "./adapter.ts"
import type { LlamaConfig } from "./config.ts"
import type { Projection } from "./forward.ts"
import { moduleShape, stackedModules } from "./linear_modules.ts"

/** What all adapters add to one product. */
export interface AdapterTables {
  readonly rows: number
  readonly columns: number
  /** For each of the R ranks the adapter it is of, counted from 1. */
  readonly owners: readonly number[]
  /** `[R, columns]` */
  readonly a: Float32Array
  /** `[R, rows]`, scaled, zero outside the rank's module. */
  readonly b: Float32Array
}

/** The tables of one product; `undefined` where no adapter changes it. */
export function adapterTables(
  config: LlamaConfig,
  adapters: readonly LlamaAdapter[],
  layer: number,
  part: Projection,
): AdapterTables | undefined {
  const { columns, rows, parts } = lowRanksOf(config, adapters, layer, part)
  const owners = parts.flatMap(({ owner, rank }) => Array<number>(rank).fill(owner))
  if (owners.length === 0) return undefined
  const a = new Float32Array(owners.length * columns)
  const b = new Float32Array(owners.length * rows)
  let first = 0
  for (const { firstRow, rank, scale, a: ownA, b: ownB } of parts) {
    a.set(ownA, first * columns)
    const height = ownB.length / rank
    for (let r = 0; r < rank; r++) {
      const target = b.subarray(
        (first + r) * rows + firstRow,
        (first + r) * rows + firstRow + height,
      )
      for (let row = 0; row < height; row++) target[row] = scale * ownB[row * rank + r]
      // Rows of other adapters multiply B by 0, which infinity would turn to NaN; A they never see.
      if (target.every(Number.isFinite)) continue
      target.fill(0)
      a.fill(NaN, (first + r) * columns, (first + r + 1) * columns)
    }
    first += rank
  }
  return { rows, columns, owners, a, b }
}

/** The adapted modules of a stacked product, adapter by adapter, and where their rows begin. */
function lowRanksOf(
  config: LlamaConfig,
  adapters: readonly LlamaAdapter[],
  layer: number,
  part: Projection,
) {
  const modules = stackedModules[part]
  const [, columns] = moduleShape(config, modules[0])
  const heights = modules.map((module) => moduleShape(config, module)[0])
  const sum = (sizes: readonly number[]) => sizes.reduce((total, n) => total + n, 0)
  const parts = adapters.flatMap(({ layers }, index) =>
    modules.flatMap((module, i) => {
      const lowRank = layers[layer][module]
      if (lowRank === undefined) return []
      return [{ ...lowRank, owner: index + 1, firstRow: sum(heights.slice(0, i)) }]
    })
  )
  return { columns, rows: sum(heights), parts }
}
