/**
 * Low-rank adapters of a Llama, read from PEFT folders (`adapter_config.json` and
 * `adapter_model.safetensors`) and checked against the model they are to run on.
 */
import { GenArmError, throwIfAborted } from "../errors.ts"
import { adapterFiles, type AdapterFolder, openAdapterFolder } from "../files/adapter_folder.ts"
import { type AdapterConfig, type LowRankSetting, readAdapterConfig } from "./adapter_config.ts"
import type { LlamaConfig } from "./config.ts"
import { type LinearModule, linearModules, moduleName, moduleShape } from "./linear_modules.ts"

/** What is added to one module: `scale * x A^T B^T`. */
export interface LowRank extends LowRankSetting {
  /** A, `[rank, columns]`. */
  readonly a: Float32Array
  /** B, `[rows, rank]`. */
  readonly b: Float32Array
}

/** An adapter in memory. */
export interface LlamaAdapter {
  /** By layer and module; absent where the adapter leaves a module alone. */
  readonly layers: readonly Readonly<Partial<Record<LinearModule, LowRank>>>[]
}

/**
 * Reads an adapter. Fails with `UnsupportedModel` where its settings, or its shapes, are not for
 * `model`, whose dimensions `config` holds, and with `InvalidModelFile` where its files are damaged.
 */
export async function readAdapter(
  folder: string,
  config: LlamaConfig,
  options: { readonly model: string; readonly signal?: AbortSignal },
): Promise<LlamaAdapter> {
  const opened = await openAdapterFolder(folder)
  try {
    const settings = readAdapterConfig(opened.config, folder)
    const reading: Reading = { ...opened, settings, llama: config, model: options.model }
    checkNames(reading)
    const layers: LlamaAdapter["layers"][number][] = []
    for (let layer = 0; layer < config.layers; layer++) {
      throwIfAborted(options.signal)
      layers.push(await readLayer(reading, layer))
    }
    return { layers }
  } finally {
    await opened.store.close()
  }
}

/** `base_model.model.` and the module's name, then which of the two matrices it is. */
const tensorName = (module: string, matrix: "A" | "B") =>
  `base_model.model.${module}.lora_${matrix}.weight`

/** What an adapter is read from, and what for. */
interface Reading extends AdapterFolder {
  readonly settings: AdapterConfig
  readonly llama: LlamaConfig
  /** The model's name, for errors. */
  readonly model: string
}

/** Every tensor must be a matrix of a module that exists and that the settings name. */
function checkNames(reading: Reading): void {
  const { settings, store, model, llama: { layers } } = reading
  const expected = new Set<string>()
  for (let layer = 0; layer < layers; layer++) {
    for (const module of linearModules) {
      const name = moduleName(layer, module)
      if (settings.settingOf(name) === undefined) continue
      expected.add(tensorName(name, "A")).add(tensorName(name, "B"))
    }
  }
  if (expected.size === 0) {
    throw foreign(reading, `its target_modules name no linear module of ${model}`)
  }
  for (const name of store.names) {
    if (expected.has(name)) continue
    const layer = Number(/^base_model\.model\.model\.layers\.(\d+)\./.exec(name)?.[1] ?? 0)
    throw foreign(
      reading,
      layer >= layers
        ? `it adapts layer ${layer}, and ${model} has ${layers} layers, 0 to ${layers - 1}: it ` +
          "belongs to another model"
        : `its ${adapterFiles.tensors} holds "${name}", which is no matrix that its ` +
          `${adapterFiles.config} asks for: expected such as "${[...expected][0]}"`,
    )
  }
  const missing = [...expected].find((name) => !store.has(name))
  if (missing !== undefined) {
    throw foreign(
      reading,
      `its ${adapterFiles.config} asks for "${missing}", and its ${adapterFiles.tensors} has none: ` +
        "the two files, or the adapter and the model, do not belong together",
    )
  }
}

async function readLayer(
  reading: Reading,
  layer: number,
): Promise<LlamaAdapter["layers"][number]> {
  const found: Partial<Record<LinearModule, LowRank>> = {}
  for (const module of linearModules) {
    const name = moduleName(layer, module)
    const setting = reading.settings.settingOf(name)
    if (setting === undefined) continue
    const [rows, columns] = moduleShape(reading.llama, module)
    found[module] = {
      ...setting,
      a: await readMatrix(reading, tensorName(name, "A"), [setting.rank, columns]),
      b: await readMatrix(reading, tensorName(name, "B"), [rows, setting.rank]),
    }
  }
  return found
}

async function readMatrix(
  reading: Reading,
  name: string,
  expected: readonly [rows: number, columns: number],
): Promise<Float32Array> {
  const { path, file, store, model } = reading
  const found = store.shape(name)
  if (String(found) !== String(expected)) {
    throw foreign(
      reading,
      `expected "${name}" of shape [${expected}] for ${model}, found [${found}]: the adapter ` +
        `belongs to another model, or its ${adapterFiles.config} to another adapter`,
    )
  }
  const values = new Float32Array(expected[0] * expected[1])
  await store.readInto(name, values, 0)
  // Quantised products after it would lose a NaN instead of passing it on.
  if (values.every(Number.isFinite)) return values
  throw new GenArmError(
    { _tag: "InvalidModelFile", file },
    `${path}: expected numbers in "${name}", found NaN or infinity: it is damaged`,
  )
}

/** The error of an adapter that does not fit the model. */
function foreign({ path, model }: Reading, what: string): GenArmError {
  return new GenArmError(
    { _tag: "UnsupportedModel", model: path },
    `the adapter ${path} cannot run on ${model}: ${what}`,
  )
}
