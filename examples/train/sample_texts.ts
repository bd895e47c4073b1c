/**
 * Samples of a model as JSON lines `{ prompt, text, complete }`: more text to learn from, or texts to
 * be ranked. With story files each text goes on from the first sentence of a story, `--each` texts a
 * story; without, texts begin from nothing. A text that ran into `--tokens` is kept (leaving such
 * texts out would leave out all long ones), and marked as not complete.
 *
 *     deno run -A examples/train/sample_texts.ts --model folder --out texts.jsonl \
 *       [--texts 1000] [--each 8] [--seed 0] [--tokens 400] [--temperature 1] [--threads 2] [stories.txt ...]
 */
import { appendFileSync, writeFileSync } from "node:fs"
import process from "node:process"
import { parseArgs } from "node:util"
import { defineGraph, openPipeline, sampling } from "genarm"
import { openingsOf, readCorpus } from "./_corpus.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string" },
    out: { type: "string" },
    texts: { type: "string", default: "1000" },
    each: { type: "string", default: "8" },
    seed: { type: "string", default: "0" },
    tokens: { type: "string", default: "400" },
    temperature: { type: "string", default: "1" },
    threads: { type: "string" },
  },
})
const { model, out } = values
if (model === undefined || out === undefined) {
  throw new Error("name a model folder with --model and a file to write with --out")
}
const texts = Number(values.texts)
const each = Number(values.each)
const prompts = positionals.length === 0
  ? Array.from({ length: Math.ceil(texts / each) }, () => "")
  : openingsOf((await readCorpus(positionals)).train).slice(0, Math.ceil(texts / each))

const graph = defineGraph({
  base: model,
  sampler: sampling({ temperature: Number(values.temperature) }),
})
await using pipeline = await openPipeline(
  graph,
  values.threads === undefined ? {} : { threads: Number(values.threads) },
)
writeFileSync(out, "")
/** Prompts that run together. */
const together = Math.max(1, Math.floor(256 / each))
for (let at = 0; at < prompts.length; at += together) {
  const some = prompts.slice(at, at + together)
  const generations = await pipeline.generateAll(some, {
    n: each,
    seed: (Number(values.seed) + at * each) % 2 ** 32,
    maxTokens: Number(values.tokens),
    trace: "none",
  })
  const lines = generations.map(({ text, stopReason }, i) =>
    JSON.stringify({
      prompt: some[Math.floor(i / each)],
      text,
      complete: stopReason === "eos",
    })
  )
  appendFileSync(out, lines.join("\n") + "\n")
  if (process.stderr.isTTY) {
    process.stderr.write(
      `\r${Math.min(at + together, prompts.length)} of ${prompts.length} prompts`,
    )
  }
}
