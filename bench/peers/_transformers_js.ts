/** What the bench uses of `@huggingface/transformers`, whose own types are wider than its values. */
import { basename, dirname } from "node:path"
import process from "node:process"
import * as transformers from "@huggingface/transformers"
import { type HfSettings, sessionOptions } from "./_hf_settings.ts"

/** A tensor of the library. */
export interface HfTensor {
  readonly dims: readonly number[]
  readonly data: Float32Array
}

/** What `forward` takes and gives: tensors by the names of the graph. */
export type HfInputs = Record<string, unknown>
export type HfOutputs = Record<string, HfTensor>

/** A causal language model of the library. */
export interface HfModel {
  forward(inputs: HfInputs): Promise<HfOutputs>
  generate(options: Record<string, unknown>): Promise<unknown>
}

/** Opens an export that lies beside its `config.json`; nothing is fetched. */
export async function openHfModel(folder: string, settings: HfSettings): Promise<HfModel> {
  const { env, AutoModelForCausalLM } = transformers
  env.allowRemoteModels = false
  env.localModelPath = dirname(folder) + "/"
  const options = {
    dtype: "fp32", // the file is `model.onnx`, whatever is in it
    device: "cpu",
    subfolder: settings.subfolder,
    session_options: sessionOptions(settings),
  }
  const open = AutoModelForCausalLM.from_pretrained.bind(AutoModelForCausalLM) as unknown as (
    name: string,
    options: object,
  ) => Promise<HfModel>
  return await open(basename(folder), options)
}

/** Ids as `[1, length]`. */
export function idTensor(ids: readonly number[]): unknown {
  return new transformers.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length])
}

/** A mask of as many ones, `[1, length]`. */
export function maskTensor(length: number): unknown {
  return new transformers.Tensor("int64", new BigInt64Array(length).fill(1n), [1, length])
}

/** The caches of the next call, out of what a call gave. */
export function cachesOf(outputs: HfOutputs): HfInputs {
  const caches: HfInputs = {}
  for (const [name, tensor] of Object.entries(outputs)) {
    if (name.startsWith("present")) caches[name.replace("present", "past_key_values")] = tensor
  }
  return caches
}

/** The logits of the last position, `[vocabulary]`; a view. */
export function lastLogits({ logits: { dims, data } }: HfOutputs): Float32Array {
  return data.subarray(data.length - dims[dims.length - 1])
}

/** The library with its version and the runtime below it. */
export function hfVersion(): string {
  const { deno, bun, node } = process.versions
  const runtime = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${node}`
  return `transformers.js ${transformers.env.version} on ${runtime}`
}
