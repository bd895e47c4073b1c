/** Written-down models whose runs are counted: a run reads any number of tokens at once. */
import { Effect, Layer } from "effect"
import { Runtime } from "genarm/effect"
import { type Table, watch, type Watched } from "../../decode/_pipelines.ts"

/** Models whose runs, and the tokens that they read, can be counted. */
export interface Counted extends Watched {
  /** Calls, by model. */
  readonly runs: Record<string, number>
  /** Tokens read, by model. */
  readonly read: Record<string, number>
  /** Takes note of what was counted, and begins anew. */
  take(): { readonly runs: Record<string, number>; readonly read: Record<string, number> }
}

/** A runtime of written-down models that counts. */
export function countRuns(models: Readonly<Record<string, Table>>): Counted {
  const watched = watch(models)
  const runs: Record<string, number> = {}
  const read: Record<string, number> = {}
  const known = new Set<unknown>()
  const runtime = Layer.effect(
    Runtime,
    Effect.gen(function* () {
      const inner = yield* Runtime
      return Runtime.of({
        name: inner.name,
        open: (request) =>
          Effect.tap(inner.open(request), ({ engine }) =>
            Effect.sync(() => {
              if (known.has(engine)) return
              known.add(engine)
              const { name } = engine
              const forward = engine.forward.bind(engine)
              engine.forward = (rows) => {
                runs[name] = (runs[name] ?? 0) + rows.length
                for (const { tokens } of rows) read[name] = (read[name] ?? 0) + tokens.length
                return forward(rows)
              }
            })),
      })
    }),
  ).pipe(Layer.provide(watched.runtime))
  return {
    ...watched,
    runtime,
    runs,
    read,
    take() {
      const taken = { runs: { ...runs }, read: { ...read } }
      for (const counts of [runs, read]) for (const name in counts) delete counts[name]
      return taken
    },
  }
}
