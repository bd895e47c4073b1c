/**
 * The base story-teller: a small Llama trained on stories. With `--more` it first learns from further
 * texts (samples of another model: `sample_texts.ts`) together with the stories, and then from the
 * stories alone. With `--from` it goes on from a model that is there, in longer windows say: positions
 * that no window had are strange to it, whatever its context.
 *
 *     deno run -A examples/train/train_base.ts --tokenizer folder --out folder [--more texts.jsonl ...] \
 *       [--from folder] [--hidden 192] [--layers 6] [--heads 6] [--key-value-heads 2] [--context 512] \
 *       [--tokens 256] [--batch 16] [--accumulate 1] [--threads 2] stories.txt ...
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { type CorpusText, createModel, nextToken, readTexts, train } from "genarm"
import { readCorpus } from "./_corpus.ts"

const say = (text: string) => process.stderr.write(`${text}\n`)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokenizer: { type: "string" },
    from: { type: "string" },
    out: { type: "string" },
    more: { type: "string", multiple: true, default: [] },
    hidden: { type: "string", default: "192" },
    layers: { type: "string", default: "6" },
    heads: { type: "string", default: "6" },
    "key-value-heads": { type: "string", default: "2" },
    rate: { type: "string", default: "3e-3" },
    epochs: { type: "string", default: "1" },
    "story-epochs": { type: "string", default: "3" },
    context: { type: "string", default: "512" },
    tokens: { type: "string", default: "256" },
    batch: { type: "string", default: "16" },
    accumulate: { type: "string", default: "1" },
    threads: { type: "string" },
  },
})
const { tokenizer, out } = values
if ((tokenizer ?? values.from) === undefined || out === undefined || positionals.length === 0) {
  throw new Error(
    "name a folder with --tokenizer or --from, a folder to write with --out, and story files",
  )
}

const { train: stories, heldOut } = await readCorpus(positionals)
const work = `${out.replace(/\/$/, "")}-work`
const fresh = join(work, "new")
const common = {
  objective: nextToken(),
  tokens: Number(values.tokens),
  batch: Number(values.batch),
  accumulate: Number(values.accumulate),
  logEvery: 20,
  checkpointEvery: 50,
}
const options = values.threads === undefined ? {} : { threads: Number(values.threads) }
const optimizer = { learningRate: Number(values.rate), weightDecay: 0.1 }

if (values.from === undefined) {
  const size = await createModel({
    out: fresh,
    tokenizer: tokenizer!,
    hiddenSize: Number(values.hidden),
    layers: Number(values.layers),
    heads: Number(values.heads),
    keyValueHeads: Number(values["key-value-heads"]),
    contextLength: Number(values.context),
    seed: 1,
  })
  say(`${size} parameters`)
}
say(`${stories.length} stories, ${heldOut.length} held out`)

let base = values.from ?? fresh
if (values.more.length > 0) {
  const more: CorpusText[] = []
  for (const file of values.more) more.push(...await Array.fromAsync(readTexts(file)))
  const first = join(work, "first")
  if (!existsSync(join(first, "model.safetensors"))) {
    await train({
      ...common,
      base,
      data: [...stories, ...more],
      // A part of what is held out tells how it goes.
      heldOut: heldOut.slice(0, 40),
      out: first,
      epochs: Number(values.epochs),
      optimizer,
      warmup: 100,
      evaluate: { every: 200 },
      seed: 1,
    }, options)
  }
  base = first
}
const run = await train({
  ...common,
  base,
  data: stories,
  heldOut,
  out,
  epochs: Number(values["story-epochs"]),
  optimizer: values.more.length > 0
    ? { ...optimizer, learningRate: Number(values.rate) / 3 }
    : optimizer,
  warmup: 50,
  evaluate: { every: 200, patience: 2 },
  seed: 2,
  dtype: "F16",
  card: {
    name: "genarm story-teller",
    ...values.more.length > 0 &&
      { base: "the same model after a first pass over stories and samples" },
    summary: "A small language model of children's stories, the base of genarm's examples.",
    licence: "cdla-sharing-1.0",
    licenceNotes: "Learnt from TinyStories (CDLA-Sharing-1.0) and samples of stories260K (MIT).",
    languages: ["en"],
  },
}, options)
say(`before ${JSON.stringify(run.before)}`)
say(`after ${JSON.stringify(run.heldOut)}`)
