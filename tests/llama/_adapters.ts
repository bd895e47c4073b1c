/** Low-rank adapters made for one test, and the models they would be merged into. */
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { randomStream } from "genarm/math"
import { linearModules, moduleName } from "../../src/llama/linear_modules.ts"
import {
  decodeSafetensors,
  encodeSafetensors,
  float32,
  type StoredTensor,
  type TemporaryFolder,
  temporaryFolder,
} from "../files/_altered.ts"

/** The path of an adapter that PEFT made. */
export function adapterFixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/adapters/${name}`, import.meta.url))
}

/** What PEFT computed with an adapter. */
export interface ExpectedAdapter {
  readonly model: string
  /** The most that a logit changes. */
  readonly change: number
  /** Rows of logits by position in the ids of the model. */
  readonly logits_at: Readonly<Record<string, readonly number[]>>
}

/** Of all adapters that PEFT made. */
export const expectedAdapters: Readonly<Record<string, ExpectedAdapter>> = JSON.parse(
  readFileSync(new URL("../fixtures/adapters_expected.json", import.meta.url), "utf8"),
)

/** How an adapter is made; `ranks` holds ranks of their own for some modules. */
export interface MadeSettings {
  readonly targets?: readonly string[]
  readonly rank?: number
  readonly alpha?: number
  readonly isStabilised?: boolean
  readonly ranks?: Readonly<Record<string, number>>
  readonly seed?: number
  /** The size of its numbers; 0.2 where absent. */
  readonly size?: number
}

/** An adapter's files as they stand in its folder. */
export interface MadeFiles {
  readonly config: Record<string, unknown>
  readonly tensors: Record<string, StoredTensor>
}

/** The files of a random adapter for a model folder. */
export function adapterFiles(model: string, settings: MadeSettings = {}): MadeFiles {
  const { targets = linearModules, rank = 4, alpha = 8, ranks = {}, seed = 1, size = 0.2 } =
    settings
  const random = randomStream(seed)
  const numbers = (count: number) =>
    Array.from({ length: count }, () => (random.nextUint32() / 2 ** 31 - 1) * size)
  const tensors: Record<string, StoredTensor> = {}
  const weights = modelTensors(model)
  for (let layer = 0; `model.layers.${layer}.input_layernorm.weight` in weights; layer++) {
    for (const module of linearModules) {
      if (!targets.includes(module)) continue
      const name = moduleName(layer, module)
      const [rows, columns] = weights[`${name}.weight`].shape
      const r = ranks[module] ?? rank
      tensors[`base_model.model.${name}.lora_A.weight`] = float32(
        [r, columns],
        numbers(r * columns),
      )
      tensors[`base_model.model.${name}.lora_B.weight`] = float32([rows, r], numbers(rows * r))
    }
  }
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r: rank,
    lora_alpha: alpha,
    target_modules: targets,
    rank_pattern: ranks,
    use_rslora: settings.isStabilised ?? false,
    bias: "none",
  }
  return { config, tensors }
}

/** A folder with an adapter's files. */
export function adapterFolder({ config, tensors }: MadeFiles): TemporaryFolder {
  const folder = temporaryFolder()
  writeFileSync(join(folder.path, "adapter_config.json"), JSON.stringify(config))
  writeFileSync(join(folder.path, "adapter_model.safetensors"), encodeSafetensors(tensors))
  return folder
}

/** A folder with a random adapter for a model folder. */
export function madeAdapter(model: string, settings?: MadeSettings): TemporaryFolder {
  return adapterFolder(adapterFiles(model, settings))
}

/** A copy of a model folder whose weights are `W + scale * B A`, the obvious way. */
export function merged(model: string, settings: MadeSettings = {}): TemporaryFolder {
  const folder = temporaryFolder()
  cpSync(model, folder.path, { recursive: true })
  const { tensors } = adapterFiles(model, settings)
  const weights = modelTensors(model)
  const { alpha = 8, isStabilised = false } = settings
  for (const [name, { shape: [rank, columns], data }] of Object.entries(tensors)) {
    if (!name.endsWith(".lora_A.weight")) continue
    const module = name.slice("base_model.model.".length, -".lora_A.weight".length)
    const scale = alpha / (isStabilised ? Math.sqrt(rank) : rank)
    const a = floats(data)
    const b = floats(tensors[name.replace("lora_A", "lora_B")].data)
    const { shape, data: bytes } = weights[`${module}.weight`]
    const values = floats(bytes)
    for (let row = 0; row < shape[0]; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0
        for (let r = 0; r < rank; r++) sum += b[row * rank + r] * a[r * columns + column]
        values[row * columns + column] += scale * sum
      }
    }
    weights[`${module}.weight`] = float32(shape, values)
  }
  writeFileSync(join(folder.path, "model.safetensors"), encodeSafetensors(weights))
  return folder
}

function modelTensors(model: string): Record<string, StoredTensor> {
  return decodeSafetensors(readFileSync(join(model, "model.safetensors")))
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer)
}
