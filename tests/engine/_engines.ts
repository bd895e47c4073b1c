/** Engines over the fixtures and over the trained weights, for the tests of this folder. */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { DeltaEngine } from "../../src/engine/delta_engine.ts"
import type { Engine } from "../../src/engine/engine.ts"
import type { GrowingEngine } from "../../src/engine/growing_engine.ts"
import { openWorkerEngine } from "../../src/engine/worker_engine.ts"
import { type EngineSpec, openEngine } from "../../src/runtime/open_engine.ts"

/** A small model that was trained, beside the project where it is present. */
export const trained = fileURLToPath(
  new URL("../../../shared/data/models/stories260K", import.meta.url),
)

/** Why tests of the trained model are skipped; `false` when it is there. */
export const noTrained: string | false = existsSync(trained)
  ? false
  : "the trained model stories260K is not beside the project"

/** What is opened of a folder. */
export function specOf(folder: string, changes: Partial<EngineSpec> = {}): EngineSpec {
  return { name: "tiny", folder, precision: "f32", device: "cpu", threads: 1, ...changes }
}

/** Opens a folder in this thread. */
export function open(folder: string, changes?: Partial<EngineSpec>): Promise<Engine> {
  return openEngine(specOf(folder, changes))
}

/** Opens a folder in a worker. */
export function openBeside(folder: string, changes?: Partial<EngineSpec>): Promise<Engine> {
  const module = new URL("../../src/runtime/engine_worker.ts", import.meta.url)
  return openWorkerEngine(module, specOf(folder, changes))
}

/** Slots in use, and bytes that caches take in them and elsewhere. */
export function heldBySlab(engine: Engine): number {
  const { slab, cacheBytes } = engine as DeltaEngine
  return slab.open + cacheBytes
}

/** Caches that were opened and not closed. */
export function heldByCount(engine: Engine): number {
  return (engine as GrowingEngine).openCaches
}
