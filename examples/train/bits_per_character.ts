/**
 * How well models predict the held-out stories: bits per character, the end of the text included, of
 * every held-out story that fits into each model's context. Lower is better.
 *
 *     deno run -A examples/train/bits_per_character.ts --model folder [--model folder ...] stories.txt ...
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { defineGraph, openPipeline } from "genarm"
import { meanEstimate, ratioEstimate } from "genarm/evaluate"
import { openTokenizer } from "genarm/train"
import { readCorpus } from "./_corpus.ts"

const write = (text: string) => process.stdout.write(`${text}\n`)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { model: { type: "string", multiple: true, default: [] } },
})
const { heldOut } = await readCorpus(positionals)
const complete = heldOut.filter(({ complete }) => complete).map(({ text }) => text)

/** Nats of each story under a model; none where it does not fit. */
async function natsOf(model: string): Promise<(number | undefined)[]> {
  await using pipeline = await openPipeline(defineGraph({ base: model }))
  const tokenizer = await openTokenizer(model)
  const nats: (number | undefined)[] = []
  for (const story of complete) {
    const ids = [...tokenizer.encodeContinuation(story)]
    try {
      nats.push(-(await pipeline.score("", ids)).base)
    } catch {
      nats.push(undefined)
    }
  }
  return nats
}

const nats: (number | undefined)[][] = []
for (const model of values.model) nats.push(await natsOf(model))
const common = complete.flatMap((_, i) => nats.every((of) => of[i] !== undefined) ? [i] : [])
write(`${common.length} of ${heldOut.length} held-out stories fit into every context`)
values.model.forEach((model, m) => {
  const bits = (i: number) => nats[m][i]! / Math.LN2
  const estimate = ratioEstimate(common.map(bits), common.map((i) => complete[i].length))
  const each = meanEstimate(common.map((i) => bits(i) / complete[i].length))
  write(
    `${model}: ${estimate.value.toFixed(4)} bits per character (${estimate.low.toFixed(4)} to ${
      estimate.high.toFixed(4)
    }); mean over stories ${each.value.toFixed(4)}`,
  )
})
