/**
 * A pipeline: a graph whose models are open, for plain JavaScript. Effect programs open one in a
 * scope of theirs with `makePipeline`.
 */
import { Effect, type Scope } from "effect"
import { aborted, GenArmError } from "../errors.ts"
import { closed } from "../engine/engine.ts"
import type { OnProgress } from "../files/progress.ts"
import type { Graph } from "../graph/graph.ts"
import { printValue } from "../plugin/options.ts"
import type { Runtime } from "../runtime/runtime.ts"
import { type Cancellation, generate } from "./generate.ts"
import { GenerationStream } from "./generation_stream.ts"
import { type OpenGraph, openGraph } from "./open_graph.ts"
import { checkRequest, type Request } from "./request.ts"
import { score } from "./score.ts"
import type { GenerateOptions, Generation, Prompt, Score, TokenEvent } from "./types.ts"

/** Texts that `generateAll` writes at the same time. */
const together = 16

/**
 * An open graph. Calls may overlap: what steps at the same time shares the reading of the weights.
 */
export interface Pipeline extends AsyncDisposable {
  /** The graph it runs. */
  readonly graph: Graph
  /** Writes one text. */
  generate(prompt: Prompt, options?: GenerateOptions): Promise<Generation>
  /**
   * Writes `options.n` texts for each prompt, prompt by prompt. With a seed they are drawn with
   * `seed`, `seed + 1` ...
   */
  generateAll(prompts: readonly Prompt[], options?: GenerateOptions): Promise<Generation[]>
  /**
   * Writes one text token by token, each when it is asked for. Await it for the whole; `break` out
   * of `for await` to end it.
   */
  stream(
    prompt: Prompt,
    options?: GenerateOptions,
  ): AsyncIterable<TokenEvent> & PromiseLike<Generation>
  /** The log-probabilities and rewards of a continuation that is given. */
  score(prompt: Prompt, continuation: string | readonly number[]): Promise<Score>
  /** Ends running calls and frees the models that no other pipeline uses. Idempotent. */
  close(): Promise<void>
}

/** Opens a graph as a pipeline that lives as long as the scope. */
export const makePipeline: (
  graph: Graph,
  options?: { readonly threads?: number; readonly onProgress?: OnProgress },
) => Effect.Effect<Pipeline, GenArmError, Runtime | Scope.Scope> = Effect.fn("genarm.makePipeline")(
  function* (graph, options = {}) {
    const open = yield* openGraph(graph, options)
    return yield* Effect.acquireRelease(
      Effect.sync(() => new OpenPipeline(open)),
      (pipeline) => Effect.promise(() => pipeline.close()),
    )
  },
)

class OpenPipeline implements Pipeline {
  readonly graph: Graph
  readonly #open: OpenGraph
  readonly #running = new RunningCalls()

  constructor(open: OpenGraph) {
    this.graph = open.graph
    this.#open = open
  }

  async generate(prompt: Prompt, options: GenerateOptions = {}): Promise<Generation> {
    return await this.stream(prompt, options)
  }

  stream(prompt: Prompt, options: GenerateOptions = {}): GenerationStream {
    return new GenerationStream(() => {
      const request = this.#check(options)
      if (request.n !== 1) {
        throw new GenArmError(
          { _tag: "InvalidOption", path: ["n"] },
          `one text at a time here, found n: ${request.n}; generateAll writes several`,
        )
      }
      return generate(this.#open, prompt, request, this.#running)
    })
  }

  async generateAll(
    prompts: readonly Prompt[],
    options: GenerateOptions = {},
  ): Promise<Generation[]> {
    const request = this.#check(options)
    if (!Array.isArray(prompts)) {
      throw new GenArmError(
        { _tag: "InvalidPrompt" },
        `expected a list of prompts, found ${printValue(prompts)}; generate takes one`,
      )
    }
    const stopAll = new AbortController()
    const signal = request.signal === undefined
      ? stopAll.signal
      : AbortSignal.any([stopAll.signal, request.signal])
    const texts = prompts.flatMap((prompt) => Array.from({ length: request.n }, () => prompt))
    const out: Generation[] = new Array(texts.length)
    let next = 0
    const work = async () => {
      while (next < texts.length) {
        const index = next++
        const seed = (request.seed + index) % 2 ** 32
        out[index] = await this.stream(texts[index], { ...options, n: 1, seed, signal })
      }
    }
    try {
      await Promise.all(Array.from({ length: Math.min(together, texts.length) }, work))
    } catch (error) {
      stopAll.abort()
      if (request.signal?.aborted) throw aborted(request.signal, out.filter(Boolean))
      throw error
    }
    return out
  }

  async score(prompt: Prompt, continuation: string | readonly number[]): Promise<Score> {
    this.#running.check()
    return await score(this.#open, prompt, continuation, this.#running)
  }

  // deno-lint-ignore require-await -- the interface promises, so that closing may come to wait
  async close(): Promise<void> {
    this.#running.end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #check(options: GenerateOptions): Request {
    this.#running.check()
    return checkRequest(this.#open, options)
  }
}

/** The calls of a pipeline that are under way. */
class RunningCalls implements Cancellation {
  error: GenArmError | undefined
  readonly #stops = new Set<() => void>()

  add(stop: () => void): void {
    this.#stops.add(stop)
  }

  delete(stop: () => void): void {
    this.#stops.delete(stop)
  }

  check(): void {
    if (this.error !== undefined) throw this.error
  }

  end(): void {
    this.error ??= closed("the pipeline")
    for (const stop of [...this.#stops]) stop()
  }
}
