/**
 * Guided against unguided text, on the small models in `examples/models`: a story-teller, and two
 * autoregressive reward models beside it, one that likes cheerful stories and one that likes dialogue.
 * First the texts, token by token; then what guidance does and costs, as figures and as a picture.
 *
 *     deno task demo
 */
import { mkdirSync, writeFileSync } from "node:fs"
import process from "node:process"
import { fileURLToPath } from "node:url"
import {
  arm,
  defineGraph,
  evaluateGuidance,
  frontierChart,
  guidancePoints,
  openPipeline,
  paint,
  sampling,
  textTable,
  type TokenEvent,
} from "genarm"
import { model } from "./_models.ts"
import { dialogue } from "./train/_scores.ts"

const prompt = "One day, a little girl named Lily went to the park."
const graph = (temperature: number) =>
  defineGraph({
    base: model("base"),
    rewards: {
      cheerful: { reward: arm({ adapter: model("cheerful") }), weight: 1 },
      dialogue: { reward: arm({ adapter: model("dialogue") }), weight: 1 },
    },
    sampler: sampling({ temperature }),
  })
// Texts to read are drawn at 0.7. What guidance costs is measured at 1, where it is exact. Both
// pipelines share the models.
await using pipeline = await openPipeline(graph(0.7))
await using measuring = await openPipeline(graph(1))

const colours = process.stdout.isTTY === true && process.env.NO_COLOR === undefined
const write = (text: string) => process.stdout.write(text)

write(`${pipeline.graph}\n`)
write(
  "Tokens are green where the reward likes them better than it likes the base's, red where less.\n",
)

/** How a reward finds a token, by the base's own view of it: nats. */
const gain = (name: string, { rewards, logprob }: TokenEvent) => rewards[name] - logprob.base

// Where the colours turn: the mean over a few texts of the base alone.
const plain = await pipeline.generateAll([prompt], {
  n: 4,
  seed: 1,
  maxTokens: 90,
  weights: { cheerful: 0, dialogue: 0 },
})
const usual = (name: string) =>
  meanOf(plain.flatMap(({ tokens }) => tokens.map((token) => gain(name, token))))
const neutral = { cheerful: usual("cheerful"), dialogue: usual("dialogue") }

for (
  const { title, weights, by } of [
    { title: "the base alone", weights: { cheerful: 0, dialogue: 0 }, by: "cheerful" as const },
    {
      title: "guided by cheerful, weight 1",
      weights: { cheerful: 1, dialogue: 0 },
      by: "cheerful" as const,
    },
    {
      title: "guided by dialogue, weight 1",
      weights: { cheerful: 0, dialogue: 1 },
      by: "dialogue" as const,
    },
    {
      title: "by both, weight 0.5 each",
      weights: { cheerful: 0.5, dialogue: 0.5 },
      by: "cheerful" as const,
    },
    {
      title: "away from cheerful, weight -0.5",
      weights: { cheerful: -0.5, dialogue: 0 },
      by: "cheerful" as const,
    },
  ]
) {
  write(`\n${title}\n  ${prompt}`)
  const total = { base: 0, cheerful: 0, dialogue: 0 }
  let count = 0
  for await (const token of pipeline.stream(prompt, { weights, seed: 4, maxTokens: 90 })) {
    const text = token.text.replaceAll("\n", "\n  ")
    write(colours ? paint(text, gain(by, token) - neutral[by], 4) : text)
    total.base += token.logprob.base
    total.cheerful += token.rewards.cheerful
    total.dialogue += token.rewards.dialogue
    count++
  }
  const mean = (sum: number) => (sum / count).toFixed(2)
  write(
    `\n  nats a token: base ${mean(total.base)}, cheerful ${mean(total.cheerful)}, dialogue ${
      mean(total.dialogue)
    }\n`,
  )
}

write("\nWhat guidance does, over 16 texts a setting at temperature 1 (95 % intervals):\n\n")
// Two budgets of weight, each divided in three ways, and none.
const budgets = [0.5, 1]
const weights = [
  { cheerful: 0, dialogue: 0 },
  ...budgets.flatMap((budget) =>
    [1, 0.5, 0].map((share) => ({ cheerful: share * budget, dialogue: (1 - share) * budget }))
  ),
]
const rows = await evaluateGuidance(measuring, {
  prompts: [prompt],
  samples: 16,
  weights,
  maxTokens: 80,
  measures: { "in quotes": dialogue },
})
const range = ({ value, low, high }: { value: number; low: number; high: number }) =>
  `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
write(textTable({
  columns: ["cheerful", "dialogue", "log cheerful", "log dialogue", "in quotes", "KL a token"],
  rows: rows.map((row) => [
    row.weights.cheerful,
    row.weights.dialogue,
    range(row.rewards.cheerful.perToken),
    range(row.rewards.dialogue.perToken),
    range(row.measures["in quotes"]),
    row.kl.value.toFixed(3),
  ]),
}))
write(
  "Weights; mean rewards in nats a token; the share of the text in quotation marks; KL(guided || base).\n",
)

const points = guidancePoints(rows, "cheerful", "dialogue")
const folder = new URL("./output/", import.meta.url)
mkdirSync(folder, { recursive: true })
const picture = new URL("trade_off.svg", folder)
writeFileSync(
  picture,
  frontierChart({
    title: "Two rewards traded off by their weights",
    xLabel: "cheerful reward, nats a token",
    yLabel: "dialogue reward, nats a token",
    series: [
      { name: "base", points: points.slice(0, 1) },
      ...budgets.map((budget, i) => ({
        name: `weights that add up to ${budget}`,
        points: points.slice(1 + 3 * i, 4 + 3 * i),
      })),
    ],
  }),
)
write(`\nThe trade-off as a picture: ${fileURLToPath(picture)}\n`)

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}
