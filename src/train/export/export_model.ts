/**
 * A trained model as a folder in the layout of Hugging Face, for `openPipeline` and for Python alike:
 * configuration, tokenizer, weights. The weights come last, so that a folder with weights has all the
 * rest, and each file is there whole or not at all.
 */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError } from "../../errors.ts"
import { copyTokenizer } from "../../files/copy_tokenizer.ts"
import { openModelFolder } from "../../files/model_folder.ts"
import { isSamePlace } from "../../files/same_place.ts"
import { writeFileAtomic } from "../../files/write_file.ts"
import { type FloatType, writeSafetensors } from "../../files/write_safetensors.ts"
import type { LlamaConfig } from "../../llama/config.ts"
import {
  generationConfigJson,
  llamaConfigJson,
  type NewModelFacts,
  retypedConfigText,
  type TorchType,
} from "../../llama/export_config.ts"
import { llamaTensorShapes } from "../../llama/tensor_shapes.ts"
import type { NamedTensor } from "../named_tensor.ts"
import { checkTensors } from "./check_tensors.ts"

/** A model that began with random weights. */
export interface NewModel extends NewModelFacts {
  /** The folder that has its tokenizer. */
  readonly tokenizerFolder: string
}

/** What to write where; one of `baseFolder` and `newModel` says what else the folder needs. */
export interface ModelExport {
  /** The folder, made where absent. */
  readonly out: string
  /** The model's dimensions. */
  readonly config: LlamaConfig
  /** All tensors of the model under the names of Hugging Face, and no other. */
  readonly tensors: readonly NamedTensor[]
  /** How weights are stored; `"F32"` where absent. */
  readonly dtype?: FloatType
  /** The folder of the model that training began with: its configuration and tokenizer are kept. */
  readonly baseFolder?: string
  /** What a model that began with random weights needs instead. */
  readonly newModel?: NewModel
}

const torchTypes: Record<FloatType, TorchType> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
}

/**
 * Writes the folder.
 *
 * `InvalidOption` for tensors that are missing, too many, of a wrong shape or not finite, and for an
 * `out` that is the base's folder; `UnsupportedModel` where the configuration cannot be written;
 * `WriteFailed` where the disk refuses.
 */
export async function exportModel(options: ModelExport): Promise<void> {
  const { out, config, tensors, dtype = "F32", baseFolder, newModel } = options
  checkTensors(tensors, llamaTensorShapes(config))
  const type = torchTypes[dtype]
  if (type === undefined) {
    throw invalid("dtype", `expected dtype "F32", "F16" or "BF16", found ${JSON.stringify(dtype)}`)
  }
  if (baseFolder !== undefined && newModel === undefined) {
    if (await isSamePlace(out, baseFolder)) {
      throw invalid("out", `expected another folder than the base's own, found ${out}`)
    }
    // Both are JSON, or this throws.
    const base = await openModelFolder(baseFolder)
    const text = await readFile(join(baseFolder, "config.json"), "utf8")
    await writeFileAtomic(
      join(out, "config.json"),
      retypedConfigText(text, config, { type, model: baseFolder }),
    )
    if (Object.keys(base.generationConfig).length > 0) {
      const name = "generation_config.json"
      await writeFileAtomic(join(out, name), await readFile(join(baseFolder, name)))
    }
    await copyTokenizer(baseFolder, out)
  } else if (newModel !== undefined && baseFolder === undefined) {
    await writeJson(join(out, "config.json"), llamaConfigJson(config, { ...newModel, type }))
    await writeJson(join(out, "generation_config.json"), generationConfigJson(newModel))
    if (!await isSamePlace(out, newModel.tokenizerFolder)) {
      await copyTokenizer(newModel.tokenizerFolder, out)
    }
  } else {
    throw invalid("baseFolder", "expected either baseFolder or newModel, found both or neither")
  }
  await writeSafetensors(
    join(out, "model.safetensors"),
    tensors.map((tensor) => ({ ...tensor, type: dtype })),
    // transformers 4 refuses files that do not say so.
    { format: "pt" },
  )
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(value, undefined, 2) + "\n")
}

function invalid(option: string, message: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path: [option] }, message)
}
