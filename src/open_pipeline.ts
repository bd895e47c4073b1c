/** The door for plain JavaScript: from a graph to a pipeline in one `await`. */
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import { makePipeline, type Pipeline } from "./decode/pipeline.ts"
import { aborted, GenArmError, throwIfAborted } from "./errors.ts"
import type { OnProgress } from "./files/progress.ts"
import { defineGraphWith } from "./graph/define_graph.ts"
import { type Graph, type GraphSpec, isGraph } from "./graph/graph.ts"
import { decodeAt, printValue } from "./plugin/options.ts"
import type { Plugins } from "./plugin/registry.ts"
import { Registry } from "./plugin/registry.ts"
import { cpu, cuda, webgpu } from "./runtime/onnx_runtime.ts"
import type { Runtime } from "./runtime/runtime.ts"
import { progressLine } from "./show/progress_line.ts"

/** How a pipeline is opened. */
export interface OpenOptions {
  /** Where models run: `"cpu"` (the default), `"webgpu"`, `"cuda"`, or a layer of one's own. */
  readonly runtime?: "cpu" | "webgpu" | "cuda" | Layer.Layer<Runtime>
  /** CPU threads in all, divided among the graph's models; the machine's where absent. */
  readonly threads?: number
  /** Aborts the opening; requests take signals of their own. */
  readonly signal?: AbortSignal
  /** Hears of downloads and loading; a line on the terminal's stderr where absent. */
  readonly onProgress?: OnProgress
  /**
   * Services that the effects of its plugins may use. In Effect programs `makePipeline` takes those of
   * the program.
   *
   * @example
   * ```ts
   * import { Context, Effect } from "effect"
   * import { defineGraph, defineReward, greedy, openPipeline, tableRuntime } from "genarm"
   * import { assertEquals } from "@std/assert"
   *
   * class Taste extends Context.Service<Taste, { readonly of: (text: string) => number }>()("Taste") {}
   * const taste = defineReward({
   *   name: "taste",
   *   open: () => ({
   *     candidates: 2,
   *     scoreCandidates: ({ texts }) => Effect.map(Taste, (taste) => texts.map(taste.of)),
   *   }),
   * })
   * const graph = defineGraph({
   *   base: "ab",
   *   rewards: { taste: { reward: taste(), weight: 9 } },
   *   sampler: greedy(),
   * })
   * await using pipeline = await openPipeline(graph, {
   *   runtime: tableRuntime({ ab: { vocabulary: ["a", "b"], next: () => [2, 1] } }),
   *   services: Context.make(Taste, { of: (text) => text.endsWith("b") ? 1 : 0 }),
   * })
   * assertEquals((await pipeline.generate("a", { maxTokens: 2 })).text, "bb")
   * ```
   */
  readonly services?: Context.Context<never>
}

const runtimes = { cpu, webgpu, cuda }

/** Layers are built once for all pipelines of the program, so that they share open models. */
const layers = Layer.makeMemoMapUnsafe()

const optionsSchema = Schema.Struct({
  runtime: Schema.optionalKey(Schema.Unknown),
  threads: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  signal: Schema.optionalKey(Schema.Unknown),
  onProgress: Schema.optionalKey(Schema.Unknown),
  services: Schema.optionalKey(Schema.Unknown),
})

/** Opens a graph whose plugins may be named in `plugins`; a bare spec is checked first. */
export async function openPipelineWith(
  plugins: Plugins,
  spec: Graph | GraphSpec,
  options: OpenOptions = {},
): Promise<Pipeline> {
  decodeAt(optionsSchema, options, [], "InvalidOption")
  const graph = isGraph(spec) ? spec : defineGraphWith(plugins, spec)
  const { signal } = options
  const layer = runtimeOf(options.runtime)
  const services = servicesOf(options.services)
  throwIfAborted(signal)
  const line = options.onProgress === undefined ? progressLine() : undefined
  const onProgress = options.onProgress ?? line!.report
  const scope = Scope.makeUnsafe()
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  try {
    const opening = Effect.gen(function* () {
      const context = yield* Layer.buildWithMemoMap(layer, layers, scope)
      return yield* makePipeline(graph, {
        onProgress,
        ...options.threads !== undefined && { threads: options.threads },
      }).pipe(Effect.provide(context))
    })
    const pipeline = await Effect.runPromise(
      opening.pipe(
        Effect.provideService(Registry, plugins),
        Scope.provide(scope),
        Effect.provideContext(services),
      ),
      signal && { signal },
    )
    return new ScopedPipeline(pipeline, close)
  } catch (error) {
    await close()
    if (signal?.aborted) throw aborted(signal)
    throw error
  } finally {
    line?.done()
  }
}

/** A pipeline that owns the scope it was opened in. */
class ScopedPipeline implements Pipeline {
  readonly graph: Graph
  readonly generate: Pipeline["generate"]
  readonly generateAll: Pipeline["generateAll"]
  readonly stream: Pipeline["stream"]
  readonly score: Pipeline["score"]
  readonly #closeScope: () => Promise<void>
  #closing: Promise<void> | undefined

  constructor(pipeline: Pipeline, closeScope: () => Promise<void>) {
    this.graph = pipeline.graph
    this.generate = pipeline.generate.bind(pipeline)
    this.generateAll = pipeline.generateAll.bind(pipeline)
    this.stream = pipeline.stream.bind(pipeline)
    this.score = pipeline.score.bind(pipeline)
    this.#closeScope = closeScope
  }

  close(): Promise<void> {
    return this.#closing ??= this.#closeScope()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function runtimeOf(runtime: OpenOptions["runtime"] = "cpu"): Layer.Layer<Runtime> {
  if (Layer.isLayer(runtime)) return runtime as Layer.Layer<Runtime>
  if (typeof runtime === "string" && Object.hasOwn(runtimes, runtime)) {
    return runtimes[runtime as keyof typeof runtimes]
  }
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["runtime"] },
    `expected the runtime "cpu", "webgpu", "cuda" or a layer, found ${JSON.stringify(runtime)}`,
  )
}

function servicesOf(services: OpenOptions["services"] = Context.empty()): Context.Context<never> {
  if (Context.isContext(services)) return services as Context.Context<never>
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["services"] },
    `expected services as a Context, as Context.make(Service, implementation) gives one, found ${
      printValue(services)
    }`,
  )
}
