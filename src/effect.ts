/**
 * The same pipelines for Effect programs: services, layers, scopes and streams.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { defineGraph, makePipeline, streamTokens, tableRuntime } from "genarm/effect"
 * import { assertEquals } from "@std/assert"
 *
 * const program = Effect.gen(function* () {
 *   const graph = yield* defineGraph({ base: "abc" })
 *   const pipeline = yield* makePipeline(graph)
 *   const tokens = yield* Stream.runCollect(streamTokens(pipeline, "a", { maxTokens: 2 }))
 *   return tokens.map(({ text }) => text).join("")
 * })
 * const layer = tableRuntime({ abc: { vocabulary: ["a", "b"], next: () => [0, 1] } })
 * assertEquals(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer))), "bb")
 * ```
 *
 * @module
 */
import { Context, Effect, Stream } from "effect"
import { builtins } from "../plugins/mod.ts"
import { makePipeline as makePipelineWith, type Pipeline } from "./decode/pipeline.ts"
import type { GenerateOptions, Generation, Prompt, Score, TokenEvent } from "./decode/types.ts"
import { GenArmError, messageOf } from "./errors.ts"
import type { OnProgress } from "./files/progress.ts"
import { defineGraphWith } from "./graph/define_graph.ts"
import type { Graph, GraphSpec } from "./graph/graph.ts"
import { type Plugins, Registry as PluginRegistry } from "./plugin/registry.ts"
import type { Runtime } from "./runtime/runtime.ts"
import type { Scope } from "effect"

/** The plugins that graphs may name: the built-in ones, unless a program provides others. */
export const Registry: Context.Reference<Plugins> = Context.Reference<Plugins>(
  "genarm/effect/Registry",
  { defaultValue: () => builtins },
)

/** Checks a spec against the registry: see `defineGraph` of the main entry. */
export const defineGraph: (spec: GraphSpec) => Effect.Effect<Graph, GenArmError> = Effect
  .fnUntraced(
    function* (spec) {
      const plugins = yield* Registry
      return yield* Effect.try({ try: () => defineGraphWith(plugins, spec), catch: asGenArmError })
    },
  )

/** Opens a graph as a pipeline that lives as long as the scope. */
export const makePipeline: (
  graph: Graph,
  options?: { readonly threads?: number; readonly onProgress?: OnProgress },
) => Effect.Effect<Pipeline, GenArmError, Runtime | Scope.Scope> = Effect.fnUntraced(
  function* (graph, options) {
    const plugins = yield* Registry
    return yield* makePipelineWith(graph, options).pipe(
      Effect.provideService(PluginRegistry, plugins),
    )
  },
)

/** Writes one text; interruption ends it between two steps. */
export const generate: (
  pipeline: Pipeline,
  prompt: Prompt,
  options?: Omit<GenerateOptions, "signal">,
) => Effect.Effect<Generation, GenArmError> = Effect.fn("genarm.generate")(
  function* (pipeline, prompt, options = {}) {
    return yield* Effect.tryPromise({
      try: (signal) => pipeline.generate(prompt, { ...options, signal }),
      catch: asGenArmError,
    })
  },
)

/** Scores a continuation that is given. */
export const score: (
  pipeline: Pipeline,
  prompt: Prompt,
  continuation: string | readonly number[],
) => Effect.Effect<Score, GenArmError> = Effect.fn("genarm.score")(
  function* (pipeline, prompt, continuation) {
    return yield* Effect.tryPromise({
      try: () => pipeline.score(prompt, continuation),
      catch: asGenArmError,
    })
  },
)

/** The tokens of one text, each computed when it is pulled; ending the stream frees the caches. */
export function streamTokens(
  pipeline: Pipeline,
  prompt: Prompt,
  options: Omit<GenerateOptions, "signal"> = {},
): Stream.Stream<TokenEvent, GenArmError> {
  return Stream.suspend(() => {
    const stop = new AbortController()
    const stream = pipeline.stream(prompt, { ...options, signal: stop.signal })
    return Stream.fromAsyncIterable(stream, asGenArmError).pipe(
      Stream.ensuring(Effect.sync(() => stop.abort(new Error("the stream has ended")))),
    )
  })
}

function asGenArmError(error: unknown): GenArmError {
  if (error instanceof GenArmError) return error
  const reason = { _tag: "EngineFailed", engine: "genarm" } as const
  return new GenArmError(reason, `internal: ${messageOf(error)}`, { cause: error })
}

export type { Pipeline } from "./decode/pipeline.ts"
export type { Graph, GraphSpec } from "./graph/graph.ts"
export { cpu, cuda, webgpu } from "./runtime/onnx_runtime.ts"
export { Runtime } from "./runtime/runtime.ts"
export type { OpenModel, OpenRequest, RuntimeService } from "./runtime/runtime.ts"
export { type TableModel, tableRuntime } from "./runtime/table_runtime.ts"
export type { Engine, EngineCache, Row } from "./engine/engine.ts"
