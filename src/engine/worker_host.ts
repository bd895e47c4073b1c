/** The worker's side: drives an engine by messages until it is told to close. */
import process from "node:process"
import type { MessagePort } from "node:worker_threads"
import { closed, type Engine, type EngineCache } from "./engine.ts"
import {
  type EngineSizes,
  packError,
  type RemoteRow,
  type Reply,
  type Request,
} from "./worker_protocol.ts"

/** Serves `open(spec)` on a port; ends the worker after `close`. */
export function serveEngine<Spec>(
  port: MessagePort,
  open: (spec: Spec, onRead: (loaded: number, total: number) => void) => Promise<Engine>,
): void {
  const reply = (message: Reply) => port.postMessage(message)
  const caches = new Map<number, EngineCache>()
  let engine: Engine | undefined

  const handle = async (request: Request<Spec>): Promise<void> => {
    switch (request.kind) {
      case "start":
        try {
          engine = await open(
            request.spec,
            (loaded, total) => reply({ kind: "progress", loaded, total }),
          )
          return reply({ kind: "started", ...sizesOf(engine) })
        } catch (error) {
          return reply({ kind: "failed", error: packError(error) })
        }
      case "open":
        caches.set(request.cache, engine!.openCache(request.adapter))
        return
      case "fork":
        caches.set(request.cache, caches.get(request.from)!.fork({ adapter: request.adapter }))
        return
      case "truncate":
        caches.get(request.cache)?.truncate(request.length)
        return
      case "free":
        caches.get(request.cache)?.close()
        caches.delete(request.cache)
        return
      case "forward":
        return reply(await forward(engine!, caches, request.rows, request.output))
      case "close":
        await engine?.close()
        reply({ kind: "closed" })
        // Leaves the message time to go out; ends this worker only.
        setTimeout(() => process.exit(0), 10)
    }
  }

  // One after the other: a later message never overtakes a running forward.
  let last: Promise<void> = Promise.resolve()
  port.on("message", (request: Request<Spec>) => {
    last = last.then(() => handle(request)).catch((error) => {
      // Only a request that is waited for may be answered; of the others the cache will be missed.
      if (request.kind === "forward" || request.kind === "close") {
        reply({ kind: "failed", error: packError(error) })
      }
    })
  })
}

function sizesOf(engine: Engine): EngineSizes {
  const { vocabularySize, width, contextLength, adapters = [], bytesPerToken } = engine
  return {
    vocabularySize,
    width,
    contextLength,
    adapters,
    sharing: adapters.filter((adapter) => engine.sharesCaches?.(adapter) === true),
    ...bytesPerToken !== undefined && { bytesPerToken },
  }
}

/** Runs rows so that each has its own outcome; calls of one turn share a batch. */
async function forward(
  engine: Engine,
  caches: ReadonlyMap<number, EngineCache>,
  rows: readonly RemoteRow[],
  output: SharedArrayBuffer,
): Promise<Reply> {
  const outcomes = await Promise.allSettled(rows.map(async ({ cache, tokens, want }) => {
    const held = caches.get(cache)
    if (held === undefined) throw closed("this cache")
    return (await engine.forward([{ cache: held, tokens, want }]))[0]
  }))
  const shared = new Float32Array(output)
  let offset = 0
  const errors = outcomes.map((outcome, index) => {
    if (outcome.status === "fulfilled") shared.set(outcome.value, offset)
    const { tokens, want } = rows[index]
    offset += (want === "all" ? tokens.length : 1) * engine.width
    return outcome.status === "fulfilled" ? null : packError(outcome.reason)
  })
  return { kind: "ran", errors }
}
