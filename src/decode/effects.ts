/** The calls of a pipeline as effects, and the composition with a registry of plugins. */
import { Context, Effect, type Scope, Stream } from "effect"
import { GenArmError, messageOf } from "../errors.ts"
import type { OnProgress } from "../files/progress.ts"
import { defineGraphWith } from "../graph/define_graph.ts"
import type { Graph, GraphSpec } from "../graph/graph.ts"
import { type Plugins, Registry as PluginRegistry } from "../plugin/registry.ts"
import type { Runtime } from "../runtime/runtime.ts"
import { makePipeline, type Pipeline } from "./pipeline.ts"
import type { GenerateOptions, Generation, Prompt, Score, TokenEvent } from "./types.ts"

/** What an entry that comes with plugins offers to Effect programs. */
export interface EffectDoor {
  /** The plugins that graphs may name: the entry's own, unless a program provides others. */
  readonly Registry: Context.Reference<Plugins>
  /** Checks a spec against the registry. */
  readonly defineGraph: (spec: GraphSpec) => Effect.Effect<Graph, GenArmError>
  /** Opens a graph as a pipeline that lives as long as the scope. */
  readonly makePipeline: (
    graph: Graph,
    options?: { readonly threads?: number; readonly onProgress?: OnProgress },
  ) => Effect.Effect<Pipeline, GenArmError, Runtime | Scope.Scope>
}

/** Composes the door with its plugins. */
export function effectDoor(plugins: Plugins): EffectDoor {
  const Registry = Context.Reference<Plugins>("genarm/effect/Registry", {
    defaultValue: () => plugins,
  })
  return {
    Registry,
    defineGraph: Effect.fnUntraced(function* (spec: GraphSpec) {
      const known = yield* Registry
      return yield* Effect.try({ try: () => defineGraphWith(known, spec), catch: asGenArmError })
    }),
    makePipeline: Effect.fnUntraced(function* (graph: Graph, options) {
      const known = yield* Registry
      return yield* makePipeline(graph, options).pipe(
        Effect.provideService(PluginRegistry, known),
      )
    }),
  }
}

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
