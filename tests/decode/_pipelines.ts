/** Pipelines over models that are written down, with a window on the caches that are open. */
import type { Layer } from "effect"
import {
  defineGraph,
  type GraphSpec,
  type ModelRef,
  openPipeline,
  type Pipeline,
  type TableModel,
} from "genarm"
import { type Runtime, tableRuntime } from "genarm/effect"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { tellingOpened } from "../_opened.ts"

/** A model as `watch` takes it: all but the rule may be left out. */
export type Table = Omit<TableModel, "vocabulary"> & { readonly vocabulary?: readonly string[] }

/** Ten letters, which most tests write with. */
export const letters: readonly string[] = [..."abcdefghij"]

/** A rule that gives the same probabilities at every step. */
export const always = (...probabilities: number[]): () => number[] => () => probabilities

/** A rule that says `ids` one after the other, counted from the first `prompt` tokens on. */
export function script(
  ids: readonly number[],
  prompt = 1,
): (before: readonly number[]) => number[] {
  return (before) => {
    const next = ids[before.length - prompt] ?? ids[ids.length - 1]
    return oneHot(next, Math.max(...ids) + 1)
  }
}

/** All probability on one id. */
export function oneHot(id: number, size: number): number[] {
  return Array.from({ length: size }, (_, other) => other === id ? 1 : 0)
}

/** Models whose calls and caches can be counted. */
export interface Watched {
  readonly runtime: Layer.Layer<Runtime>
  /** Distributions computed, by model. */
  readonly calls: Record<string, number>
  /** The token ids each model was last asked about. */
  readonly last: Record<string, readonly number[]>
  /** Caches that are open now, of all models together. */
  openCaches(): number
  /** How often each model was opened. */
  readonly opened: Record<string, number>
  /** What was asked of the runtime, in order. */
  readonly refs: ModelRef[]
}

/** A runtime of written-down models that tells what happens to them. */
export function watch(models: Readonly<Record<string, Table>>): Watched {
  const engines = new Set<{ readonly openCaches: number }>()
  const calls: Record<string, number> = {}
  const last: Record<string, readonly number[]> = {}
  const opened: Record<string, number> = {}
  const refs: ModelRef[] = []
  const tables = Object.fromEntries(
    Object.entries(models).map(([name, model]) => [name, {
      vocabulary: letters,
      ...model,
      next: (ids: readonly number[]) => {
        calls[name] = (calls[name] ?? 0) + 1
        last[name] = [...ids]
        return model.next(ids)
      },
    }]),
  )
  const runtime = tellingOpened(tableRuntime(tables), (engine, { ref }) => {
    opened[ref.model] = (opened[ref.model] ?? 0) + 1
    refs.push(ref)
    engines.add(engine as never)
  })
  const openCaches = () => [...engines].reduce((sum, engine) => sum + engine.openCaches, 0)
  return { runtime, calls, last, opened, refs, openCaches }
}

/** Opens a graph over written-down models; `base` is the model `base` where it is left out. */
export function open(
  { runtime }: { readonly runtime: Layer.Layer<Runtime> },
  spec: Partial<GraphSpec> = {},
): Promise<Pipeline> {
  return openPipeline(defineGraph({ base: "base", ...spec }), { runtime, onProgress: () => {} })
}

const stories = fileURLToPath(
  new URL("../../../shared/data/models/stories260K", import.meta.url),
)

/** The folder of a small trained model, where there is one. */
export const trained = { folder: stories, file: (name: string): string => `${stories}/${name}` }

/** Options of tests that need the trained model. */
export const withTrained: { skip?: string } = existsSync(`${stories}/model.safetensors`)
  ? {}
  : { skip: `there is no trained model at ${stories}` }

/** Opens a graph whose base is the trained model. */
export function openTrained(spec: Partial<GraphSpec> = {}): Promise<Pipeline> {
  return openPipeline(defineGraph({ base: trained.folder, ...spec }), {
    threads: 1,
    onProgress: () => {},
  })
}

/** The `count` items of an iterable, pulled one by one, and then no more. */
export async function take<A>(items: AsyncIterable<A>, count: number): Promise<A[]> {
  const out: A[] = []
  if (count === 0) return out
  for await (const item of items) {
    out.push(item)
    if (out.length === count) break
  }
  return out
}
