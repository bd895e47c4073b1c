/**
 * Operators of ONNX Runtime's own (`com.microsoft`) that do in one node what inference would do in
 * several. They have no gradient here; CPU, WebGPU and CUDA all run them.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import type { Tensor } from "../onnx/tape.ts"
import { type BlockQuantized, blockSize } from "./quantize.ts"

/** `x + change`, and its root-mean-square norm, both `[T, size]`; `weight` is `[size]`. */
export function addAndNorm(
  x: Tensor,
  change: Tensor,
  weight: Tensor,
  epsilon: number,
): [sum: Tensor, normed: Tensor] {
  const { tape } = x
  const name = `${x.value}+${change.value}`
  // The second and third outputs are statistics for training.
  const [normed, , , sum] = tape.graph.nodes(
    "com.microsoft:SkipSimplifiedLayerNormalization",
    [x.value, change.value, weight.value],
    [`${name}.normed`, "", "", `${name}.sum`],
    { epsilon: { float: epsilon } },
  )
  return [tape.tensor(sum, x.shape), tape.tensor(normed, x.shape)]
}

/** `x [T, columns]` times a transposed matrix in blocks, plus the bias `[rows]`: `[T, rows]`. */
export function blockProduct(
  x: Tensor,
  { name, rows, columns, values: { bits, codes, scales } }: {
    readonly name: string
    readonly rows: number
    readonly columns: number
    readonly values: BlockQuantized
  },
  bias?: Tensor,
): Tensor {
  const { tape } = x
  const g = tape.graph
  const blocks = Math.ceil(columns / blockSize)
  const inputs = [
    x.value,
    g.weight(name, "uint8", [rows, blocks, (blockSize * bits) / 8], codes),
    g.weight(`${name}.scales`, "float32", [rows, blocks], scales),
  ]
  // Between the scales and the bias are zero points and an order of the columns, which are left out.
  const all = bias === undefined ? inputs : [...inputs, "", "", bias.value]
  const multiplied = g.node("com.microsoft:MatMulNBits", all, {
    K: columns,
    N: rows,
    bits,
    block_size: blockSize,
    // 4: activations are quantised to 8 bits too, per block; without it 8-bit weights are 10 times slower
    accuracy_level: 4,
  })
  return tape.tensor(multiplied, [x.shape[0], rows])
}
