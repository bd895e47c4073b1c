/**
 * An engine that runs in a worker, so that it computes while another does. What it gives comes
 * back through shared memory. A native run cannot be interrupted, and killing a worker inside one
 * aborts the whole process on some runtimes: the worker is asked to stop, and waited for.
 */
import { Worker } from "node:worker_threads"
import { aborted, GenArmError, throwIfAborted } from "../errors.ts"
import { Batcher, type RowResult } from "./batcher.ts"
import { checkRows, type OwnedRow } from "./check_rows.ts"
import { checkAdapter, closed, type Engine, type EngineCache, type Row } from "./engine.ts"
import { OwnedCache } from "./owned_cache.ts"
import { type EngineSizes, type Reply, type Request, unpackError } from "./worker_protocol.ts"

class WorkerCache extends OwnedCache {
  readonly engine: WorkerEngine
  readonly number: number
  length: number

  constructor(
    engine: WorkerEngine,
    number: number,
    { length, adapter }: { readonly length: number; readonly adapter: string | undefined },
  ) {
    super(adapter)
    this.engine = engine
    this.number = number
    this.length = length
    engine.openCaches++
  }

  protected copy(adapter: string | undefined): EngineCache {
    return this.engine.forkCache(this, adapter)
  }

  protected cut(length: number): void {
    this.length = length
    this.engine.send({ kind: "truncate", cache: this.number, length })
  }

  protected free(): void {
    this.engine.openCaches--
    this.engine.send({ kind: "free", cache: this.number })
  }
}

type WorkerRow = OwnedRow<WorkerCache>

/** Starts a worker from `module`, which must call `serveEngine`, and opens `spec` there. */
export async function openWorkerEngine<Spec extends { readonly name: string }>(
  module: URL,
  spec: Spec,
  options: {
    readonly signal?: AbortSignal
    readonly onRead?: (loaded: number, total: number) => void
  } = {},
): Promise<Engine> {
  throwIfAborted(options.signal)
  // A worker cannot be started from an http address, but may import from one.
  const start = new URL(
    `data:text/javascript,${encodeURIComponent(`import ${JSON.stringify(module.href)}`)}`,
  )
  const link = new WorkerLink(new Worker(start), spec.name, options.onRead)
  const reply = await link.request({ kind: "start", spec })
  if (reply.kind !== "started") {
    await link.stop()
    throw reply.kind === "failed"
      ? unpackError(reply.error, spec.name)
      : new Error(`internal: the worker answered "${reply.kind}" to its start`)
  }
  const engine = new WorkerEngine(spec.name, link, reply)
  if (options.signal?.aborted) {
    await engine.close()
    throw aborted(options.signal)
  }
  return engine
}

/** The program's end of the messages: one request under way at a time. */
class WorkerLink {
  readonly #worker: Worker
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  #failure: GenArmError | undefined
  #stopping = false

  constructor(
    worker: Worker,
    name: string,
    onRead: ((loaded: number, total: number) => void) | undefined,
  ) {
    this.#worker = worker
    worker.on("message", (reply: Reply) => {
      if (reply.kind === "progress") return onRead?.(reply.loaded, reply.total)
      const waiting = this.#waiting
      this.#waiting = undefined
      worker.unref() // an idle worker keeps no program alive
      waiting?.resolve(reply)
    })
    const fail = (what: string, cause?: unknown) => {
      this.#failure ??= new GenArmError(
        { _tag: "EngineFailed", engine: name },
        `the worker that ran ${name} ${what}`,
        { cause },
      )
      this.#waiting?.reject(this.#failure)
      this.#waiting = undefined
    }
    worker.on("error", (error: Error) => fail(`failed: ${error.message}`, error))
    worker.on("exit", (code: number) => fail(`ended unasked, with code ${code}`))
  }

  send(request: Request<unknown>): void {
    if (this.#failure === undefined && !this.#stopping) this.#worker.postMessage(request)
  }

  request(request: Request<unknown>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      this.#waiting = { resolve, reject }
      this.#worker.ref()
      this.#worker.postMessage(request)
    })
  }

  async stop(): Promise<void> {
    if (this.#failure !== undefined || this.#stopping) return
    const closing = this.request({ kind: "close" })
    this.#stopping = true
    await closing.catch(() => undefined) // a worker that died before it could answer is closed too
    await this.#worker.terminate()
  }
}

