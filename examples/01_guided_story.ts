/**
 * A story that begins sad and is turned happy while it is written.
 *
 *     deno run -A examples/01_guided_story.ts [folder of a model]
 */
import process from "node:process"
import { contrast, defineGraph, live, openPipeline, sampling } from "genarm"
import { exampleModel } from "./_model.ts"

const { base, prompt, bright, gloomy } = exampleModel()

// A reward: how much likelier a token is after a happy beginning than after a sad one.
const mood = contrast({ expert: { prefix: bright }, amateur: { prefix: gloomy } })
// Its weight is in our hands: below zero it steers away.
const weight = live(-5)

const graph = defineGraph({
  base,
  rewards: { mood: { reward: mood, weight } },
  sampler: sampling({ temperature: 0.8, topP: 0.95 }),
})

await using pipeline = await openPipeline(graph)
process.stdout.write(prompt)
let written = 0
for await (const token of pipeline.stream(prompt, { seed: 3, maxTokens: 120 })) {
  process.stdout.write(token.text)
  if (++written === 30) weight.set(5) // the very next token feels it
}
process.stdout.write("\n")
