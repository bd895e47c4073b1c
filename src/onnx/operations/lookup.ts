/** Rows of a table by their indices. */
import { type Size, staticShape, type Tensor } from "../tape.ts"
import { operation, untracked } from "./_operation.ts"
import { zeros } from "./shapes.ts"

/** The rows of `table [entries, ...]` that `ids` names: the shape of `ids`, then of a row. */
export function lookup(table: Tensor, ids: Tensor): Tensor {
  const { tape } = table
  const shape: Size[] = [...ids.shape, ...table.shape.slice(1)]
  return operation("Gather", [table, ids], shape, (dy) => {
    const [entries, width] = staticShape(table)
    const count = staticShape(ids).reduce((product, n) => product * n, 1)
    const rows = tape.graph.integers([count, width])
    // ScatterElements adds one by one; ScatterND with a reduction loses sums on several threads.
    const column = untracked("Reshape", [ids, tape.graph.integers([count, 1])], [count, 1])
    const index = untracked("Expand", [column, rows], [count, width])
    const updates = untracked("Reshape", [dy, rows], [count, width])
    return [
      untracked("ScatterElements", [zeros(dy, [entries, width]), index, updates], table.shape, {
        axis: 0,
        reduction: "add",
      }),
    ]
  })
}
