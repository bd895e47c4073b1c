/**
 * The linear modules of a Llama layer under their Hugging Face names: what low-rank adapters are made
 * for. Each is a run of rows of one of the stacked products that the forward pass computes.
 */
import type { LlamaConfig } from "./config.ts"
import type { Projection } from "./forward.ts"

/** A linear module of a layer. */
export type LinearModule =
  | "q_proj"
  | "k_proj"
  | "v_proj"
  | "o_proj"
  | "gate_proj"
  | "up_proj"
  | "down_proj"

/** The modules of each product, in the order of its rows. */
export const stackedModules: Readonly<Record<Projection, readonly LinearModule[]>> = {
  queryKeyValue: ["q_proj", "k_proj", "v_proj"],
  output: ["o_proj"],
  gateUp: ["gate_proj", "up_proj"],
  down: ["down_proj"],
}

/** All modules of a layer. */
export const linearModules: readonly LinearModule[] = Object.values(stackedModules).flat()

/** The full name of a module, such as `model.layers.0.self_attn.q_proj`. */
export function moduleName(layer: number, module: LinearModule): string {
  const block = ["gate_proj", "up_proj", "down_proj"].includes(module) ? "mlp" : "self_attn"
  return `model.layers.${layer}.${block}.${module}`
}

/** The shape `[rows, columns]` of a module's weight: `columns` inputs, `rows` outputs. */
export function moduleShape(
  config: LlamaConfig,
  module: LinearModule,
): readonly [rows: number, columns: number] {
  const { hiddenSize: hidden, intermediateSize: inner, headSize } = config
  switch (module) {
    case "q_proj":
      return [config.heads * headSize, hidden]
    case "k_proj":
    case "v_proj":
      return [config.keyValueHeads * headSize, hidden]
    case "o_proj":
      return [hidden, config.heads * headSize]
    case "gate_proj":
    case "up_proj":
      return [inner, hidden]
    case "down_proj":
      return [hidden, inner]
  }
}
