/**
 * Exports that Python was asked to read: `tests/fixtures/check_export.py` lets this module write
 * them, loads them with transformers and PEFT, and stores what those compute. All are seeded.
 */
import { join } from "node:path"
import { randomStream } from "genarm/math"
import { openModelFolder, openTensors } from "../../src/files/model_folder.ts"
import type { FloatType } from "../../src/files/write_safetensors.ts"
import { type LlamaConfig, readLlamaConfig } from "../../src/llama/config.ts"
import { ropeOf } from "../../src/llama/rope.ts"
import { llamaTensorShapes } from "../../src/llama/tensor_shapes.ts"
import { exportAdapter } from "../../src/train/export/export_adapter.ts"
import { exportModel } from "../../src/train/export/export_model.ts"
import type { NamedTensor } from "../../src/train/named_tensor.ts"
import { fixture } from "../_fixtures.ts"

/** Fixtures that are read and written again, as all types of numbers. */
export const rewritten = [
  "llama",
  "llama3",
  "llama3_config_v4",
  "mistral",
  "qwen2",
  "qwen3",
  "qwen3_config_v4",
] as const
export const types = ["F32", "F16", "BF16"] as const

/** All tensors of a folder, and its configuration. */
export async function readModel(
  folder: string,
): Promise<{ config: LlamaConfig; tensors: NamedTensor[] }> {
  const { config } = await openModelFolder(folder)
  const store = await openTensors(folder)
  try {
    const tensors = await Promise.all(store.names.map(async (name) => {
      const shape = store.shape(name)
      const data = new Float32Array(shape.reduce((product, n) => product * n, 1))
      await store.readInto(name, data, 0)
      return { name, shape, data }
    }))
    return { config: readLlamaConfig(config, folder), tensors }
  } finally {
    await store.close()
  }
}

/** Reads a fixture and writes it elsewhere. */
export async function rewrite(name: string, out: string, dtype: FloatType): Promise<void> {
  const baseFolder = fixture(name)
  await exportModel({ out, baseFolder, ...await readModel(baseFolder), dtype })
}

/** Random values around 0. */
function randomTensor(name: string, shape: readonly number[], seed: number): NamedTensor {
  const random = randomStream(seed)
  const length = shape.reduce((product, n) => product * n, 1)
  const data = Float32Array.from({ length }, () => random.nextUniform() - 0.5)
  return { name, shape, data }
}

/** A new model with biases, an unusual rope and fewer key heads than query heads. */
export function newModel(): { config: LlamaConfig; ropeTheta: number; tensors: NamedTensor[] } {
  const ropeTheta = 500
  const config: LlamaConfig = {
    vocabularySize: 300,
    hiddenSize: 24,
    intermediateSize: 40,
    layers: 2,
    heads: 4,
    keyValueHeads: 2,
    headSize: 8,
    normEpsilon: 1e-5,
    contextLength: 64,
    rope: ropeOf({ rope_theta: ropeTheta }, { headSize: 8, contextLength: 64 }, () => {
      throw new Error("unreachable")
    }),
    tiedHead: true,
    queryKeyValueBias: true,
    outputBias: true,
    feedForwardBias: true,
    queryKeyNorm: false,
    slidingWindows: [null, null],
  }
  const tensors = [...llamaTensorShapes(config)].map(([name, shape], i) =>
    randomTensor(name, shape, i)
  )
  return { config, ropeTheta, tensors }
}

/** Writes the new model, with the tokenizer of the `llama` fixture. */
export async function writeNewModel(out: string): Promise<void> {
  const { config, ropeTheta, tensors } = newModel()
  const facts = { ropeTheta, bosTokenId: 1, eosTokenId: 2 }
  await exportModel({
    out,
    config,
    tensors,
    newModel: { ...facts, tokenizerFolder: fixture("llama") },
  })
}

/** An adapter for the `llama` fixture. */
export const adapter = {
  rank: 3,
  alpha: 4.5,
  targets: ["q_proj", "v_proj", "o_proj", "down_proj"],
} as const

/** Its tensors, by the shapes of what they adapt. */
export async function adapterTensors(): Promise<NamedTensor[]> {
  const { config } = await openModelFolder(fixture("llama"))
  const shapes = llamaTensorShapes(readLlamaConfig(config, "llama"))
  const tensors: NamedTensor[] = []
  for (const [name, [rows, columns]] of shapes) {
    if (!adapter.targets.some((target) => name.endsWith(`.${target}.weight`))) continue
    const module = name.slice(0, -".weight".length)
    const seed = 100 + tensors.length
    tensors.push(randomTensor(`${module}.lora_A.weight`, [adapter.rank, columns], seed))
    tensors.push(randomTensor(`${module}.lora_B.weight`, [rows, adapter.rank], seed + 50))
  }
  return tensors
}

/** Writes the adapter. */
export async function writeAdapter(out: string): Promise<void> {
  await exportAdapter({ out, baseName: "llama", ...adapter, tensors: await adapterTensors() })
}

/** The `llama` fixture with the adapter's change added to its weights, the obvious way. */
export async function mergedTensors(): Promise<{ config: LlamaConfig; tensors: NamedTensor[] }> {
  const { config, tensors } = await readModel(fixture("llama"))
  const changes = new Map((await adapterTensors()).map((tensor) => [tensor.name, tensor]))
  const merged = tensors.map((tensor) => {
    const module = tensor.name.slice(0, -".weight".length)
    const a = changes.get(`${module}.lora_A.weight`)
    const b = changes.get(`${module}.lora_B.weight`)
    if (a === undefined || b === undefined) return tensor
    const columns = tensor.shape[1]
    const data = tensor.data.map((value, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns]
      let sum = 0
      for (let r = 0; r < adapter.rank; r++) {
        sum += b.data[row * adapter.rank + r] * a.data[r * columns + column]
      }
      return value + sum * adapter.alpha / adapter.rank
    })
    return { ...tensor, data }
  })
  return { config, tensors: merged }
}

/** Writes all of them: what `check_export.py` calls. */
export async function writeExports(out: string): Promise<void> {
  for (const name of rewritten) {
    for (const type of types) await rewrite(name, join(out, `${name}_${type}`), type)
  }
  await writeNewModel(join(out, "new_model"))
  await writeAdapter(join(out, "adapter"))
}
