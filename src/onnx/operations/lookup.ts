/** Rows of a table by their indices. */
import { type Size, staticShape, type Tensor } from "../tape.ts"
import { operation, untracked } from "./_operation.ts"
import { reshape, zeros } from "./shapes.ts"

/**
 * The rows of `table [entries, ...]` that `ids` names, int64 of any shape: the shape of `ids`, then of a
 * row. The gradient of a row that is named several times is the sum of theirs.
 *
 * @example
 * ```ts
 * import { lookup, Tape } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * const tape = new Tape()
 * const embedding = tape.variable("embedding", [32, 16])
 * const ids = tape.input("ids", "int64", [4, 10])
 * assertEquals(lookup(embedding, ids).shape, [4, 10, 16])
 * ```
 */
export function lookup(table: Tensor, ids: Tensor): Tensor {
  const { tape } = table
  const shape: Size[] = [...ids.shape, ...table.shape.slice(1)]
  return operation("Gather", [table, ids], shape, (dy) => {
    const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)
    const [entries, ...row] = staticShape(table)
    const [width, count] = [size(row), size(staticShape(ids))]
    const rows = tape.graph.integers([count, width])
    // ScatterElements adds one by one; ScatterND with a reduction loses sums on several threads.
    const column = untracked("Reshape", [ids, tape.graph.integers([count, 1])], [count, 1])
    const index = untracked("Expand", [column, rows], [count, width])
    const updates = untracked("Reshape", [dy, rows], [count, width])
    const matrix = [entries, width]
    const sums = untracked("ScatterElements", [zeros(dy, matrix), index, updates], matrix, {
      axis: 0,
      reduction: "add",
    })
    return [reshape(sums, staticShape(table))]
  })
}
