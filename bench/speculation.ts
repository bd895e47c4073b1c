import { Effect, Layer } from "effect"
import { arm, defineGraph, openPipeline, type Pipeline, speculative } from "genarm"
import type { GraphSpec, SpeculativeOptions } from "genarm"
import { Runtime } from "genarm/effect"
import { fileURLToPath } from "node:url"
import type { Engine } from "../src/engine/engine.ts"
import { cpu } from "../src/runtime/onnx_runtime.ts"
import { aimAt } from "./_aims.ts"
import { type Distribution, pairOf, withDistribution } from "./_known_distributions.ts"
import { type ModelSize, writeRandomModel } from "./_random_model.ts"
import { median, spread } from "./_statistics.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { interleave } from "./_timing.ts"

/** Times guided texts with and without drafts. */
export async function speculation({ quick }: { quick: boolean }): Promise<BenchTable> {
  const rows = [
    ...await embedded(quick),
    ...quick
      ? await constructed("15M", "3M", { vocabulary: 4096, quick })
      : await constructed("135M", "15M", { vocabulary: 32000, quick }),
  ]
  return {
    question: "Does speculation pay, and does it ever cost?",
    columns: [
      "base, and the reward model that drafts",
      "choice",
      "plain ms/token",
      "speculative ms/token",
      "plain / speculative",
      "tokens a run of the base",
      "aim, at least",
    ],
    rows,
    aims: rows.filter((row) => row[6] !== "").map(([models, choice, , , ratio, , aim]) =>
      aimAt(`speculative, ${models}, ${choice}: plain / speculative`, ratio, "higher", Number(aim))
    ),
    notes: [
      "The reward has weights of its own and drafts what it will judge; `speculative({ draft })` with " +
      "its defaults beside plain decoding of the same graph, in alternating texts; medians, and the " +
      "ratio of neighbouring texts with its quartiles.",
      "Real: the models of the examples, weight 1. Set: random float32 weights whose log-probabilities " +
      "are replaced by known ones, so that a drafted token is accepted with the probability given.",
    ],
  }
}

/** A pipeline whose base's runs are counted. */
interface Counted {
  readonly pipeline: Pipeline
  readonly baseRuns: () => number
}

async function embedded(quick: boolean): Promise<(string | number)[][]> {
  const folder = (name: string) =>
    fileURLToPath(new URL(`../examples/models/${name}`, import.meta.url))
  const small = { model: folder("cheerful-small") }
  const rows: (string | number)[][] = []
  for (const [choice, sampler] of [["sampled", "sampling"], ["greedy", "greedy"]]) {
    const spec: GraphSpec = {
      base: folder("base"),
      rewards: { cheerful: { reward: arm(small), weight: 1 } },
      sampler: { plugin: sampler, options: {} } as never,
    }
    rows.push([
      "examples: 2.8M, 0.6M; real acceptance",
      choice,
      ...await compare(spec, { draft: small }, "Once upon a time", 96, quick ? 9 : 31),
      0.95,
    ])
  }
  return rows
}

async function constructed(
  base: ModelSize,
  draft: ModelSize,
  /** `vocabulary`: ids of the smaller of the two. */
  { vocabulary, quick }: { readonly vocabulary: number; readonly quick: boolean },
): Promise<(string | number)[][]> {
  await using large = await writeRandomModel(base)
  await using small = await writeRandomModel(draft, { seed: 2 })
  const rows: (string | number)[][] = []
  for (const acceptance of [0.5, 0.6, 0.8, 0.9]) {
    const { even, tilted } = pairOf(acceptance, vocabulary)
    const spec: GraphSpec = {
      base: large.folder,
      rewards: { reward: { reward: arm({ model: small.folder }), weight: 1 } },
    }
    rows.push([
      `${base}, ${draft}; acceptance set to ${acceptance}`,
      "sampled",
      ...await compare(spec, { draft: { model: small.folder } }, "Once upon", 64, quick ? 5 : 9, {
        [large.folder]: tilted,
        [small.folder]: even,
      }),
      acceptance === 0.8 ? 1.5 : acceptance > 0.8 ? "" : 0.95,
    ])
  }
  return rows
}

/** Plain and speculative milliseconds a token, their ratio, and tokens a run of the base. */
async function compare(
  spec: GraphSpec,
  options: SpeculativeOptions,
  prompt: string,
  tokens: number,
  rounds: number,
  known: Readonly<Record<string, Distribution>> = {},
): Promise<string[]> {
  await using plain = await open(spec, known)
  await using drafted = await open({ ...spec, strategy: speculative(options) }, known)
  let written = 0
  let seed = 0
  const time = (pipeline: Pipeline) => async () => {
    const start = performance.now()
    const { ids } = await pipeline.generate(prompt, { maxTokens: tokens, seed: seed++ })
    if (pipeline === drafted.pipeline) written += ids.length
    return (performance.now() - start) / ids.length
  }
  const [plainTimes, draftedTimes] = await interleave(
    [time(plain.pipeline), time(drafted.pipeline)],
    rounds,
  )
  return [
    median(plainTimes).toFixed(3),
    median(draftedTimes).toFixed(3),
    spread(plainTimes.map((time, round) => time / draftedTimes[round]), 2),
    (written / drafted.baseRuns()).toFixed(2),
  ]
}

async function open(
  spec: GraphSpec,
  known: Readonly<Record<string, Distribution>>,
): Promise<Counted & AsyncDisposable> {
  let baseRuns = 0
  const graph = defineGraph(spec)
  const observe = (model: string, engine: Engine): Engine => {
    const watched = model !== graph.base.model ? engine : {
      ...bound(engine),
      forward: (rows: Parameters<Engine["forward"]>[0]) => {
        baseRuns++
        return engine.forward(rows)
      },
    }
    return Object.hasOwn(known, model) ? withDistribution(watched, known[model]) : watched
  }
  const layer = Layer.effect(
    Runtime,
    Effect.map(Runtime, (runtime) =>
      Runtime.of({
        name: "bench",
        open: (request) =>
          Effect.map(runtime.open(request), (model) => ({
            ...model,
            engine: observe(request.ref.model, model.engine),
          })),
      })),
  ).pipe(Layer.provide(cpu))
  const pipeline = await openPipeline(graph, { runtime: layer })
  return {
    pipeline,
    baseRuns: () => baseRuns,
    [Symbol.asyncDispose]: () => pipeline.close(),
  }
}

/** The engine's members as an object of its own. */
function bound(engine: Engine): Engine {
  return {
    name: engine.name,
    vocabularySize: engine.vocabularySize,
    width: engine.width,
    contextLength: engine.contextLength,
    openCache: (adapter) => engine.openCache(adapter),
    forward: (rows) => engine.forward(rows),
    close: () => engine.close(),
  }
}

if (import.meta.main) printTable(await speculation({ quick: false }))
