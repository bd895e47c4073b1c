/**
 * The model runs of one text: each different prompt of each engine, and of each adapter in it, in a
 * cache of its own, stepped together. Sources of several rewards that ask for the same run share it.
 */
import { checkIds, type Engine, type EngineCache } from "../engine/engine.ts"
import { GenArmError } from "../errors.ts"
import type { OpenSource } from "./open_graph.ts"
import { encodePrompt } from "./prompt.ts"
import type { Prompt } from "./types.ts"

/** A prompt in the cache of one engine, which knows its adapter. */
export interface ModelRun {
  readonly engine: Engine
  /** Whether the model has a token; what it lacks is left out of what it reads. */
  readonly has: (id: number) => boolean
  readonly cache: EngineCache
  /** Tokens the cache does not hold yet. */
  pending: readonly number[]
  /** `[vocabulary]` after the last token. */
  logProbs: Float32Array
}

/** Tokens of a prompt that run at once; between such pieces a request can be aborted. */
const prefillTokens = 512

/** All model runs of one text; the first that is opened must be the base's. */
export class ModelRuns {
  readonly #prompt: Prompt
  readonly #base: OpenSource
  readonly #runs: ModelRun[] = []
  readonly #byPrompt = new Map<Engine, Map<string, ModelRun>>()

  constructor(base: OpenSource, prompt: Prompt) {
    this.#base = base
    this.#prompt = prompt
    this.open(base)
  }

  /** The base model's. */
  get base(): ModelRun {
    return this.#runs[0]
  }

  /** Encodes the prompt for a source; nothing is computed yet. */
  open({ model, form }: OpenSource): ModelRun {
    const { engine, tokenizer } = model
    const ids = encodePrompt(tokenizer, form, this.#prompt)
    const key = JSON.stringify([model.adapter, String(ids)])
    const known = this.#byPrompt.get(engine)?.get(key)
    if (known !== undefined) return known
    checkIds(ids, engine.vocabularySize, form.model)
    checkLength(ids, engine, form.model)
    const run: ModelRun = {
      engine,
      has: engine === this.#base.model.engine
        ? () => true
        : (id) => tokenizer.token(id) !== undefined,
      cache: engine.openCache(model.adapter),
      pending: ids,
      logProbs: new Float32Array(0),
    }
    this.#runs.push(run)
    const ofEngine = this.#byPrompt.get(engine) ?? new Map<string, ModelRun>()
    this.#byPrompt.set(engine, ofEngine.set(key, run))
    return run
  }

  /** Tokens that can still be written before a model's context is full. */
  get room(): number {
    return this.#runs.reduce(
      (least, { engine, cache, pending }) =>
        Math.min(least, engine.contextLength - cache.length - pending.length + 1),
      Infinity,
    )
  }

  /** Hands every model a token for the next `forward`. */
  accept(id: number): void {
    for (const run of this.#runs) run.pending = run.has(id) ? [id] : []
  }

  /** Runs all models up to the last token. */
  async forward(): Promise<void> {
    while (this.#runs.some(({ pending }) => pending.length > 0)) {
      await this.#forwardOnce("last", prefillTokens)
    }
  }

  /**
   * Runs all models over tokens that are given, and gives what makes the distribution before each
   * of them current. The text must have been run up to its last token.
   */
  async forwardAll(tokens: readonly number[]): Promise<(index: number) => void> {
    const before = this.#runs.map(({ logProbs }) => logProbs)
    for (const run of this.#runs) run.pending = tokens.filter(run.has)
    await this.#forwardOnce("all", tokens.length)
    const after = this.#runs.map(({ logProbs }) => logProbs)
    return (index) => {
      const read = tokens.slice(0, index)
      this.#runs.forEach((run, i) => {
        const size = run.engine.vocabularySize
        const rows = read.filter(run.has).length
        run.logProbs = rows === 0 ? before[i] : after[i].subarray((rows - 1) * size, rows * size)
      })
    }
  }

  /** Frees the caches. Idempotent. */
  close(): void {
    for (const { cache } of this.#runs) cache.close()
  }

  async #forwardOnce(want: "last" | "all", most: number): Promise<void> {
    const groups = new Map<Engine, ModelRun[]>()
    for (const run of this.#runs) {
      if (run.pending.length === 0) continue
      const group = groups.get(run.engine)
      if (group === undefined) groups.set(run.engine, [run])
      else group.push(run)
    }
    // The base's engine blocks this thread while it runs: others must have been asked before.
    const inOrder = [...groups].reverse()
    await Promise.all(inOrder.map(async ([engine, runs]) => {
      const rows = runs.map(({ cache, pending }) => ({
        cache,
        tokens: pending.length > most ? pending.slice(0, most) : pending,
        want,
      }))
      const results = await engine.forward(rows)
      runs.forEach((run, i) => {
        run.logProbs = results[i]
        run.pending = run.pending.slice(rows[i].tokens.length)
      })
    }))
  }
}

function checkLength(ids: readonly number[], engine: Engine, model: string): void {
  if (ids.length <= engine.contextLength) return
  throw new GenArmError(
    { _tag: "InvalidPrompt" },
    `the prompt is ${ids.length} tokens long for ${model}, and its context holds ` +
      `${engine.contextLength}: shorten it`,
  )
}
