/**
 * A reward of one's own, the checks that it keeps its contract, and the stories that it makes: they do
 * without the letter e. `examples/guides/write_a_reward.md` goes on from here.
 *
 *     deno run -A examples/03_write_a_reward.ts [folder of a model]
 */
import process from "node:process"
import { defineGraph, defineReward, openPipeline, sampling } from "genarm"
import { conformance } from "genarm/testing"
import { exampleModel } from "./_model.ts"

const noE = defineReward({
  name: "noE",
  open: (_, { token }) => ({
    score(_, out) {
      for (let id = 0; id < out.length; id++) out[id] = /e/i.test(token(id) ?? "") ? -1 : 0
    },
  }),
})

const checks = conformance(noE)
for (const { run } of checks) await run()
process.stdout.write(`noE keeps its contract (${checks.length} checks)\n`)

const { base, prompt } = exampleModel()
const rewards = { noE: { reward: noE(), weight: 10 } }
const graph = defineGraph({ base, rewards, sampler: sampling({ temperature: 0.7 }) })
await using pipeline = await openPipeline(graph)
for (const weight of [0, 10]) {
  const weights = { noE: weight }
  const { text } = await pipeline.generate(prompt, { weights, seed: 1, maxTokens: 60 })
  process.stdout.write(`\nweight ${weight}: ${prompt}${text}\n`)
}
