/**
 * From a folder to a running engine on one device: a graph written here where the weights are
 * safetensors of the Llama family, the folder's own export otherwise.
 */
import { join } from "node:path"
import { InferenceSession } from "onnxruntime-node"
import { DeltaEngine } from "../engine/delta_engine.ts"
import type { Engine } from "../engine/engine.ts"
import { GrowingEngine } from "../engine/growing_engine.ts"
import { GenArmError, messageOf, throwIfAborted } from "../errors.ts"
import { type ModelFolder, openModelFolder, openTensors } from "../files/model_folder.ts"
import { type LlamaAdapter, readAdapter } from "../llama/adapter.ts"
import { isLlamaFamily, readLlamaConfig } from "../llama/config.ts"
import { inferenceGraph } from "../llama/inference_graph.ts"
import { keepsCaches } from "../llama/keeps_caches.ts"
import { architectureOf, hasValueHead } from "../llama/value_head.ts"
import type { Precision } from "../llama/weights.ts"
import { openWeights } from "./open_weights.ts"

/** A device of ONNX Runtime. */
export type Device = "cpu" | "webgpu" | "cuda"

/** What is to be opened; plain data, so that a worker can be asked for it. */
export interface EngineSpec {
  /** The model as the graph names it, for errors. */
  readonly name: string
  readonly folder: string
  readonly precision: Precision
  readonly device: Device
  readonly threads: number
  /** Folders of low-rank adapters to hold beside the weights; the engine knows them by these. */
  readonly adapters?: readonly string[]
}

/** Opens the engine; `onRead` hears bytes of weights read so far and in all. */
export async function openEngine(
  spec: EngineSpec,
  options: {
    readonly signal?: AbortSignal
    readonly onRead?: (loaded: number, total: number) => void
  } = {},
): Promise<Engine> {
  const folder = await openModelFolder(spec.folder)
  if (folder.hasTensors && (isLlamaFamily(folder.config) || folder.exports.length === 0)) {
    return await openTensorEngine(spec, folder, options)
  }
  if (hasValueHead(folder.config)) {
    throw new GenArmError(
      { _tag: "UnsupportedModel", model: spec.name },
      `${spec.name} is a ready export of ${architectureOf(folder.config)}: expected ` +
        "model.safetensors of a Llama-family model for a value head; what classifies whole texts is " +
        "asked by classifier({ classify }), with a pipeline of transformers.js",
    )
  }
  if (spec.adapters !== undefined && spec.adapters.length > 0) {
    throw new GenArmError(
      { _tag: "UnsupportedModel", model: spec.name },
      `${spec.name} is a ready export, and takes no adapter such as ${
        spec.adapters[0]
      }: expected ` +
        "model.safetensors of a Llama-family model, or a model with the adapter merged in",
    )
  }
  const file = join(folder.path, exportOf(spec, folder))
  throwIfAborted(options.signal)
  const session = await createSession(
    spec,
    () => InferenceSession.create(file, sessionOptions(spec)),
  )
  try {
    return new GrowingEngine(spec.name, session, folder.config)
  } catch (error) {
    await session.release()
    throw error
  }
}

async function openTensorEngine(
  spec: EngineSpec,
  folder: ModelFolder,
  options: {
    readonly signal?: AbortSignal
    readonly onRead?: (loaded: number, total: number) => void
  },
): Promise<Engine> {
  const config = readLlamaConfig(folder.config, spec.name)
  const store = await openTensors(folder.path)
  const { onRead, signal } = options
  const { name, adapters = [] } = spec
  try {
    const opened: LlamaAdapter[] = []
    for (const adapter of adapters) {
      opened.push(await readAdapter(adapter, config, { model: name, ...signal && { signal } }))
    }
    const weights = await openWeights(config, folder.path, store, {
      model: name,
      precision: spec.precision,
      ...signal && { signal },
      ...onRead && { onRead: (bytes) => onRead(bytes, store.bytes) },
    })
    const { model, externalData } = inferenceGraph(config, weights, opened)
    throwIfAborted(signal)
    const session = await createSession(
      spec,
      () => InferenceSession.create(model, { ...sessionOptions(spec), externalData }),
    )
    const sharing = adapters.filter((_, index) => keepsCaches(opened[index]))
    return new DeltaEngine(name, session, config, adapters, sharing)
  } finally {
    await store.close()
  }
}

/** The export that holds weights as asked for. */
function exportOf({ name, precision }: EngineSpec, folder: ModelFolder): string {
  const names: Record<Precision, readonly string[]> = {
    f32: ["onnx/model.onnx"],
    q8: ["onnx/model_quantized.onnx", "onnx/model_int8.onnx"],
    q4: ["onnx/model_q4.onnx"],
  }
  const found = names[precision].find((file) => folder.exports.includes(file))
  if (found !== undefined) return found
  throw new GenArmError(
    { _tag: "ModelNotFound", model: name },
    `${folder.path} has no weights that can be opened as ${precision}: expected model.safetensors ` +
      `of a Llama-family model, or ${names[precision].join(" or ")}` +
      (folder.exports.length > 0 ? `; found ${folder.exports.join(", ")}` : ""),
  )
}

function sessionOptions(spec: EngineSpec): InferenceSession.SessionOptions {
  return {
    executionProviders: spec.device === "cpu" ? ["cpu"] : [spec.device, "cpu"],
    intraOpNumThreads: spec.threads,
    // Failures reach the caller as errors; the runtime need not print them too.
    logSeverityLevel: 4,
    // Threads wait for each other between two operations faster when they spin; for longer, or between
    // runs, they would take the cores from everybody else.
    extra: {
      session: {
        intra_op: { allow_spinning: "1", spin_duration_us: "100" },
        force_spinning_stop: "1",
      },
    },
  }
}

async function createSession(
  spec: EngineSpec,
  create: () => Promise<InferenceSession>,
): Promise<InferenceSession> {
  try {
    return await create()
  } catch (error) {
    if (spec.device === "cpu") {
      throw new GenArmError(
        { _tag: "EngineFailed", engine: spec.name },
        `${spec.name}: ONNX Runtime could not open the model: ${messageOf(error)}`,
        { cause: error },
      )
    }
    throw new GenArmError(
      { _tag: "RuntimeUnavailable", runtime: spec.device },
      `the ${spec.device} runtime cannot be used here: ${advice[spec.device]}, or open the ` +
        `pipeline with { runtime: "cpu" }. ONNX Runtime says: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

const advice: Record<Exclude<Device, "cpu">, string> = {
  cuda: "it needs an NVIDIA GPU with CUDA 12 and cuDNN 9 on Linux x64, and the CUDA provider of " +
    "onnxruntime-node, which its install script fetches (npm rebuild onnxruntime-node, or " +
    "deno approve-scripts npm:onnxruntime-node)",
  webgpu: "it needs a GPU with a Vulkan, Metal or Direct3D 12 driver",
}
