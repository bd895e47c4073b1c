/**
 * What the benches measure: pipelines and a bare loop on one and the same engine, so that both have
 * the same weights in memory, the same threads and the same session.
 */
import { Effect, Layer } from "effect"
import { defineGraph, openPipeline, type Pipeline, prompted } from "genarm"
import { Runtime } from "genarm/effect"
import type { GraphSpec } from "genarm"
import { DeltaEngine } from "../src/engine/delta_engine.ts"
import type { Engine } from "../src/engine/engine.ts"
import { openTokenizer, type Tokenizer } from "../src/files/tokenizer.ts"
import { openEngine } from "../src/runtime/open_engine.ts"
import { type ModelSize, writeRandomModel } from "./_random_model.ts"

/** Threads of every bench. */
export const threads = 2

/** The text that the reward's row reads before the prompt. */
const prefix = "A sad story. "

/** An engine over random weights and what opens pipelines on it. */
export interface Subject extends AsyncDisposable {
  readonly engine: Engine
  readonly tokenizer: Tokenizer
  /** Milliseconds spent in the engine's calls so far. */
  inEngine(): number
  /** Bytes that the engine's caches take now. */
  cacheBytes(): number
  /** A pipeline on the engine: with one reward, the base itself after a prefix, or with none. */
  open(spec?: { readonly sampler?: GraphSpec["sampler"]; readonly reward?: boolean }): Promise<
    Pipeline
  >
  /** The ids that the rows of such a pipeline read for a prompt: the base's, then the reward's. */
  rows(prompt: string, reward?: boolean): number[][]
}

/**
 * Writes a model and opens it. Prompts are run anew for each text, so that each costs what the first
 * does, unless `keepsPrompts`.
 */
export async function openSubject(
  size: ModelSize,
  { context, keepsPrompts = false }: {
    readonly context?: number
    readonly keepsPrompts?: boolean
  } = {},
): Promise<Subject> {
  const model = await writeRandomModel(size, context === undefined ? {} : { context })
  const { folder } = model
  const spec = { name: size, folder, precision: "f32", device: "cpu", threads } as const
  const opened = await openEngine(spec)
  if (!(opened instanceof DeltaEngine)) throw new Error("internal: expected a delta engine")
  let inEngine = 0
  // Calls may overlap: the time that at least one of them runs.
  let running = 0
  let since = 0
  const engine: Engine = {
    name: opened.name,
    vocabularySize: opened.vocabularySize,
    width: opened.width,
    contextLength: opened.contextLength,
    ...keepsPrompts && { bytesPerToken: opened.bytesPerToken },
    openCache: () => opened.openCache(),
    async forward(rows) {
      if (running++ === 0) since = performance.now()
      try {
        return await opened.forward(rows)
      } finally {
        if (--running === 0) inEngine += performance.now() - since
      }
    },
    close: () => opened.close(),
  }
  const tokenizer = await openTokenizer(folder)
  const runtime = Layer.succeed(
    Runtime,
    Runtime.of({ name: "bench", open: () => Effect.succeed({ engine, tokenizer, eos: [] }) }),
  )
  return {
    engine,
    tokenizer,
    inEngine: () => inEngine,
    cacheBytes: () => opened.cacheBytes,
    open: ({ sampler, reward = true } = {}) => {
      const graph = defineGraph({
        base: folder,
        ...reward && { rewards: { sad: { reward: prompted({ prefix }), weight: -0.5 } } },
        ...sampler !== undefined && { sampler },
      })
      return openPipeline(graph, { runtime })
    },
    rows: (prompt, reward = true) =>
      (reward ? [prompt, prefix + prompt] : [prompt]).map((text) => tokenizer.encode(text)),
    async [Symbol.asyncDispose]() {
      await engine.close()
      await model[Symbol.asyncDispose]()
    },
  }
}

/** A prompt of so many tokens. */
export function promptOf(tokens: number): string {
  return "Once upon a time there was ".repeat(Math.ceil(tokens / 27)).slice(0, tokens)
}
