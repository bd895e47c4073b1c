/**
 * What guidance did: texts at every setting of the weights, from one open pipeline, with the same
 * prompts and seeds, and what they are like.
 *
 * KL per token: the tokens of a text are drawn one after the other from the guided distribution, and
 * where a text stops depends on what was drawn only. So the expected sum of log guided - log base
 * over a text is the expected sum of the exact divergences at its steps; both over the mean length.
 */
import { Schema } from "effect"
import type { Pipeline } from "../decode/pipeline.ts"
import type { Generation, Prompt } from "../decode/types.ts"
import { GenArmError, messageOf } from "../errors.ts"
import { decodeAt, printValue } from "../plugin/options.ts"
import { estimateFields } from "./estimate.ts"
import { summarize } from "./summarize.ts"
import type { GuidanceOptions, GuidanceRow, GuidedText, Measure } from "./types.ts"

/** Texts between two reports of progress. */
const together = 64

const schema = Schema.Struct({
  ...estimateFields,
  prompts: Schema.NonEmptyArray(Schema.Unknown),
  samples: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  weights: Schema.NonEmptyArray(Schema.Record(Schema.String, Schema.Finite)),
  maxTokens: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  measures: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  onProgress: Schema.optionalKey(Schema.Unknown),
  signal: Schema.optionalKey(Schema.Unknown),
})

/**
 * Writes texts at every setting and measures them; one row for each setting, in their order. A first
 * setting with all weights 0 is the base itself: `compareRows` says what changed from it.
 *
 * Intervals are over texts, for the prompts given: they do not say how other prompts would do.
 *
 * @throws {GenArmError} Reason `InvalidOption` with the path, `PluginFailed` when a measure throws or
 * gives no finite number, and whatever writing the texts can end with.
 *
 * @example
 * ```ts
 * import { arm, defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { evaluateGuidance } from "genarm/evaluate"
 * import { assert } from "@std/assert"
 *
 * const model = (yes: number) => ({ vocabulary: ["yes", "no"], next: () => [yes, 1 - yes] })
 * const graph = defineGraph({
 *   base: "even",
 *   rewards: { yes: { reward: arm({ model: "keen" }), weight: 1 } },
 * })
 * await using pipeline = await openPipeline(graph, {
 *   runtime: tableRuntime({ even: model(0.5), keen: model(0.9) }),
 * })
 * const [base, guided] = await evaluateGuidance(pipeline, {
 *   prompts: ["no"],
 *   samples: 50,
 *   weights: [{ yes: 0 }, { yes: 1 }],
 *   maxTokens: 10,
 *   measures: { yeses: (text) => text.split("yes").length - 1 },
 * })
 * assert(guided.measures.yeses.low > base.measures.yeses.high)
 * assert(base.kl.value === 0 && guided.kl.low > 0)
 * ```
 */
export async function evaluateGuidance(
  pipeline: Pipeline,
  options: GuidanceOptions,
): Promise<GuidanceRow[]> {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  )
  decodeAt(schema, given, [], "InvalidOption")
  checkNames(pipeline, options)
  const { prompts, samples = 1, weights, maxTokens = 256, seed = 0, signal, onProgress } = options
  const measures = Object.entries(options.measures ?? {})
  const all = prompts.flatMap((prompt) => Array.from({ length: samples }, () => prompt))
  const total = all.length * weights.length
  const rows: GuidanceRow[] = []
  let done = 0
  for (const setting of weights) {
    const texts: GuidedText[] = []
    let isUnbiased = true
    onProgress?.({ done, total, weights: setting })
    for (let at = 0; at < all.length; at += together) {
      const batch = all.slice(at, at + together)
      const generations = await pipeline.generateAll(batch, {
        weights: setting,
        maxTokens,
        seed: (seed + at) % 2 ** 32,
        ...signal !== undefined && { signal },
      })
      for (let i = 0; i < batch.length; i++) {
        texts.push(await measure(generations[i], batch[i], measures))
        isUnbiased &&= generations[i].tokens.every(isDrawnAsGuided)
      }
      done += batch.length
      onProgress?.({ done, total, weights: setting })
    }
    rows.push(summarize(setting, texts, isUnbiased, options))
  }
  return rows
}

/** Whether neither temperature nor truncation changed a token's probability, but for rounding. */
function isDrawnAsGuided({ logprob: { guided, sampled } }: Generation["tokens"][number]): boolean {
  return Math.abs(sampled - guided) < 1e-3
}

async function measure(
  generation: Generation,
  prompt: Prompt,
  measures: readonly (readonly [string, Measure])[],
): Promise<GuidedText> {
  const { text, ids, tokens, stopReason, seed } = generation
  const logprob = { base: 0, guided: 0 }
  const rewards: Record<string, number> = {}
  for (const token of tokens) {
    logprob.base += token.logprob.base
    logprob.guided += token.logprob.guided
    for (const name in token.rewards) rewards[name] = (rewards[name] ?? 0) + token.rewards[name]
  }
  const figures: Record<string, number> = {}
  for (const [name, of] of measures) {
    figures[name] = await guardMeasure(name, text, () => of(text, generation, prompt))
  }
  return { prompt, text, ids, stopReason, seed, logprob, rewards, measures: figures }
}

async function guardMeasure(
  name: string,
  text: string,
  run: () => number | PromiseLike<number>,
): Promise<number> {
  const reason = { _tag: "PluginFailed", plugin: name } as const
  const where = `the measure "${name}" of the text ${printValue(text)}`
  let value: number
  try {
    value = await run()
  } catch (cause) {
    throw new GenArmError(reason, `${where} failed: ${messageOf(cause)}`, { cause })
  }
  if (Number.isFinite(value)) return value
  throw new GenArmError(reason, `${where} gave ${printValue(value)}: expected a finite number`)
}

/** Finds at once what would else end the measurement half-way. */
function checkNames(pipeline: Pipeline, options: GuidanceOptions): void {
  const names = Object.keys(pipeline.graph.rewards)
  options.weights.forEach((setting, i) => {
    const unknown = Object.keys(setting).find((name) => !names.includes(name))
    if (unknown === undefined) return
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["weights", i, unknown] },
      `there is no reward "${unknown}" to weigh; the graph has ${names.join(", ") || "none"}`,
    )
  })
  for (const [name, measure] of Object.entries(options.measures ?? {})) {
    checkFunction(["measures", name], measure)
  }
  if (options.onProgress !== undefined) checkFunction(["onProgress"], options.onProgress)
}

function checkFunction(path: readonly string[], value: unknown): void {
  if (typeof value === "function") return
  throw new GenArmError(
    { _tag: "InvalidOption", path },
    `expected a function, found ${printValue(value)}, at ${path.join(".")}`,
  )
}
