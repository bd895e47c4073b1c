/** Saying what a graph will run before it runs: which files, how many rows, at what cost. */
import { Schema } from "effect"
import { stat } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { findAdapter, findModel } from "./files/locate_model.ts"
import { openModelFolder, tensorFiles } from "./files/model_folder.ts"
import { defineGraphWith } from "./graph/define_graph.ts"
import {
  type ExplainedEngine,
  type Explanation,
  planGraph,
  type PlannedEngine,
} from "./graph/explanation.ts"
import { type Graph, type GraphSpec, isGraph } from "./graph/graph.ts"
import { resolveStrategy, resolveTerms } from "./graph/resolve_graph.ts"
import { isLlamaFamily, readLlamaConfig } from "./llama/config.ts"
import { parameterGroups, sizeOf } from "./llama/parameters.ts"
import { decodeAt } from "./plugin/options.ts"
import type { Plugins } from "./plugin/registry.ts"
import { divideThreads, stepCost } from "./runtime/thread_shares.ts"
import { explanationText } from "./show/explanation_text.ts"

/** Options of `explain`. */
export interface ExplainOptions {
  /** The runtime that the graph is to be opened with; `"cpu"` where absent. */
  readonly runtime?: "cpu" | "webgpu" | "cuda"
  /** CPU threads in all; the machine's where absent. */
  readonly threads?: number
}

const optionsSchema = Schema.Struct({
  runtime: Schema.optionalKey(Schema.Literals(["cpu", "webgpu", "cuda"])),
  threads: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
})

/** `explain` with the given plugins at hand. */
export async function explainWith(
  plugins: Plugins,
  spec: Graph | GraphSpec,
  options: ExplainOptions = {},
): Promise<Explanation> {
  const { runtime = "cpu", threads = availableParallelism() } = decodeAt(
    optionsSchema,
    options,
    [],
    "InvalidOption",
  )
  const graph = isGraph(spec) ? spec : defineGraphWith(plugins, spec)
  const plan = planGraph(graph, resolveTerms(graph, plugins), resolveStrategy(graph, plugins))
  const known = await Promise.all(plan.engines.map(lookAt))
  const baseCost = known[0].baseCost
  const shares = divideThreads(known.map(({ shareCost }) => shareCost ?? 1), threads)
  const engines = plan.engines.map(({ ref, rows }, i): ExplainedEngine => {
    const { folder, fileBytes, parameters, cost } = known[i]
    return {
      model: ref.model,
      ...ref.revision !== undefined && { revision: ref.revision },
      weights: ref.weights ?? "f32",
      ...folder !== undefined && { folder },
      ...fileBytes !== undefined && { fileBytes },
      ...parameters !== undefined && { parameters },
      runsIn: runtime === "cpu" && i > 0 ? "worker" : "main thread",
      ...runtime === "cpu" && { threads: shares[i] },
      ...cost !== undefined && baseCost !== undefined && { cost: cost / baseCost },
      rows,
    }
  })
  // An engine that only the strategy reads is no part of every step.
  const stepping = engines.filter(({ rows }) => rows.some((row) => row.isInEveryStep))
  // How many candidates are read, and how long they are, is known when they are there.
  const isKnown = stepping.every(({ cost, rows }) =>
    cost !== undefined && !rows.some((row) => row.readsCandidates)
  )
  const explanation: Explanation = {
    ...plan,
    runtime,
    engines,
    ...isKnown && {
      cost: stepping.reduce((sum, { cost }) => sum + cost!, 0),
    },
  }
  return Object.defineProperty(explanation, "toString", {
    value: () => explanationText(explanation),
  })
}

/** What the files of an engine tell, as far as they are there. */
interface Known {
  readonly folder?: string
  readonly fileBytes?: number
  readonly parameters?: number
  /** Of a step of the rows that each step needs; see `stepCost`. */
  readonly cost?: number
  /** Of a step of one row. */
  readonly baseCost?: number
  /** By which the runtime divides its threads: of a row for each adapter, and one without. */
  readonly shareCost?: number
}

async function lookAt({ ref, adapters, rows }: PlannedEngine): Promise<Known> {
  // What is on the hub alone is not fetched, nor asked for.
  const folder = await findModel(ref)
  if (folder === undefined) return {}
  const weights = ref.weights ?? "f32"
  const stepping = Math.max(1, rows.filter((row) => row.isInEveryStep).length)
  const sharing = adapters.length + (rows.some(({ adapter }) => adapter === undefined) ? 1 : 0)
  const [fileBytes, parameters, cost, baseCost, shareCost] = await Promise.all([
    orNothing(() => weightBytes(folder, adapters)),
    orNothing(() => countParameters(folder, ref.model)),
    stepCost(folder, weights, stepping),
    stepCost(folder, weights, 1),
    stepCost(folder, weights, sharing),
  ])
  return {
    folder,
    ...fileBytes !== undefined && { fileBytes },
    ...parameters !== undefined && { parameters },
    ...cost !== undefined && { cost },
    ...baseCost !== undefined && { baseCost },
    ...shareCost !== undefined && { shareCost },
  }
}

async function weightBytes(folder: string, adapters: readonly string[]): Promise<number> {
  const { hasTensors, exports } = await openModelFolder(folder)
  const files = (hasTensors ? await tensorFiles(folder) : exports).map((file) => join(folder, file))
  for (const adapter of adapters) {
    const found = await findAdapter(adapter)
    if (found !== undefined) files.push(join(found, "adapter_model.safetensors"))
  }
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function countParameters(folder: string, model: string): Promise<number | undefined> {
  const { config } = await openModelFolder(folder)
  if (!isLlamaFamily(config)) return undefined
  return parameterGroups(readLlamaConfig(config, model)).reduce((sum, g) => sum + sizeOf(g), 0)
}

/** What cannot be found out now is said when the graph is opened. */
async function orNothing<A>(find: () => Promise<A>): Promise<A | undefined> {
  try {
    return await find()
  } catch {
    return undefined
  }
}
