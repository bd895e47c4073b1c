/**
 * Joining calls into batches. While one batch runs, further calls wait; then rows of similar length
 * run together. Sequences that step at the same time thus share each reading of the weights, and a
 * call that fails takes no other with it.
 */
import { setImmediate } from "node:timers/promises"
import type { OwnedRow } from "./check_rows.ts"
import { closed } from "./engine.ts"
import type { OwnedCache } from "./owned_cache.ts"

/** What a runner gives for one row: its log-probabilities, or why there are none. */
export type RowResult = Float32Array | Error

/** A call's place in the queue, one entry for each of its rows. */
interface Pending<R> {
  readonly rows: readonly R[]
  readonly results: RowResult[]
  missing: number
  readonly settle: () => void
}

/** Padding a batch may hold before it is split: this share of its tokens ... */
const paddingShare = 0.5
/** ... or this many tokens, below which a second run costs more than the padding. */
const paddingTokens = 16

/** A queue in front of one `run` that must not be entered twice. */
export class Batcher<R extends OwnedRow<OwnedCache>> {
  readonly #run: (rows: readonly R[]) => Promise<RowResult[]>
  readonly #othersActive: (rows: number) => boolean
  #queue: Pending<R>[] = []
  #running: Promise<void> | undefined

  /**
   * @param run Runs rows of similar length; fails only as a whole where no row can be blamed.
   * @param othersActive Whether sequences beyond so many rows are open, and may be about to step.
   */
  constructor(
    run: (rows: readonly R[]) => Promise<RowResult[]>,
    othersActive: (rows: number) => boolean,
  ) {
    this.#run = run
    this.#othersActive = othersActive
  }

  /** Queues the rows of one call; fails with the first of their errors, and then takes all back. */
  submit(rows: readonly R[]): Promise<Float32Array[]> {
    return new Promise((resolve, reject) => {
      const results: RowResult[] = new Array(rows.length)
      const lengths = rows.map(({ cache }) => cache.length)
      for (const { cache } of rows) cache.isRunning = true
      const settle = () => {
        for (const { cache } of rows) cache.isRunning = false
        const error = results.find((result) => result instanceof Error)
        if (error === undefined) return resolve(results as Float32Array[])
        rows.forEach(({ cache }, i) => {
          if (!cache.isClosed) cache.truncate(lengths[i])
        })
        reject(error)
      }
      if (rows.length === 0) return settle()
      this.#queue.push({ rows, results, missing: rows.length, settle })
      this.#running ??= this.#drain()
    })
  }

  /** Settles when nothing is queued or running. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      await undefined // calls made in the same turn come together
      const queued = this.#queue.reduce((sum, call) => sum + call.rows.length, 0)
      // One turn of the event loop lets sequences that were just served ask for their next step.
      if (this.#othersActive(queued)) await setImmediate()
      const calls = this.#queue
      this.#queue = []
      for (const batch of batches(calls)) await this.#runBatch(batch)
    }
    this.#running = undefined
  }

  async #runBatch(batch: readonly Slot<R>[]): Promise<void> {
    // A cache closed while its call waited may have lost its memory to another.
    const open = batch.filter((slot) => !rowOf(slot).cache.isClosed)
    for (const slot of batch) if (!open.includes(slot)) settle(slot, closed("this cache"))
    if (open.length === 0) return
    let results: RowResult[]
    try {
      results = await this.#run(open.map(rowOf))
    } catch (error) {
      results = open.map(() => error as Error)
    }
    open.forEach((slot, i) => settle(slot, results[i]))
  }
}

/** One row of one call. */
interface Slot<R> {
  readonly call: Pending<R>
  readonly index: number
}

function rowOf<R>({ call, index }: Slot<R>): R {
  return call.rows[index]
}

function settle<R>({ call, index }: Slot<R>, result: RowResult): void {
  call.results[index] = result
  if (--call.missing === 0) call.settle()
}

/** Sorts rows by length and cuts where padding them to the longest would cost more than a run. */
function batches<R extends OwnedRow<OwnedCache>>(calls: readonly Pending<R>[]): Slot<R>[][] {
  const slots = calls.flatMap((call) => call.rows.map((_, index) => ({ call, index })))
  const length = (slot: Slot<R>) => rowOf(slot).tokens.length
  slots.sort((a, b) => length(a) - length(b))
  const out: Slot<R>[][] = []
  let batch: Slot<R>[] = []
  let tokens = 0
  for (const slot of slots) {
    const padding = length(slot) * batch.length - tokens
    if (padding > Math.max(paddingTokens, paddingShare * tokens)) {
      out.push(batch)
      batch = []
      tokens = 0
    }
    batch.push(slot)
    tokens += length(slot)
  }
  if (batch.length > 0) out.push(batch)
  return out
}
