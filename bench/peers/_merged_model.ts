/** A model with a low-rank adapter merged in, for programs that cannot run the adapter beside its base. */
import { copyFile, mkdir } from "node:fs/promises"
import { join } from "node:path"
import { writeSafetensors } from "../../src/files/write_safetensors.ts"
import { type LowRank, readAdapter } from "../../src/llama/adapter.ts"
import { linearModules, moduleName } from "../../src/llama/linear_modules.ts"
import { openNamedWeights } from "./_named_weights.ts"

/** Writes `target` from the model in `base` and the adapter in the folder `adapter`. */
export async function writeMergedModel(
  base: string,
  adapter: string,
  target: string,
): Promise<void> {
  await using weights = await openNamedWeights(base)
  const { layers } = await readAdapter(adapter, weights.config, { model: base })
  const changes = new Map<string, LowRank>()
  layers.forEach((layer, index) => {
    for (const module of linearModules) {
      const change = layer[module]
      if (change !== undefined) changes.set(`${moduleName(index, module)}.weight`, change)
    }
  })
  const tensors = await Promise.all(weights.names.map(async (name) => {
    const data = await weights.read(name)
    const change = changes.get(name)
    if (change !== undefined) addProduct(data, change)
    return { name, shape: weights.shape(name), data }
  }))
  await mkdir(target, { recursive: true })
  await writeSafetensors(join(target, "model.safetensors"), tensors, { format: "pt" })
  for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
    await copyFile(join(base, file), join(target, file))
  }
}

/** `weight [rows, columns] += scale * b [rows, rank] a [rank, columns]` */
function addProduct(weight: Float32Array, { a, b, rank, scale }: LowRank): void {
  const columns = a.length / rank
  for (let row = 0; row * columns < weight.length; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0
      for (let i = 0; i < rank; i++) sum += b[row * rank + i] * a[i * columns + column]
      weight[row * columns + column] += scale * sum
    }
  }
}
