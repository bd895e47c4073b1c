/**
 * Which ranks of all adapters a token keeps: those of its row's own adapter. Masks depend on the batch
 * and on whose the ranks are, so layers share them.
 */
import { lookup } from "../onnx/operations/lookup.ts"
import { reshape } from "../onnx/operations/shapes.ts"
import type { Size, Tensor } from "../onnx/tape.ts"
import { product } from "./forward.ts"

/**
 * The mask of ranks whose adapters are `owners`, counted from 1: bool `[tokens, R]`, true where the
 * token's row has that adapter; `isSelected` for the tokens that are selected alone.
 */
export type RowMasks = (owners: readonly number[], isSelected: boolean) => Tensor

/** The masks of a batch whose rows have the adapters `chosen [batch]`, int64, 0 for none. */
export function rowMasks(
  chosen: Tensor,
  { batch, steps, selected }: {
    readonly batch: Size
    readonly steps: Size
    /** `[N]` int64: positions among the `batch * steps` tokens. */
    readonly selected: Tensor
  },
): RowMasks {
  const { tape } = chosen
  const g = tape.graph
  const column = g.node("Unsqueeze", [chosen.value, g.integers([1])])
  const spread = g.node("Expand", [column, tape.shapeValue([batch, steps])])
  const all = reshape(tape.tensor(spread, [batch, steps]), [product(batch, steps), 1])
  const some = lookup(all, selected)
  const known = new Map<string, Tensor>()
  return (owners, isSelected) => {
    const key = `${isSelected}:${owners}`
    const found = known.get(key)
    if (found !== undefined) return found
    const tokens = isSelected ? some : all
    const equal = g.node("Equal", [tokens.value, g.integers(owners)])
    const mask = tape.tensor(equal, [tokens.shape[0], owners.length])
    known.set(key, mask)
    return mask
  }
}
