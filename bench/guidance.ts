import { arm, defineGraph, openPipeline, type Pipeline, sampling } from "genarm"
import { availableParallelism } from "node:os"
import { type Aim, aimAt } from "./_aims.ts"
import { adapterRank, writeRandomAdapter } from "./_random_adapter.ts"
import { type ModelSize, writeRandomModel } from "./_random_model.ts"
import { median, spread } from "./_statistics.ts"
import { promptOf } from "./_subject.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { interleave, timeText } from "./_timing.ts"

const tokens = 32
/** Lengths of the prompts whose texts, and whose first tokens, are timed. */
const [short, long] = [24, 256]

type Precision = "f32" | "q4"

/** Guided texts that are compared with those of the base alone. */
interface Side {
  readonly name: string
  readonly adapters: number
  readonly models: number
  /** The most that a token may cost, in tokens of the base. */
  readonly aims: Readonly<Record<Precision, number>>
}

const base: Side = { name: "base alone", adapters: 0, models: 0, aims: { f32: 1, q4: 1 } }
const guided: readonly Side[] = [
  { name: "base + 1 adapter", adapters: 1, models: 0, aims: { f32: 1.2, q4: 1.3 } },
  { name: "base + 3 adapters", adapters: 3, models: 0, aims: { f32: 1.45, q4: 1.9 } },
  { name: "base + 1 model of its size", adapters: 0, models: 1, aims: { f32: 1.7, q4: 1.7 } },
]

/** Times guided texts beside those of the base alone, for adapters and for a model of their own. */
export async function guidance(
  { quick, size = quick ? "15M" : "135M", rounds = quick ? 8 : 12 }: {
    quick: boolean
    size?: ModelSize
    rounds?: number
  },
): Promise<BenchTable> {
  await using disposal = new AsyncDisposableStack()
  const model = disposal.use(await writeRandomModel(size))
  const other = disposal.use(await writeRandomModel(size, { seed: 2 }))
  const adapters: string[] = []
  for (const seed of [3, 4, 5]) {
    adapters.push(disposal.use(await writeRandomAdapter(model.folder, seed)).folder)
  }
  const rows: (string | number)[][] = []
  const reached: Aim[] = []
  for (const precision of ["f32", "q4"] as const) {
    await using opened = new AsyncDisposableStack()
    const pipelines: Pipeline[] = []
    for (const { adapters: count, models } of [base, ...guided]) {
      const rewards = [
        ...adapters.slice(0, count).map((adapter) => arm({ adapter })),
        ...models > 0 ? [arm({ model: other.folder, weights: precision })] : [],
      ]
      const graph = defineGraph({
        base: { model: model.folder, weights: precision },
        rewards: Object.fromEntries(
          rewards.map((reward, i) => [`reward${i}`, { reward, weight: 0.5 }]),
        ),
        sampler: sampling(),
      })
      // Said by number, threads are divided for each pipeline by itself.
      const threads = availableParallelism()
      pipelines.push(opened.use(await openPipeline(graph, { threads, onProgress: () => {} })))
    }
    const each = await timeAll(pipelines, short, tokens, rounds)
    const first = await timeAll(pipelines, long, 1, Math.ceil(rounds / 2))
    for (const [i, { name, aims }] of [base, ...guided].entries()) {
      const ratios = (times: readonly (readonly number[])[]) =>
        times[i].map((time, round) => time / times[0][round])
      rows.push([
        precision,
        name,
        median(each[i]).toFixed(2),
        i === 0 ? "" : spread(ratios(each), 2),
        i === 0 ? "" : aims[precision],
        median(first[i]).toFixed(0),
        i === 0 ? "" : spread(ratios(first), 2),
      ])
      if (i === 0) continue
      const question = `${name}, ${size} ${precision}: of the base's time`
      reached.push(aimAt(question, spread(ratios(each), 2), "lower", aims[precision]))
    }
  }
  return {
    question: `What does guidance cost beside the base alone? (${size} weights)`,
    columns: [
      "weights",
      "texts",
      "ms/token",
      "of the base's",
      "aim",
      `first token of ${long}, ms`,
      "of the base's",
    ],
    rows,
    notes: [
      `Random weights, ${availableParallelism()} threads; adapters of rank ${adapterRank} on queries, ` +
      "keys and values are rows of the base's forward pass. A model of its own runs in a worker at " +
      "the same time, each with its share of the threads.",
      `Sampled texts of ${tokens} tokens after a prompt of ${short}, ${rounds} rounds with all sides ` +
      `in turn, the time after the first token; then the first token alone after ${long}. Every text ` +
      "has a prompt of its own, so that none is read from a cache.",
      "Medians; ratios are of neighbouring texts, with their quartiles.",
    ],
    aims: reached,
  }
}

/** Milliseconds by pipeline and round: for each token after the first, or for the first alone. */
async function timeAll(
  pipelines: readonly Pipeline[],
  promptLength: number,
  maxTokens: number,
  rounds: number,
): Promise<number[][]> {
  let seed = 0
  return await interleave(
    pipelines.map((pipeline) => async () => {
      seed++
      const prompt = `${seed}. ${promptOf(promptLength)}`.slice(0, promptLength)
      const { first, each } = await timeText(async (onToken) => {
        for await (const _ of pipeline.stream(prompt, { maxTokens, seed })) onToken()
      }, () => 0)
      return maxTokens === 1 ? first.total : each.total
    }),
    rounds,
  )
}

if (import.meta.main) printTable(await guidance({ quick: false }))
