/**
 * A low-rank adapter as a folder in the layout of PEFT, which Python loads on top of the base by
 * `PeftModel.from_pretrained`. https://huggingface.co/docs/peft/developer_guides/checkpoint
 */
import { join } from "node:path"
import { GenArmError } from "../../errors.ts"
import { adapterFiles } from "../../files/adapter_folder.ts"
import { writeFileAtomic } from "../../files/write_file.ts"
import { type FloatType, writeSafetensors } from "../../files/write_safetensors.ts"
import { type LinearModule, linearModules, moduleName } from "../../llama/linear_modules.ts"
import type { NamedTensor } from "../named_tensor.ts"
import { checkTensors } from "./check_tensors.ts"

/** What to write where. */
export interface AdapterExport {
  /** The folder, made where absent. */
  readonly out: string
  /** Where Python finds the base: a name of the hub, or a path. */
  readonly baseName: string
  /** Rows of A and columns of B. */
  readonly rank: number
  /** The change to a weight is `alpha / rank * B A`. */
  readonly alpha: number
  /** The adapted modules, e.g. `["q_proj", "v_proj"]`; the same in every layer. */
  readonly targets: readonly LinearModule[]
  /**
   * `model.layers.0.self_attn.q_proj.lora_A.weight` `[rank, inputs]`, `...lora_B.weight`
   * `[outputs, rank]` and so on; with or without PEFT's prefix `base_model.model.`.
   */
  readonly tensors: readonly NamedTensor[]
  /** How weights are stored; `"F32"` where absent. */
  readonly dtype?: FloatType
}

const prefix = "base_model.model."
const pattern = /^model\.layers\.(\d+)\./

/**
 * Writes the folder: `adapter_config.json`, then `adapter_model.safetensors`.
 *
 * `InvalidOption` for tensors that are missing for some layer, too many, of a wrong shape or not
 * finite; `WriteFailed` where the disk refuses.
 */
export async function exportAdapter(options: AdapterExport): Promise<void> {
  const { out, baseName, rank, alpha, targets, dtype = "F32" } = options
  if (!Number.isSafeInteger(rank) || rank < 1) {
    throw invalid("rank", `expected rank as a positive integer, found ${rank}`)
  }
  if (!Number.isFinite(alpha) || alpha <= 0) {
    throw invalid("alpha", `expected alpha as a positive number, found ${alpha}`)
  }
  const tensors = options.tensors.map((tensor) => ({
    ...tensor,
    name: tensor.name.startsWith(prefix) ? tensor.name.slice(prefix.length) : tensor.name,
  }))
  checkTensors(tensors, expectedShapes(tensors, rank, targets))
  const config = {
    base_model_name_or_path: baseName,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: "LORA",
    r: rank,
    revision: null,
    target_modules: targets,
    task_type: "CAUSAL_LM",
  }
  await writeFileAtomic(
    join(out, adapterFiles.config),
    JSON.stringify(config, undefined, 2) + "\n",
  )
  await writeSafetensors(
    join(out, adapterFiles.tensors),
    tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name, type: dtype })),
    { format: "pt" },
  )
}

/** A and B of every target in every layer; the outer sizes are whatever the tensors have. */
function expectedShapes(
  tensors: readonly NamedTensor[],
  rank: number,
  targets: readonly LinearModule[],
): Map<string, readonly number[]> {
  if (targets.length === 0) throw invalid("targets", "expected at least one target module")
  if (new Set(targets).size < targets.length) {
    throw invalid("targets", `expected every target once, found ${targets.join(", ")}`)
  }
  for (const target of targets) {
    if (!linearModules.includes(target)) {
      const known = linearModules.join(", ")
      throw invalid("targets", `expected targets among ${known}, found ${JSON.stringify(target)}`)
    }
  }
  const found = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const highest = Math.max(0, ...tensors.map(({ name }) => Number(pattern.exec(name)?.[1] ?? 0)))
  // A name may claim any number of layers; each needs two tensors to be there.
  const layers = Math.min(highest + 1, tensors.length + 1)
  const shapes = new Map<string, readonly number[]>()
  for (let layer = 0; layer < layers; layer++) {
    for (const target of targets) {
      const name = moduleName(layer, target)
      shapes.set(`${name}.lora_A.weight`, [rank, found.get(`${name}.lora_A.weight`)?.[1] ?? NaN])
      shapes.set(`${name}.lora_B.weight`, [found.get(`${name}.lora_B.weight`)?.[0] ?? NaN, rank])
    }
  }
  return shapes
}

function invalid(option: string, message: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path: [option] }, message)
}
