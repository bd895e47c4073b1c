/**
 * What 8-bit and 4-bit weights cost and save: how far the distributions are from those of float32,
 * how long opening takes the first time and later, and a step's time.
 *
 * `deno run -A bench/quantisation.ts [--quick] [folder of a model ...]`
 */
import { existsSync } from "node:fs"
import { mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Engine } from "../src/engine/engine.ts"
import { openEngine } from "../src/runtime/open_engine.ts"
import { bareLoop } from "./_bare_loop.ts"
import { type EncodedText, encodeTexts, quality, readBenchTexts } from "./_quality.ts"
import { writeRandomModel } from "./_random_model.ts"
import { median, spread } from "./_statistics.ts"
import { threads } from "./_subject.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { interleave } from "./_timing.ts"

const precisions = ["f32", "q8", "q4"] as const

const embedded = fileURLToPath(new URL("../examples/models/base", import.meta.url))
const beside = fileURLToPath(new URL("../../shared/data/models", import.meta.url))

/** Compares the precisions on the embedded model, on those beside the project, and on a random one. */
export async function quantisation(
  { quick, models = [] }: { quick: boolean; models?: readonly string[] },
): Promise<BenchTable> {
  const size = quick ? "15M" : "135M"
  const { texts, source } = await readBenchTexts()
  const rows: (string | number)[][] = []
  const found = existsSync(beside) ? (await readdir(beside)).map((name) => join(beside, name)) : []
  for (const folder of [embedded, ...found, ...models]) {
    const encoded = await encodeTexts(folder, texts, quick)
    rows.push(...await compare(basename(folder), folder, encoded, quick))
  }
  await using random = await writeRandomModel(size)
  rows.push(...await compare(`random ${size}`, random.folder, [], quick))
  return {
    question: "What do 8-bit and 4-bit weights cost, and what do they save?",
    columns: [
      ...["model", "weights", "KL(f32 ‖ q), nats/token", "same top token", "bits/character"],
      ...["kept file, MB", "first open, s", "later, s", "step / f32"],
    ],
    rows,
    notes: [
      `Quality on ${source}: the divergence of each next-token distribution from that of float32, ` +
      "and how often both have the same likeliest token. Random weights predict nothing.",
      "q4 is 4 bits in the layers and 8 in the head; the embedding is float32 in all. Products " +
      "round their input to 8 bits too.",
      "Opening includes the session of ONNX Runtime; later is the median of 3. Models of less than " +
      "4 million weights are quantised at every opening and no file is kept.",
      `Steps of one token at batch 1, ${threads} threads, the three in turn; median of the ratios of ` +
      "neighbouring texts, with quartiles.",
    ],
  }
}

/** The three rows of a model; without texts, those of time alone. */
async function compare(
  name: string,
  folder: string,
  texts: readonly EncodedText[],
  quick: boolean,
): Promise<(string | number)[][]> {
  const cache = await mkdtemp(join(tmpdir(), "genarm-bench-"))
  const before = process.env.GENARM_CACHE
  process.env.GENARM_CACHE = cache // what the model's own folder may hold stays as it is
  const engines: Engine[] = []
  try {
    const opening: { first: number; later: number; bytes: number | undefined }[] = []
    for (const precision of precisions) {
      const seconds: number[] = []
      for (let time = 0; time < 4; time++) {
        await engines[opening.length]?.close()
        const start = performance.now()
        const spec = { name, folder, precision, device: "cpu", threads } as const
        engines[opening.length] = await openEngine(spec)
        seconds.push((performance.now() - start) / 1000)
      }
      const [first, ...later] = seconds
      opening.push({ first, later: median(later), bytes: await keptBytes(cache, precision) })
    }
    const times = await interleave(
      engines.map((engine) => async () => {
        const start = performance.now()
        await bareLoop(engine, [[1]], 24)
        return performance.now() - start
      }),
      quick ? 10 : 20,
    )
    const qualities = texts.length === 0 ? [] : await quality(engines, texts)
    return precisions.map((precision, i) => {
      const { first, later, bytes } = opening[i]
      return [
        name,
        precision,
        qualities[i]?.divergence.toFixed(4) ?? "",
        qualities[i] === undefined ? "" : `${(100 * qualities[i].sameTop).toFixed(1)} %`,
        qualities[i]?.bitsPerCharacter.toFixed(4) ?? "",
        bytes === undefined ? "" : (bytes / 1e6).toFixed(1),
        first.toFixed(2),
        later.toFixed(2),
        spread(times[i].map((time, round) => time / times[0][round]), 2),
      ]
    })
  } finally {
    for (const engine of engines) await engine.close()
    if (before === undefined) delete process.env.GENARM_CACHE
    else process.env.GENARM_CACHE = before
    await rm(cache, { recursive: true, force: true })
  }
}

async function keptBytes(cache: string, precision: string): Promise<number | undefined> {
  for (const model of await readdir(cache)) {
    const info = await stat(join(cache, model, `weights-${precision}.safetensors`)).catch(() => {})
    if (info !== undefined) return info.size
  }
  return undefined
}

if (import.meta.main) {
  const { values: { quick }, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: "boolean", default: false } },
  })
  printTable(await quantisation({ quick, models: positionals }))
}
