/** Opening models through a runtime, in scopes that tests close when they like. */
import { Effect, Exit, Layer, Scope } from "effect"
import { type OpenModel, type OpenRequest, Runtime } from "genarm/effect"

/** A runtime at work; models live until their scope, or the runtime itself, is closed. */
export interface OpenRuntime extends AsyncDisposable {
  readonly name: string
  /** Opens a model; the second value closes the scope it was opened in. */
  open(request: OpenRequest): Promise<[model: OpenModel, close: () => Promise<void>]>
}

/** Builds a layer. */
export async function openRuntime(layer: Layer.Layer<Runtime>): Promise<OpenRuntime> {
  const whole = Scope.makeUnsafe()
  const close = (scope: Scope.Closeable) => Effect.runPromise(Scope.close(scope, Exit.void))
  const context = await Effect.runPromise(Layer.buildWithScope(layer, whole))
  const runtime = await Effect.runPromise(Effect.provide(Runtime, context))
  return {
    name: runtime.name,
    open: async (request) => {
      const scope = Scope.makeUnsafe()
      const model = await Effect.runPromise(runtime.open(request).pipe(Scope.provide(scope)))
      return [model, () => close(scope)]
    },
    [Symbol.asyncDispose]: () => close(whole),
  }
}
