/**
 * A reward model in a worker, by shared memory alone: a request is a number that goes up, and so is
 * its answer, so that either side may block until the other is done. This is how a program has to do
 * it whose library asks for scores synchronously.
 */
import { Worker } from "node:worker_threads"
import type { HfSettings } from "./_hf_settings.ts"

/** What both sides see. */
export interface RewardMemory {
  /** Request, answer, number of ids, and whether a text begins: 1, goes on: 0, or all ends: -1. */
  readonly control: SharedArrayBuffer
  readonly ids: SharedArrayBuffer
  /** `[vocabulary]` */
  readonly logits: SharedArrayBuffer
}

/** Places in the control words. */
export const at = { request: 0, answer: 1, count: 2, kind: 3 } as const

/** The program's side. */
export interface RewardLink {
  readonly logits: Float32Array
  /** Starts to compute; `begins` forgets the text so far. */
  ask(ids: readonly number[], begins: boolean): void
  /** Blocks until the logits are there. */
  wait(): void
  close(): Promise<void>
}

/** Starts the worker, and waits until its model is open. */
export async function openRewardLink(
  folder: string,
  settings: HfSettings,
  { vocabulary, context }: { readonly vocabulary: number; readonly context: number },
): Promise<RewardLink> {
  const memory: RewardMemory = {
    control: new SharedArrayBuffer(16),
    ids: new SharedArrayBuffer(4 * context),
    logits: new SharedArrayBuffer(4 * vocabulary),
  }
  const control = new Int32Array(memory.control)
  const ids = new Int32Array(memory.ids)
  const worker = new Worker(new URL("./_reward_worker.ts", import.meta.url), {
    workerData: { folder, settings, memory },
  })
  const ended = new Promise<void>((resolve) => worker.on("exit", () => resolve()))
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve())
    worker.once("error", reject)
  })
  const ask = (kind: number, tokens: readonly number[]) => {
    ids.set(tokens)
    control[at.count] = tokens.length
    control[at.kind] = kind
    Atomics.add(control, at.request, 1)
    Atomics.notify(control, at.request)
  }
  return {
    logits: new Float32Array(memory.logits),
    ask: (tokens, begins) => ask(begins ? 1 : 0, tokens),
    wait() {
      const request = Atomics.load(control, at.request)
      for (;;) {
        const answer = Atomics.load(control, at.answer)
        if (answer === request) return
        Atomics.wait(control, at.answer, answer)
      }
    },
    async close() {
      ask(-1, [])
      await ended
    },
  }
}
