/** A worker whose engine takes the worker down, in the way that `spec.end` says. */
import process from "node:process"
import { parentPort } from "node:worker_threads"
import type { EngineCache } from "../../src/engine/engine.ts"
import { serveEngine } from "../../src/engine/worker_host.ts"

/** How the worker ends. */
export interface DyingSpec {
  readonly name: string
  readonly end: "exit in forward" | "throw in forward" | "exit in start" | "exit in close"
}

serveEngine<DyingSpec>(parentPort!, ({ name, end }) => {
  if (end === "exit in start") process.exit(4)
  const cache: EngineCache = { length: 0, fork: () => cache, truncate() {}, close() {} }
  return Promise.resolve({
    name,
    vocabularySize: 10,
    width: 10,
    contextLength: 10,
    openCache: () => cache,
    forward: () => {
      if (end === "exit in forward") process.exit(3)
      // Outside of every promise, so that nothing in the worker can catch it.
      setTimeout(() => {
        throw new Error("the worker broke")
      })
      return new Promise(() => {})
    },
    close: () => {
      if (end === "exit in close") process.exit(5)
      return Promise.resolve()
    },
  })
})
