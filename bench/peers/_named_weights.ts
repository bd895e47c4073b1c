/** The weights of a Llama's folder by their Hugging Face names, for writers of other formats. */
import { openModelFolder, openTensors } from "../../src/files/model_folder.ts"
import { type LlamaConfig, readLlamaConfig } from "../../src/llama/config.ts"

/** A folder that is open for reading. */
export interface NamedWeights extends AsyncDisposable {
  readonly config: LlamaConfig
  readonly names: readonly string[]
  shape(name: string): readonly number[]
  /** A whole tensor, row-major. */
  read(name: string): Promise<Float32Array>
}

/** Opens the folder of a model of the Llama family. */
export async function openNamedWeights(path: string): Promise<NamedWeights> {
  const folder = await openModelFolder(path)
  const config = readLlamaConfig(folder.config, path)
  const store = await openTensors(folder.path)
  return {
    config,
    names: store.names,
    shape: (name) => store.shape(name),
    async read(name) {
      const values = new Float32Array(store.shape(name).reduce((product, n) => product * n, 1))
      await store.readInto(name, values, 0)
      return values
    },
    [Symbol.asyncDispose]: () => store.close(),
  }
}
