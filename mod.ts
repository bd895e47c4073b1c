/**
 * Reward-guided text generation: a frozen language model is steered, token by token, by reward
 * models that are language models themselves (GenARM, https://arxiv.org/abs/2410.08193).
 *
 * Decoding draws from `softmax(log pi_base + sum_i w_i * reward_i)`, where the reward of an
 * autoregressive reward model is its log-probability and its weight is `1/beta`.
 *
 * @example
 * ```ts
 * import { contrast, defineGraph, openPipeline, sampling, tableRuntime } from "genarm"
 *
 * // Two models written down here; with folders on disk the runtime is left out.
 * const words = ["It", " was", " sunny", " grey", ".", "<end>"]
 * const weather = (sunny: number) => ({
 *   vocabulary: words,
 *   eos: [5],
 *   next: (ids: readonly number[]) => {
 *     const last = ids.at(-1)
 *     return last === 0 ? [0, 1, 0, 0, 0, 0] : last === 1 ? [0, 0, sunny, 1 - sunny, 0, 0] : last === 4
 *       ? [0, 0, 0, 0, 0, 1]
 *       : [0, 0, 0, 0, 1, 0]
 *   },
 * })
 * const graph = defineGraph({
 *   base: "plain",
 *   rewards: { sunny: { reward: contrast({ expert: "bright", amateur: "plain" }), weight: 2 } },
 *   sampler: sampling({ temperature: 0.8 }),
 * })
 * await using pipeline = await openPipeline(graph, {
 *   runtime: tableRuntime({ plain: weather(0.5), bright: weather(0.9) }),
 * })
 * for await (const token of pipeline.stream("It", { seed: 7 })) {
 *   console.error(token.text, token.rewards.sunny, token.logprob.guided)
 * }
 * ```
 *
 * @module
 */
import { builtins } from "./plugins/builtins.ts"
import type { Pipeline } from "./src/decode/pipeline.ts"
import { defineGraphWith } from "./src/graph/define_graph.ts"
import type { Graph, GraphSpec } from "./src/graph/graph.ts"
import { type ExplainOptions, explainWith } from "./src/explain_graph.ts"
import type { Explanation } from "./src/graph/explanation.ts"
import { type LoadGraphOptions, loadGraphWith } from "./src/graph/graph_file.ts"
import { graphSchemaOf, type JsonSchema } from "./src/graph/graph_schema.ts"
import type { AnyPlugin } from "./src/plugin/mod.ts"
import { withPlugins } from "./src/plugin/mod.ts"
import { type OpenOptions, openPipelineWith } from "./src/open_pipeline.ts"
import { type TrainingRun, type TrainOptions, trainWith } from "./src/train/train.ts"
import type { TrainSpec } from "./src/train/train_spec.ts"

/**
 * Checks what is to run and gives it as frozen plain data: `JSON.stringify` saves it, and
 * `defineGraph` of the parsed text gives it back.
 *
 * @throws {GenArmError} Reason `InvalidGraph` with the path of the first problem, or `UnknownPlugin`.
 *
 * @example
 * ```ts
 * import { arm, defineGraph, linear } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const graph = defineGraph({
 *   base: { model: "./models/base", weights: "q4" },
 *   rewards: {
 *     helpful: { reward: arm({ model: "./models/helpful" }), weight: 1 },
 *     wordy: { reward: arm({ model: "./models/wordy" }), weight: -0.3 },
 *   },
 * })
 * assertEquals(String(graph), "base + 1.0*helpful - 0.3*wordy")
 * assertEquals(String(defineGraph(JSON.parse(JSON.stringify(graph)))), String(graph))
 * ```
 */
export function defineGraph(spec: GraphSpec): Graph {
  return defineGraphWith(builtins, spec)
}

/**
 * Opens the models of a graph. Models that are open already, with the same weights and precision,
 * are shared. Close the pipeline when done, or declare it with `await using`. A spec that has not
 * been through `defineGraph` is checked first.
 *
 * @throws {GenArmError} When a model cannot be found, read or run here.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({ yes: { vocabulary: ["yes", "no"], next: () => [1, 0] } })
 * await using pipeline = await openPipeline(defineGraph({ base: "yes" }), { runtime })
 * const generation = await pipeline.generate("no", { maxTokens: 2 })
 * assertEquals(generation.text, "yesyes")
 * ```
 */
export function openPipeline(
  graph: Graph | GraphSpec,
  options: OpenOptions = {},
): Promise<Pipeline> {
  return openPipelineWith(builtins, graph, options)
}

/**
 * Trains a model, or a low-rank adapter on one: `armPreference()` makes an autoregressive reward model
 * from preferences (GenARM, arXiv 2410.08193), `nextToken()` a language model from texts, `dpo()` a
 * policy. What comes out is a Hugging Face or PEFT folder that `arm({ model })`, `arm({ adapter })` and
 * Python load. A training that was stopped goes on from its checkpoint, bit for bit.
 *
 * @throws {GenArmError} `InvalidOption` with a path for a wrong specification; `NoTrainingData` with a
 * report where nothing is left to learn from; `TrainingDiverged` with step and figures;
 * `CheckpointMismatch` where `out` holds the checkpoint of another training; `Aborted`; and the errors
 * of model and data files.
 *
 * @example
 * ```ts
 * import { armPreference, train } from "genarm"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const run = await train({
 *   base: "tests/fixtures/models/llama",
 *   adapter: { rank: 2 },
 *   objective: armPreference({ beta: 0.1 }),
 *   data: [
 *     { prompt: "The sky is", chosen: " blue.", rejected: " green." },
 *     { prompt: "The grass is", chosen: " green.", rejected: " blue." },
 *   ],
 *   heldOut: 0,
 *   out: await mkdtemp(join(tmpdir(), "arm-")),
 *   steps: 2,
 *   batch: 2,
 * })
 * assertEquals(run.steps, 2)
 * ```
 */
