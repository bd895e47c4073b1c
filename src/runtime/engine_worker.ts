/** What runs in an engine's worker. */
import { parentPort } from "node:worker_threads"
import { serveEngine } from "../engine/worker_host.ts"
import { type EngineSpec, openEngine } from "./open_engine.ts"

if (parentPort !== null) {
  serveEngine<EngineSpec>(parentPort, (spec, onRead) => openEngine(spec, { onRead }))
}
