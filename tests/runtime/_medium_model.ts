/** A model of random weights that is just large enough for its quantised weights to be kept. */
import { randomStream } from "genarm/math"
import { cpSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readLlamaConfig } from "../../src/llama/config.ts"
import { llamaTensorShapes } from "../../src/llama/tensor_shapes.ts"
import { fixture } from "../_fixtures.ts"
import {
  encodeSafetensors,
  float32,
  type StoredTensor,
  type TemporaryFolder,
  temporaryFolder,
} from "../files/_altered.ts"

const json = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_act: "silu",
  vocab_size: 2048,
  hidden_size: 256,
  num_hidden_layers: 5,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 768,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
}

/** Writes it into a folder of its own. */
export function mediumModel(): TemporaryFolder {
  const folder = temporaryFolder()
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    cpSync(join(fixture("llama"), name), join(folder.path, name))
  }
  writeFileSync(join(folder.path, "config.json"), JSON.stringify(json))
  writeFileSync(join(folder.path, "model.safetensors"), encodeSafetensors(randomTensors()))
  return folder
}

function randomTensors(): Record<string, StoredTensor> {
  const random = randomStream(1)
  const tensors = [...llamaTensorShapes(readLlamaConfig(json, "medium"))].map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((product, n) => product * n))
    // Uniform with variance 1 / columns, so that activations keep their scale.
    const limit = Math.sqrt(3 / shape[shape.length - 1])
    if (shape.length === 1) data.fill(1)
    else for (let i = 0; i < data.length; i++) data[i] = (random.nextUint32() / 2 ** 31 - 1) * limit
    return [name, float32(shape, data)] as const
  })
  return Object.fromEntries(tensors)
}
