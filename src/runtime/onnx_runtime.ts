/** The runtimes that run on ONNX Runtime: one for each device. */
import { Effect, Layer, RcMap } from "effect"
import { availableParallelism } from "node:os"
import type { Engine } from "../engine/engine.ts"
import { openWorkerEngine } from "../engine/worker_engine.ts"
import { GenArmError, messageOf, throwIfAborted } from "../errors.ts"
import { locateAdapter, locateModel } from "../files/locate_model.ts"
import { openModelFolder } from "../files/model_folder.ts"
import { openTokenizer, type Tokenizer } from "../files/tokenizer.ts"
import { readLlamaConfig } from "../llama/config.ts"
import { hasValueHead } from "../llama/value_head.ts"
import { type Device, type EngineSpec, openEngine } from "./open_engine.ts"
import { type OpenModel, type OpenRequest, Runtime } from "./runtime.ts"
import { divideThreads, stepCost } from "./thread_shares.ts"

/** Runs models on the CPU: the default. */
export const cpu: Layer.Layer<Runtime> = onnxRuntime("cpu")

/** Runs models on a GPU through WebGPU (Vulkan, Metal or Direct3D 12). */
export const webgpu: Layer.Layer<Runtime> = onnxRuntime("webgpu")

/** Runs models on an NVIDIA GPU. */
export const cuda: Layer.Layer<Runtime> = onnxRuntime("cuda")

/** Everything that makes two requests the same model. */
interface ModelKey {
  readonly spec: EngineSpec
  readonly beside: boolean
}

function onnxRuntime(device: Device): Layer.Layer<Runtime> {
  return Layer.effect(
    Runtime,
    Effect.gen(function* () {
      // Requests under way, by key: the map's lookup sees only the key.
      const requests = new Map<string, ModelKey & Pick<OpenRequest, "onProgress">>()
      const models = yield* RcMap.make({
        lookup: (key: string) =>
          Effect.acquireRelease(
            attempt((signal) => openModel(requests.get(key)!, signal)),
            ({ engine }) => Effect.promise(() => engine.close()),
            { interruptible: true },
          ),
      })
      return Runtime.of({
        name: device,
        open: (request) =>
          Effect.gen(function* () {
            const { ref, threads, onProgress } = request
            const { folder, adapters } = yield* attempt((signal) => locate(request, signal))
            const held = [...new Set(adapters.values())].sort()
            const precision = ref.weights ?? "f32"
            const share = yield* attempt((signal) => threadsOf(request, signal))
            const sharing = threads === undefined ? "shared" : share
            const key = JSON.stringify([folder, precision, sharing, ...held])
            const beside = request.beside === true
            requests.set(key, {
              spec: {
                name: ref.model,
                folder,
                precision,
                device,
                adapters: held,
                threads: share,
              },
              beside: beside && device === "cpu",
              ...onProgress && { onProgress },
            })
            const model = yield* RcMap.get(models, key)
            if (ref.adapter === undefined) return model
            return { ...model, adapter: adapters.get(ref.adapter)! }
          }),
      })
    }),
  )
}

/** The model's share of the threads. */
async function threadsOf(
  { ref, companions = [], threads = availableParallelism(), onProgress }: OpenRequest,
  signal: AbortSignal,
): Promise<number> {
  const { model, revision, weights = "f32" } = ref
  const own = companions.findIndex(({ ref }) =>
    ref.model === model && ref.revision === revision && (ref.weights ?? "f32") === weights
  )
  if (companions.length < 2 || own < 0) return threads
  const options = { signal, ...onProgress && { onProgress } }
  const costs: number[] = []
  for (const companion of companions) {
    const folder = await locateModel(companion.ref, options)
    costs.push(await stepCost(folder, companion.ref.weights ?? "f32", companion.rows) ?? 1)
  }
  return divideThreads(costs, threads)[own]
}

/** The folder of the model, and those of all adapters by their names in the request. */
async function locate(
  { ref, adapters = [], onProgress }: OpenRequest,
  signal: AbortSignal,
): Promise<{ readonly folder: string; readonly adapters: ReadonlyMap<string, string> }> {
  const options = { signal, ...onProgress && { onProgress } }
  const folder = await locateModel(ref, options)
  const found = new Map<string, string>()
  for (const adapter of ref.adapter === undefined ? adapters : [ref.adapter, ...adapters]) {
    found.set(adapter, await locateAdapter(adapter, options))
  }
  return { folder, adapters: found }
}

/** Plain asynchronous code as an effect whose errors are all `GenArmError`. */
function attempt<A>(run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, GenArmError> {
  return Effect.tryPromise({
    try: async (signal) => await run(signal),
    catch: (error) =>
      error instanceof GenArmError ? error : new GenArmError(
        { _tag: "EngineFailed", engine: "runtime" },
        `internal: ${messageOf(error)}`,
        { cause: error },
      ),
  })
}

async function openModel(
  { spec, beside, onProgress }: ModelKey & Pick<OpenRequest, "onProgress">,
  signal: AbortSignal,
): Promise<OpenModel> {
  const folder = await openModelFolder(spec.folder)
  const tokenizer = await openTokenizer(spec.folder)
  const onRead = (loaded: number, total: number) =>
    onProgress?.({ stage: "load", model: spec.name, file: "weights", loaded, total })
  const engine = beside
    ? await openWorkerEngine(new URL("./engine_worker.ts", import.meta.url), spec, {
      signal,
      onRead,
    })
    : await openEngine(spec, { signal, onRead })
  try {
    throwIfAborted(signal) // nobody waits any more, and nobody else would close it
    checkTokenizer(spec, engine, tokenizer)
  } catch (error) {
    await engine.close()
    throw error
  }
  const cost = await stepCost(spec.folder, spec.precision)
  const eos = endIds(folder, tokenizer, engine.vocabularySize)
  const labels = hasValueHead(folder.config)
    ? readLlamaConfig(folder.config, spec.name).labels
    : undefined
  return {
    ...{ engine, tokenizer, eos },
    ...labels && { labels },
    ...cost !== undefined && { stepCost: cost },
  }
}

/** A tokenizer may name fewer ids than the model has rows, never more. */
function checkTokenizer(spec: EngineSpec, engine: Engine, tokenizer: Tokenizer): void {
  if (tokenizer.size <= engine.vocabularySize) return
  throw new GenArmError(
    { _tag: "InvalidModelFile", file: `${spec.folder}/tokenizer.json` },
    `${spec.name}: tokenizer.json names ${tokenizer.size} ids, and the model has ` +
      `${engine.vocabularySize}: they belong to different models`,
  )
}

/** Ids that end a text: of `generation_config.json`, else of `config.json`, and the tokenizer's. */
function endIds(
  folder: { readonly config: object; readonly generationConfig: object },
  tokenizer: Tokenizer,
  vocabularySize: number,
): number[] {
  const listed = (config: object): unknown =>
    (config as { eos_token_id?: unknown }).eos_token_id ?? undefined
  const ids = [listed(folder.generationConfig) ?? listed(folder.config), tokenizer.eos].flat()
  const valid = (id: unknown): id is number =>
    Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize
  return [...new Set(ids.filter(valid))]
}
