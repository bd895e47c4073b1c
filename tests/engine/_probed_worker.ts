/** A worker that tells, through shared memory, what its engine's caches hold. */
import { parentPort } from "node:worker_threads"
import type { DeltaEngine } from "../../src/engine/delta_engine.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { serveEngine } from "../../src/engine/worker_host.ts"
import { type EngineSpec, openEngine } from "../../src/runtime/open_engine.ts"
import { heldBySlab } from "./_engines.ts"

/** A spec with room for two numbers. */
export interface ProbedSpec extends EngineSpec {
  /** `[held when a cache was last opened, slots in use when a call last began]` */
  readonly held: SharedArrayBuffer
}

function probed(engine: Engine, held: Int32Array): Engine {
  return {
    name: engine.name,
    vocabularySize: engine.vocabularySize,
    width: engine.width,
    contextLength: engine.contextLength,
    openCache: () => {
      held[0] = heldBySlab(engine)
      return engine.openCache()
    },
    forward: (rows) => {
      held[1] = (engine as DeltaEngine).slab.open
      return engine.forward(rows)
    },
    close: () => engine.close(),
  }
}

serveEngine<ProbedSpec>(
  parentPort!,
  async (spec) => probed(await openEngine(spec), new Int32Array(spec.held)),
)
