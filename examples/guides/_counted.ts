/** The CPU runtime, and a count of what models read: the cost of a strategy, the same on every machine. */
import { Effect, Layer } from "effect"
import { cpu, Runtime } from "genarm/effect"

/** What all models together have read. */
export interface Count {
  /** Texts that were run, once for each run. */
  rows: number
  /** Tokens in them. */
  tokens: number
}

/** A runtime that counts. */
export function counted(): { readonly runtime: Layer.Layer<Runtime>; readonly count: Count } {
  const count: Count = { rows: 0, tokens: 0 }
  const known = new Set<unknown>()
  const runtime = Layer.effect(
    Runtime,
    Effect.map(Runtime, (inner) =>
      Runtime.of({
        name: inner.name,
        open: (request) =>
          Effect.tap(inner.open(request), ({ engine }) =>
            Effect.sync(() => {
              if (known.has(engine)) return
              known.add(engine)
              const forward = engine.forward.bind(engine)
              engine.forward = (rows) => {
                count.rows += rows.length
                for (const { tokens } of rows) count.tokens += tokens.length
                return forward(rows)
              }
            })),
      })),
  ).pipe(Layer.provide(cpu))
  return { runtime, count }
}
