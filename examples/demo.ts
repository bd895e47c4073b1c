/**
 * Guided against unguided text. Two ways to say what is wanted, each with a positive and a negative
 * weight; tokens are green where the reward likes them better than the base does, red where less.
 *
 *     deno task demo [folder of a model]
 */
import process from "node:process"
import {
  contrast,
  defineGraph,
  openPipeline,
  paint,
  type Pipeline,
  prompted,
  sampling,
  type TokenEvent,
} from "genarm"
import { exampleModel } from "./_model.ts"

const { base, options, prompt, bright, gloomy } = exampleModel()
const request = { seed: 11, maxTokens: 100 }
const colours = process.stdout.isTTY === true && process.env.NO_COLOR === undefined
const write = (text: string) => process.stdout.write(text)

/** Streams one text, and gives the mean of what its tokens are coloured by. */
async function show(
  pipeline: Pipeline,
  weight: number,
  value: (token: TokenEvent) => number,
): Promise<void> {
  write(`\n  weight ${weight.toFixed(1).padStart(4)}  ${prompt.trimStart()}`)
  let sum = 0
  let count = 0
  for await (const token of pipeline.stream(prompt, { ...request, weights: { mood: weight } })) {
    write(colours ? paint(token.text, value(token), 1) : token.text)
    sum += value(token)
    count++
  }
  write(`\n               mean reward over the base ${(sum / count).toFixed(2)} nats a token\n`)
}

const ways = [
  {
    title: `prompted: the same model, after reading "${bright.trim()}"`,
    reward: prompted({ prefix: bright }),
    // Log-probabilities are below zero; what counts is how they differ from the base's.
    value: ({ rewards, logprob }: TokenEvent) => rewards.mood - logprob.base,
    // base - 1.0*mood would cancel the language itself: both are whole language models.
    weights: [0, 2, -0.5],
  },
  {
    title: `contrast: that, less the same model after reading "${gloomy.trim()}"`,
    reward: contrast({ expert: { prefix: bright }, amateur: { prefix: gloomy } }),
    value: ({ rewards }: TokenEvent) => rewards.mood,
    weights: [0, 5, -5],
  },
]

for (const { title, reward, value, weights } of ways) {
  const graph = defineGraph({
    base,
    rewards: { mood: { reward, weight: 1 } },
    sampler: sampling({ temperature: 0.8 }),
  })
  await using pipeline = await openPipeline(graph, options)
  write(`\n${title}\n`)
  for (const weight of weights) await show(pipeline, weight, value)
}
