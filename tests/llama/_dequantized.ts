/** What quantised weights stand for, written the obvious way. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type BlockQuantized, blockSize, quantizeBlocks } from "../../src/llama/quantize.ts"
import {
  decodeSafetensors,
  encodeSafetensors,
  float32,
  type StoredTensor,
  type TemporaryFolder,
  temporaryFolder,
} from "../files/_altered.ts"
import { cpSync, writeFileSync } from "node:fs"

/** The code of one weight. */
export function codeAt({ bits, codes }: BlockQuantized, index: number): number {
  if (bits === 8) return codes[index]
  return index % 2 === 0 ? codes[index >> 1] & 15 : codes[index >> 1] >> 4
}

/** `[rows, columns]` from codes and scales: `(code - zero) * scale`. */
export function dequantize(matrix: BlockQuantized, rows: number, columns: number): Float32Array {
  const zero = 2 ** (matrix.bits - 1)
  const blocks = Math.ceil(columns / blockSize)
  const out = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const block = row * blocks + Math.floor(column / blockSize)
      const code = codeAt(matrix, block * blockSize + (column % blockSize))
      out[row * columns + column] = (code - zero) * matrix.scales[block]
    }
  }
  return out
}

const unquantized = ["model.embed_tokens.weight", "score.weight"]

/**
 * A copy of a folder of float32 weights whose matrices hold what their quantisation stands for: of
 * 8 bits in the head, of `bits` elsewhere; a value head stays as it is. The head becomes a tensor of
 * its own: a tied one is quantised where the embedding is not.
 */
export function dequantizedFolder(source: string, bits: 4 | 8): TemporaryFolder {
  const folder = temporaryFolder()
  cpSync(source, folder.path, { recursive: true })
  const tensors = decodeSafetensors(readFileSync(join(source, "model.safetensors")))
  const embedding = tensors["model.embed_tokens.weight"]
  const all: Record<string, StoredTensor> = { "lm_head.weight": embedding, ...tensors }
  for (const [name, { shape, data }] of Object.entries(all)) {
    if (shape.length !== 2 || unquantized.includes(name)) continue
    const [rows, columns] = shape
    const values = new Float32Array(data.slice().buffer)
    const quantized = quantizeBlocks(values, rows, columns, name === "lm_head.weight" ? 8 : bits)
    all[name] = float32(shape, dequantize(quantized, rows, columns))
  }
  writeFileSync(join(folder.path, "model.safetensors"), encodeSafetensors(all))
  const config = JSON.parse(readFileSync(join(source, "config.json"), "utf8"))
  const untied = JSON.stringify({ ...config, tie_word_embeddings: false })
  writeFileSync(join(folder.path, "config.json"), untied)
  return folder
}
