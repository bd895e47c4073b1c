/**
 * The worker's side of `_reward_link.ts`. It runs the export with onnxruntime-node itself, as
 * transformers.js would: inside a worker of Deno that library looks for the one of browsers.
 */
import { join } from "node:path"
import { parentPort, workerData } from "node:worker_threads"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { at, type RewardMemory } from "./_reward_link.ts"
import { type HfSettings, sessionOptions } from "./_hf_settings.ts"

const { folder, settings, memory } = workerData as {
  folder: string
  settings: HfSettings
  memory: RewardMemory
}
const control = new Int32Array(memory.control)
const ids = new Int32Array(memory.ids)
const logits = new Float32Array(memory.logits)
const file = join(folder, settings.subfolder, "model.onnx")
const session = await InferenceSession.create(file, sessionOptions(settings))
const cacheNames = session.inputNames.filter((name) => name.startsWith("past_key_values"))
parentPort!.postMessage("open")

let caches: Record<string, Tensor> = {}
let length = 0
for (let done = 0;; done++) {
  Atomics.wait(control, at.request, done)
  const kind = control[at.kind]
  if (kind === -1) break
  if (kind === 1) {
    caches = emptyCaches()
    length = 0
  }
  const tokens = BigInt64Array.from(ids.subarray(0, control[at.count]), BigInt)
  length += tokens.length
  const outputs = await session.run({
    input_ids: new Tensor("int64", tokens, [1, tokens.length]),
    attention_mask: new Tensor("int64", new BigInt64Array(length).fill(1n), [1, length]),
    ...caches,
  })
  for (const name of cacheNames) caches[name] = outputs[name.replace("past_key_values", "present")]
  const scores = outputs.logits.data as Float32Array
  logits.set(scores.subarray(scores.length - logits.length))
  Atomics.store(control, at.answer, done + 1)
  Atomics.notify(control, at.answer)
}
await session.release()
parentPort!.close()

function emptyCaches(): Record<string, Tensor> {
  const empty: Record<string, Tensor> = {}
  for (const meta of session.inputMetadata) {
    if (!meta.isTensor || !cacheNames.includes(meta.name)) continue
    const [, heads, , size] = meta.shape as number[] // [batch, heads, positions, size]
    empty[meta.name] = new Tensor("float32", new Float32Array(0), [1, heads, 0, size])
  }
  return empty
}
