/** A window on the engines that a runtime opens. */
import { Effect, Layer } from "effect"
import { type Engine, type OpenRequest, Runtime } from "genarm/effect"

/** The runtime, telling of each request and of the engine that it gives. */
export function tellingOpened(
  runtime: Layer.Layer<Runtime>,
  tell: (engine: Engine, request: OpenRequest) => void,
): Layer.Layer<Runtime> {
  return Layer.effect(
    Runtime,
    Effect.map(Runtime, ({ name, open }) =>
      Runtime.of({
        name,
        open: (request) =>
          Effect.tap(open(request), ({ engine }) => Effect.sync(() => tell(engine, request))),
      })),
  ).pipe(Layer.provide(runtime))
}

type Forward = Engine["forward"]

/** The runtime, whose engines run each call within `run`. */
export function runningWithin(
  runtime: Layer.Layer<Runtime>,
  run: (engine: Engine, rows: Parameters<Forward>[0], forward: Forward) => ReturnType<Forward>,
): Layer.Layer<Runtime> {
  const known = new Set<Engine>()
  return tellingOpened(runtime, (engine) => {
    if (known.has(engine)) return
    known.add(engine)
    const forward = engine.forward.bind(engine)
    engine.forward = (rows) => run(engine, rows, forward)
  })
}

/** The runtime, telling of the rows of each call before an engine runs them. */
export function tellingRows(
  runtime: Layer.Layer<Runtime>,
  tell: (engine: Engine, rows: Parameters<Forward>[0]) => void,
): Layer.Layer<Runtime> {
  return runningWithin(runtime, (engine, rows, forward) => {
    tell(engine, rows)
    return forward(rows)
  })
}
