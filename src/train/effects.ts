/** Training as an effect, over a registry of plugins. */
import { type Context, Effect } from "effect"
import { GenArmError, messageOf } from "../errors.ts"
import type { Plugins } from "../plugin/registry.ts"
import { type TrainingRun, type TrainOptions, trainWith } from "./train.ts"
import type { TrainSpec } from "./train_spec.ts"

/** Trains as `train` of the main entry does. */
export type TrainEffect = (
  spec: TrainSpec,
  options?: Omit<TrainOptions, "signal">,
) => Effect.Effect<TrainingRun, GenArmError>

/**
 * Composes `train` with the reference that holds the objectives. Interruption ends the training
 * before its next step, and has happened when the training has let go of its files.
 */
export function trainEffect(registry: Context.Reference<Plugins>): TrainEffect {
  return Effect.fn("genarm.train")(function* (spec, options = {}) {
    const plugins = yield* registry
    return yield* Effect.callback<TrainingRun, GenArmError>((resume) => {
      const stop = new AbortController()
      const ended = trainWith(plugins, spec, { ...options, signal: stop.signal }).then(
        (run) => resume(Effect.succeed(run)),
        (error) => resume(Effect.fail(asGenArmError(error))),
      )
      return Effect.promise(() => {
        stop.abort(new Error("the program was interrupted"))
        return ended
      })
    })
  })
}

/** What a program's own data or callback throws is the cause of an error of the SDK. */
function asGenArmError(error: unknown): GenArmError {
  if (error instanceof GenArmError) return error
  const reason = { _tag: "EngineFailed", engine: "train" } as const
  return new GenArmError(reason, `the training failed: ${messageOf(error)}`, { cause: error })
}