class WorkerEngine implements Engine {
  readonly name: string
  readonly vocabularySize: number
  readonly width: number
  readonly contextLength: number
  readonly adapters: readonly string[]
  readonly bytesPerToken?: number
  openCaches = 0
  readonly #link: WorkerLink
  readonly #sharing: readonly string[]
  readonly #batcher: Batcher<WorkerRow>
  #output = new SharedArrayBuffer(0)
  #caches = 0
  #closing: Promise<void> | undefined

  constructor(name: string, link: WorkerLink, sizes: EngineSizes) {
    this.name = name
    this.vocabularySize = sizes.vocabularySize
    this.width = sizes.width
    this.contextLength = sizes.contextLength
    this.adapters = sizes.adapters
    if (sizes.bytesPerToken !== undefined) this.bytesPerToken = sizes.bytesPerToken
    this.#sharing = sizes.sharing
    this.#link = link
    this.#batcher = new Batcher((rows) => this.#run(rows))
  }

  send(request: Request<unknown>): void {
    this.#link.send(request)
  }

  openCache(adapter?: string): EngineCache {
    if (this.#closing) throw closed(this.name)
    checkAdapter(this, adapter)
    const cache = new WorkerCache(this, this.#caches++, { length: 0, adapter })
    this.send({ kind: "open", cache: cache.number, adapter })
    return cache
  }

  forkCache({ number, length }: WorkerCache, adapter: string | undefined): EngineCache {
    if (this.#closing) throw closed(this.name)
    const cache = new WorkerCache(this, this.#caches++, { length, adapter })
    this.send({ kind: "fork", cache: cache.number, from: number, adapter })
    return cache
  }

  sharesCaches(adapter: string): boolean {
    return this.#sharing.includes(adapter)
  }

  // deno-lint-ignore require-await -- async, so that refusals reject instead of throwing
  async forward(rows: readonly Row[]): Promise<Float32Array[]> {
    if (this.#closing) throw closed(this.name)
    return this.#batcher.submit(checkRows(this, rows))
  }

  close(): Promise<void> {
    this.#closing ??= this.#batcher.idle().then(() => this.#link.stop())
    return this.#closing
  }

  async #run(rows: readonly WorkerRow[]): Promise<RowResult[]> {
    const sizeOf = ({ want, tokens }: Row) => (want === "all" ? tokens.length : 1) * this.width
    const bytes = 4 * rows.reduce((sum, row) => sum + sizeOf(row), 0)
    if (this.#output.byteLength < bytes) this.#output = new SharedArrayBuffer(bytes)
    const reply = await this.#link.request({
      kind: "forward",
      rows: rows.map(({ cache, tokens, want }) => ({
        cache: cache.number,
        tokens: Array.from(tokens),
        want,
      })),
      output: this.#output,
    })
    if (reply.kind === "failed") throw unpackError(reply.error, this.name)
    if (reply.kind !== "ran") throw new Error(`internal: the worker answered "${reply.kind}"`)
    const shared = new Float32Array(this.#output)
    let offset = 0
    return rows.map((row, index) => {
      const begin = offset
      offset += sizeOf(row)
      const error = reply.errors[index]
      if (error !== null) return unpackError(error, this.name)
      if (!row.cache.isClosed) row.cache.length += row.tokens.length
      return shared.slice(begin, offset) // out of shared memory: the next run overwrites it
    })
  }
}
