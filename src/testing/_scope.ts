/** Opening graphs and pipelines for one check, and closing them whatever it finds. */
import { Effect, Exit, Layer, Scope } from "effect"
import { builtins } from "../../plugins/builtins.ts"
import { type OpenGraph, openGraph } from "../decode/open_graph.ts"
import { makePipeline, type Pipeline } from "../decode/pipeline.ts"
import { defineGraphWith } from "../graph/define_graph.ts"
import type { Graph, GraphSpec } from "../graph/graph.ts"
import { Registry } from "../plugin/registry.ts"
import type { Runtime } from "../runtime/runtime.ts"
import type { GenArmError } from "../errors.ts"
import type { ConformanceOptions } from "./conformance.ts"
import { makeWorld } from "./world.ts"

/** Where a check runs. */
export interface Place {
  readonly runtime: Layer.Layer<Runtime>
  readonly base: GraphSpec["base"]
  readonly prompt: string
  readonly seed: number
  /** Caches that are open now; 0 where the runtime is not the made-up one, which alone tells. */
  openCaches(): number
}

/** A made-up place, or the one that the options describe. */
export function makePlace(options: ConformanceOptions): Place {
  const world = makeWorld()
  const { runtime = world.runtime, base = world.base, prompt = "a", seed = 1 } = options
  return { runtime, base, prompt, seed, openCaches: () => world.openCaches() }
}

/** A graph of these parts on the place's base. */
export function graphOf({ base }: Place, parts: Omit<GraphSpec, "base">): Graph {
  return defineGraphWith(builtins, { base, ...parts })
}

/** Opens the models of a graph while `use` runs. */
export function withGraph<A>(
  place: Place,
  parts: Omit<GraphSpec, "base">,
  use: (graph: OpenGraph) => Promise<A>,
): Promise<A> {
  return inScope(place, openGraph(graphOf(place, parts)), use)
}

/** Opens a pipeline while `use` runs. */
export function withPipeline<A>(
  place: Place,
  parts: Omit<GraphSpec, "base">,
  use: (pipeline: Pipeline) => Promise<A>,
): Promise<A> {
  return inScope(place, makePipeline(graphOf(place, parts)), use)
}

async function inScope<O, A>(
  { runtime }: Place,
  opening: Effect.Effect<O, GenArmError, Runtime | Scope.Scope>,
  use: (opened: O) => Promise<A>,
): Promise<A> {
  const scope = Scope.makeUnsafe()
  try {
    // Built in the scope: what opens the models is there as long as they are.
    const all = Effect.gen(function* () {
      const context = yield* Layer.build(runtime)
      return yield* opening.pipe(Effect.provide(context))
    })
    const opened = await Effect.runPromise(
      all.pipe(Effect.provideService(Registry, builtins), Scope.provide(scope)),
    )
    return await use(opened)
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