export function train(spec: TrainSpec, options: TrainOptions = {}): Promise<TrainingRun> {
  return trainWith(builtins, spec, options)
}

/**
 * Reads a graph from a JSON or YAML file. Plugins that do not come with the SDK are imported by the
 * specifiers that the file names, if `allow` names them too.
 *
 * @throws {GenArmError} `InvalidGraphFile`, `PluginNotAllowed`, and the errors of `defineGraph`.
 *
 * @example
 * ```ts
 * import { defineGraph, loadGraph, prompted, saveGraph } from "genarm"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const sad = { reward: prompted({ prefix: "A sad story. " }), weight: -0.5 }
 * const file = join(await mkdtemp(join(tmpdir(), "graph-")), "graph.yaml")
 * await saveGraph(defineGraph({ base: "./models/base", rewards: { sad } }), file)
 * assertEquals(String(await loadGraph(file)), "base - 0.5*sad")
 * ```
 */
export function loadGraph(file: string | URL, options: LoadGraphOptions = {}): Promise<Graph> {
  return loadGraphWith(builtins, file, options)
}

/**
 * Says what a graph would run: engines and the rows of each, terms, sampler, strategy, and what they
 * cost, as data and, by `String`, as text. Nothing is loaded; of folders the sizes are looked at.
 *
 * @example
 * ```ts
 * import { explain, prompted } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const sad = { reward: prompted({ prefix: "A sad story. " }), weight: -0.5 }
 * const plan = await explain({ base: "tests/fixtures/models/llama", rewards: { sad } })
 * assertEquals(plan.engines.length, 1)
 * assertEquals(plan.engines[0].rows.length, 2) // the prompt, and the prompt after the prefix
 * ```
 */
export function explain(
  graph: Graph | GraphSpec,
  options: ExplainOptions = {},
): Promise<Explanation> {
  return explainWith(builtins, graph, options)
}

/**
 * The JSON Schema of graphs as data, for editors and other programs, with the options of the plugins
 * that come with the SDK and of `plugins`.
 *
 * @example
 * ```ts
 * import { graphSchema } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(graphSchema().$schema, "https://json-schema.org/draft/2020-12/schema")
 * ```
 */
export function graphSchema(plugins: readonly AnyPlugin[] = []): JsonSchema {
  return graphSchemaOf(withPlugins(builtins, plugins))
}

export * from "./plugins/mod.ts"
export { parseFormula } from "./src/graph/parse_formula.ts"
export type { FormulaParts } from "./src/graph/parse_formula.ts"
export { saveGraph } from "./src/graph/graph_file.ts"
export type { LoadGraphOptions, SaveGraphOptions } from "./src/graph/graph_file.ts"
export type {
  ExplainedEngine,
  ExplainedRow,
  ExplainedTerm,
  Explanation,
} from "./src/graph/explanation.ts"
export type { JsonSchema } from "./src/graph/graph_schema.ts"
export type { ExplainOptions } from "./src/explain_graph.ts"
export type { Pipeline } from "./src/decode/pipeline.ts"
export type {
  GenerateOptions,
  Generation,
  Prompt,
  Score,
  ScoredToken,
  TokenEvent,
  TokenLogProbabilities,
  TopToken,
  Trace,
} from "./src/decode/types.ts"
export type { ModelRef } from "./src/files/model_ref.ts"
export type { OnProgress, Progress } from "./src/files/progress.ts"
export type { ChatMessage } from "./src/files/tokenizer.ts"
export { formula } from "./src/graph/graph.ts"
export type { Graph, GraphSpec, RewardTerm, ScheduleNode, Weight } from "./src/graph/graph.ts"
export type { OpenOptions } from "./src/open_pipeline.ts"
export * from "./src/plugin/mod.ts"
export type { Engine, EngineCache, Row } from "./src/engine/engine.ts"
export type { Tokenizer } from "./src/files/tokenizer.ts"
export { Runtime, RuntimeKey } from "./src/runtime/runtime.ts"
export type { Companion, OpenModel, OpenRequest, RuntimeService } from "./src/runtime/runtime.ts"
export { type TableModel, tableRuntime, type TableValueModel } from "./src/runtime/table_runtime.ts"
export * from "./src/train/mod.ts"
export * from "./src/evaluate/mod.ts"
export {
  type Figure,
  frontierChart,
  type FrontierPoint,
  type FrontierSeries,
  type FrontierSpec,
} from "./src/show/frontier_chart.ts"
export { markdownTable, type Table, textTable } from "./src/show/table.ts"
export {
  lineChart,
  type LineChartSpec,
  type LineSeries,
  type Point,
} from "./src/show/line_chart.ts"
export { paint, TokenHeat, tokenHeat } from "./src/show/token_heat.ts"
export type { HeatOptions, MediaBundle } from "./src/show/token_heat.ts"
