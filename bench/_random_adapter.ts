/** Low-rank adapters of random weights, laid out as PEFT does: what a step costs is all that counts. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { randomStream } from "genarm/math"
import { adapterFiles } from "../src/files/adapter_folder.ts"
import { openTensors } from "../src/files/model_folder.ts"
import { type TensorToWrite, writeSafetensors } from "../src/files/write_safetensors.ts"
import type { RandomModel } from "./_random_model.ts"

/** As the training scripts of GenARM have it. */
export const adapterRank = 8
const targets = ["q_proj", "k_proj", "v_proj"]

/** Writes an adapter on a model folder, into a folder of its own. */
export async function writeRandomAdapter(model: string, seed: number): Promise<RandomModel> {
  const folder = await mkdtemp(join(tmpdir(), "genarm-bench-"))
  const remove = () => rm(folder, { recursive: true, force: true })
  const store = await openTensors(model)
  try {
    const random = randomStream(seed)
    const uniform = (size: number, limit: number) =>
      Float32Array.from({ length: size }, () => (random.nextUint32() / 2 ** 31 - 1) * limit)
    const tensors: TensorToWrite[] = []
    for (const name of store.names) {
      const module = name.replace(/\.weight$/, "")
      if (!targets.some((target) => module.endsWith(target))) continue
      const [rows, columns] = store.shape(name)
      const named = (matrix: "A" | "B") => `base_model.model.${module}.lora_${matrix}.weight`
      const [a, b] = [[adapterRank, columns], [rows, adapterRank]]
      tensors.push(
        { name: named("A"), shape: a, data: uniform(a[0] * a[1], Math.sqrt(3 / columns)) },
        { name: named("B"), shape: b, data: uniform(b[0] * b[1], 0.05) },
      )
    }
    await writeSafetensors(join(folder, adapterFiles.tensors), tensors)
    const settings = { peft_type: "LORA", task_type: "CAUSAL_LM", r: adapterRank, lora_alpha: 16 }
    await writeFile(
      join(folder, adapterFiles.config),
      JSON.stringify({ ...settings, target_modules: targets, bias: "none" }),
    )
  } catch (error) {
    await remove()
    throw error
  } finally {
    await store.close()
  }
  return { folder, [Symbol.asyncDispose]: remove }
}
