/**
 * Continuous batching. While one batch runs, further calls wait; then rows that step run together,
 * so that sequences share each reading of the weights, whenever they came and however long they
 * are. Long rows, such as prompts, run in pieces between the steps of the others, and a call that
 * fails takes no other with it.
 */
import { setImmediate } from "node:timers/promises"
import type { OwnedRow } from "./check_rows.ts"
import { closed } from "./engine.ts"
import type { OwnedCache } from "./owned_cache.ts"

/** What a runner gives for one row: what the model gives, or why there is nothing. */
export type RowResult = Float32Array | Error

/** Rows of so many tokens at most are steps: one token, or some that were drafted. */
const stepTokens = 16
/** Tokens of long rows that run at once; more would gain nothing, and could not be aborted. */
const pieceTokens = 256
/** The same while others step, and wait for them; fewer would cost the long rows time. */
const pieceBesideSteps = 64
/** How much longer a piece may become to be the last. */
const stretch = 1.25
/** Once in so many pieces the row that has waited longest comes before the shortest. */
const turnOfOldest = 4

/** Padding a batch may hold before it is split: this share of its tokens ... */
const paddingShare = 0.5
/** ... or this many tokens, below which a second run costs more than the padding. */
const paddingTokens = 16

/** One call, with the results of its rows so far. */
interface Call {
  readonly results: RowResult[]
  missing: number
  readonly settle: () => void
}

/** One row of one call. */
interface Slot<R> {
  readonly call: Call
  readonly index: number
  readonly row: R
  /** Tokens run. */
  at: number
  /** Tokens of the next piece. */
  piece: number
  /** `[tokens, width]` of a row that wants all and runs in pieces. */
  all: Float32Array | undefined
}

/** A queue in front of one `run` that must not be entered twice. */
export class Batcher<R extends OwnedRow<OwnedCache>> {
  readonly #run: (rows: readonly R[]) => Promise<RowResult[]>
  readonly #joins: boolean
  #steps: Slot<R>[] = []
  readonly #long: Slot<R>[] = []
  #pieces = 0
  /** Caches of the calls that were settled last. */
  #served: OwnedCache[] = []
  #running: Promise<void> | undefined

  /**
   * @param run Runs rows of similar length; fails only as a whole where no row can be blamed.
   * @param joins Whether rows of one run share work, so that it pays to wait for each other.
   */
  constructor(run: (rows: readonly R[]) => Promise<RowResult[]>, joins: boolean = true) {
    this.#run = run
    this.#joins = joins
  }

  /** Queues the rows of one call; fails with the first of their errors, and then takes all back. */
  submit(rows: readonly R[]): Promise<Float32Array[]> {
    return new Promise((resolve, reject) => {
      const results: RowResult[] = new Array(rows.length)
      const lengths = rows.map(({ cache }) => cache.length)
      for (const { cache } of rows) cache.isRunning = true
      const settle = () => {
        for (const { cache } of rows) {
          cache.isRunning = false
          this.#served.push(cache)
        }
        const error = results.find((result) => result instanceof Error)
        if (error === undefined) return resolve(results as Float32Array[])
        rows.forEach(({ cache }, i) => {
          if (!cache.isClosed) cache.truncate(lengths[i])
        })
        reject(error)
      }
      if (rows.length === 0) return settle()
      const call = { results, missing: rows.length, settle }
      rows.forEach((row, index) => {
        const { length } = row.tokens
        const slot = { call, index, row, at: 0, piece: length, all: undefined }
        if (length <= stepTokens) this.#steps.push(slot)
        else this.#long.push(slot)
      })
      this.#running ??= this.#drain()
    })
  }

  /** Settles when nothing is queued or running. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #drain(): Promise<void> {
    while (this.#steps.length + this.#long.length > 0) {
      await undefined // calls made in the same turn come together
      // One turn of the event loop lets sequences that were just served ask for their next step.
      const isAway = ({ isRunning, isClosed }: OwnedCache) => !isRunning && !isClosed
      if (this.#joins && this.#served.some(isAway)) await setImmediate()
      this.#served = []
      const steps = this.#steps
      this.#steps = []
      for (const batch of batches(steps)) await this.#runBatch(batch)
      const pieces = this.#takePieces(steps.length > 0 ? pieceBesideSteps : pieceTokens)
      for (const batch of batches(pieces)) await this.#runBatch(batch)
      this.#long.push(...pieces.filter(({ piece }) => piece > 0))
    }
    this.#running = undefined
  }

  /** What runs next of the long rows: the ends of the shortest, or else a part of one. */
  #takePieces(most: number): Slot<R>[] {
    const rest = ({ row, at }: Slot<R>) => row.tokens.length - at
    const order = [...this.#long]
    if (++this.#pieces % turnOfOldest !== 0) order.sort((a, b) => rest(a) - rest(b))
    const taken: Slot<R>[] = []
    let left = most
    for (const slot of order) {
      const fits = rest(slot) <= left * stretch
      if (!fits && taken.length > 0) break
      slot.piece = fits ? rest(slot) : left
      left -= slot.piece
      taken.push(slot)
      if (left <= 0) break
    }
    for (const slot of taken) this.#long.splice(this.#long.indexOf(slot), 1)
    return taken
  }

  async #runBatch(batch: readonly Slot<R>[]): Promise<void> {
    // A cache closed while its call waited may have lost its memory to another.
    const open = batch.filter(({ row }) => !row.cache.isClosed)
    for (const slot of batch) if (!open.includes(slot)) end(slot, closed("this cache"))
    if (open.length === 0) return
    let results: RowResult[]
    try {
      results = await this.#run(open.map(pieceOf))
    } catch (error) {
      results = open.map(() => error as Error)
    }
    open.forEach((slot, i) => advance(slot, results[i]))
  }
}

/** The part of a row that runs next. */
function pieceOf<R extends OwnedRow<OwnedCache>>({ row, at, piece }: Slot<R>): R {
  if (piece === row.tokens.length) return row
  return { ...row, tokens: Array.prototype.slice.call(row.tokens, at, at + piece) }
}

/** Notes what a piece gave; with the last one the row has its result. */
function advance<R extends OwnedRow<OwnedCache>>(slot: Slot<R>, result: RowResult): void {
  const { row: { tokens, want }, at, piece } = slot
  if (result instanceof Error || piece === tokens.length) return end(slot, result)
  slot.at += piece
  slot.piece = tokens.length - slot.at
  if (want === "all") {
    const size = result.length / piece
    slot.all ??= new Float32Array(tokens.length * size)
    slot.all.set(result, at * size)
  }
  if (slot.piece === 0) end(slot, slot.all ?? result)
}

function end<R>(slot: Slot<R>, result: RowResult): void {
  const { call, index } = slot
  slot.piece = 0
  call.results[index] = result
  if (--call.missing === 0) call.settle()
}

/** Sorts rows by length and cuts where padding them to the longest would cost more than a run. */
function batches<R>(slots: readonly Slot<R>[]): Slot<R>[][] {
  const sorted = slots.toSorted((a, b) => a.piece - b.piece)
  const out: Slot<R>[][] = []
  let batch: Slot<R>[] = []
  let tokens = 0
  for (const slot of sorted) {
    const padding = slot.piece * batch.length - tokens
    if (padding > Math.max(paddingTokens, paddingShare * tokens)) {
      out.push(batch)
      batch = []
      tokens = 0
    }
    batch.push(slot)
    tokens += slot.piece
  }
  if (batch.length > 0) out.push(batch)
  return out
}
