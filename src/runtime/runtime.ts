/**
 * The runtime service: what opens models. Which device computes, or whether a device computes at
 * all, is decided by the layer that provides it; nothing above knows.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Engine } from "../engine/engine.ts"
import type { GenArmError } from "../errors.ts"
import type { ModelRef } from "../files/model_ref.ts"
import type { OnProgress } from "../files/progress.ts"
import type { Tokenizer } from "../files/tokenizer.ts"

/** A request to a runtime. */
export interface OpenRequest {
  /** Which weights, and how. */
  readonly ref: ModelRef
  /**
   * Adapters that the program runs on the same weights, `ref.adapter` among them or not: all are
   * rows of one engine. Requests for one engine must name the same ones.
   */
  readonly adapters?: readonly string[]
  /** CPU threads in all, to be divided among the companions; those of the machine where absent. */
  readonly threads?: number
  /** Models that step at the same time as this one, itself included; this one where absent. */
  readonly companions?: readonly Companion[]
  /** Whether another of them runs in the main thread, so that this one should run elsewhere. */
  readonly beside?: boolean
  /** Hears of downloads and loading. */
  readonly onProgress?: OnProgress
}

/** A model that steps together with others. */
export interface Companion {
  /** Which weights, and how. */
  readonly ref: ModelRef
  /** Rows that it runs in each step of one text. */
  readonly rows: number
}

/** An opened model. */
export interface OpenModel {
  /** Rows in, log-probabilities out, or the values of `labels`. */
  readonly engine: Engine
  /** Text to ids and back. */
  readonly tokenizer: Tokenizer
  /** Ids that end a text. */
  readonly eos: readonly number[]
  /**
   * What a model with a value head gives values of, `engine.width` names in their order: such a model
   * scores texts and writes none. Absent for language models.
   */
  readonly labels?: readonly string[]
  /** What the engine calls the adapter of the request, for `openCache`; absent where it has none. */
  readonly adapter?: string
  /**
   * What a step of one row costs, in reads of a float32 weight: an estimate for dividing threads and
   * for drafting. Absent where nothing is known.
   */
  readonly stepCost?: number
}

/** What a runtime does. */
export interface RuntimeService {
  /** Shown in errors: `cpu`, `webgpu`, `table` ... */
  readonly name: string
  /**
   * Opens a model, or shares one that is open already with the same weights, precision, adapters
   * and threads. It is released when the last scope that opened it closes.
   */
  readonly open: (request: OpenRequest) => Effect.Effect<OpenModel, GenArmError, Scope.Scope>
}

/** @internal */
export const RuntimeKey: Context.ServiceClass<Runtime, "genarm/Runtime", RuntimeService> = Context
  .Service<Runtime, RuntimeService>()("genarm/Runtime")

/**
 * The runtime of a program, as an Effect service. Layers that provide it: `cpu`, `webgpu`, `cuda`,
 * and `tableRuntime` for models small enough to be written down.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Runtime, tableRuntime } from "genarm/effect"
 * import { assertEquals } from "@std/assert"
 *
 * const layer = tableRuntime({ coin: { vocabulary: ["heads", "tails"], next: () => [0.5, 0.5] } })
 * const program = Effect.gen(function* () {
 *   const runtime = yield* Runtime
 *   const { engine } = yield* runtime.open({ ref: { model: "coin" } })
 *   return engine.vocabularySize
 * })
 * assertEquals(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer))), 2)
 * ```
 */
export class Runtime extends RuntimeKey {}
