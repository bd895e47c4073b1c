/**
 * More text to learn from: samples of a model, as JSON lines `{ text, complete }`, appended until
 * there are as many characters as asked for. A text that ran into the model's context is kept
 * (leaving such texts out would leave out all long ones), and marked as not complete.
 *
 *     deno run -A examples/train/sample_texts.ts --model folder --out texts.jsonl \
 *       [--characters 1000000] [--seed 0] [--batch 256] [--temperature 1] [--threads 2]
 */
import { appendFileSync, existsSync, statSync } from "node:fs"
import process from "node:process"
import { parseArgs } from "node:util"
import { defineGraph, openPipeline, sampling } from "genarm"

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    out: { type: "string" },
    characters: { type: "string", default: "1000000" },
    seed: { type: "string", default: "0" },
    batch: { type: "string", default: "256" },
    temperature: { type: "string", default: "1" },
    tokens: { type: "string", default: "500" },
    threads: { type: "string" },
  },
})
if (values.model === undefined || values.out === undefined) {
  throw new Error("name a model folder with --model and a file to write with --out")
}

const graph = defineGraph({
  base: values.model,
  sampler: sampling({ temperature: Number(values.temperature) }),
})
await using pipeline = await openPipeline(
  graph,
  values.threads === undefined ? {} : { threads: Number(values.threads) },
)

const characters = Number(values.characters)
const n = Number(values.batch)
let written = existsSync(values.out) ? statSync(values.out).size : 0
// A file that is there already has taken its seeds.
for (let seed = Number(values.seed) + written; written < characters;) {
  const options = { n, seed: seed % 2 ** 32, maxTokens: Number(values.tokens), trace: "none" }
  const texts = await pipeline.generateAll([""], options as never)
  const lines = texts.map(({ text, stopReason }) =>
    JSON.stringify({ text: text.trim(), complete: stopReason === "eos" })
  ).join("\n") + "\n"
  appendFileSync(values.out, lines)
  written += lines.length
  seed += n
  if (process.stderr.isTTY) process.stderr.write(`\r${written} of ${characters} characters`)
}
