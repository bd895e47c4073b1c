/** Work that several callers want at once and that is done once. */
import { aborted, throwIfAborted } from "../errors.ts"

/** Called with bytes loaded and bytes in all. */
export type Report = (loaded: number, total: number | undefined) => void

interface Shared {
  readonly result: Promise<boolean>
  readonly controller: AbortController
  readonly listeners: Set<Report>
}

const running = new Map<string, Shared>()

/**
 * Joins the work under way for `key`, or starts it. A caller that aborts leaves; the work itself is
 * aborted when the last one has left, and that one waits for its files to be closed.
 */
export async function share(
  key: string,
  work: (signal: AbortSignal, report: Report) => Promise<boolean>,
  signal: AbortSignal | undefined,
  report: Report,
): Promise<boolean> {
  throwIfAborted(signal)
  let shared = running.get(key)
  // Work that is being aborted is nobody's any more.
  while (shared?.controller.signal.aborted) {
    await shared.result.catch(() => {})
    throwIfAborted(signal)
    shared = running.get(key)
  }
  shared ??= start(key, work)
  const { result, controller, listeners } = shared
  let leave: (reason: unknown) => void = () => {}
  const left = new Promise<never>((_, reject) => leave = reject)
  left.catch(() => {})
  // A listener that throws fails its own call, not the others'.
  const listener: Report = (loaded, total) => {
    try {
      report(loaded, total)
    } catch (error) {
      listeners.delete(listener)
      leave(error)
    }
  }
  const onAbort = () => leave(aborted(signal as AbortSignal))
  listeners.add(listener)
  signal?.addEventListener("abort", onAbort, { once: true })
  try {
    return await Promise.race([result, left])
  } finally {
    signal?.removeEventListener("abort", onAbort)
    listeners.delete(listener)
    if (listeners.size === 0 && running.get(key) === shared) {
      controller.abort(signal?.reason)
      await result.catch(() => {})
    }
  }
}

function start(
  key: string,
  work: (signal: AbortSignal, report: Report) => Promise<boolean>,
): Shared {
  const controller = new AbortController()
  const listeners = new Set<Report>()
  const result = work(controller.signal, (loaded, total) => {
    for (const listener of [...listeners]) listener(loaded, total)
  }).finally(() => running.delete(key))
  result.catch(() => {})
  const shared: Shared = { result, controller, listeners }
  running.set(key, shared)
  return shared
}
