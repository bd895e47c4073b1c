/**
 * A reward model of one's own, from a file of preferences to guided text, in a minute or two.
 * `examples/data/plain.jsonl` holds pairs of stories of which the one in shorter sentences is preferred:
 * `{ "prompt": "...", "chosen": "...", "rejected": "..." }` a line. Put your own file in its place.
 *
 *     deno run -A examples/02_train_a_reward.ts [preferences.jsonl]
 */
import process from "node:process"
import { fileURLToPath } from "node:url"
import { arm, armPreference, defineGraph, openPipeline, train } from "genarm"
import { model } from "./_models.ts"

const write = (text: string) => process.stdout.write(`${text}\n`)

const data = process.argv[2] ?? fileURLToPath(new URL("./data/plain.jsonl", import.meta.url))
const out = fileURLToPath(new URL("./output/plain", import.meta.url))

// A low-rank adapter on the story-teller learns to find the chosen texts likelier than the rejected.
const run = await train({
  base: model("base"),
  adapter: {
    rank: 4,
    targets: ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
  },
  objective: armPreference({ beta: 0.05 }),
  data,
  heldOut: 0.15,
  out,
  epochs: 3,
  batch: 8,
  accumulate: 2,
  tokens: 320,
  optimizer: { learningRate: 2e-3 },
}, { resume: false })
write(run.data.report ?? "")
const share = (figures: Readonly<Record<string, number>>) =>
  `${(100 * figures["rewards/accuracies"]).toFixed(0)} %`
write(
  `held-out pairs ranked rightly: ${share(run.before)} by the base, ${
    share(run.heldOut)
  } by the reward`,
)

const graph = defineGraph({
  base: model("base"),
  rewards: { plain: { reward: arm({ adapter: out }), weight: 1 } },
})
await using pipeline = await openPipeline(graph)
const prompt = "Once upon a time, there was a little boy named Tim."
for (const weight of [0, 1, 3]) {
  const { text } = await pipeline.generate(prompt, {
    seed: 2,
    maxTokens: 80,
    weights: { plain: weight },
  })
  write(`\nweight ${weight}: ${prompt}${text}`)
}
write(`\nThe reward model, its card and its log: ${out}`)
