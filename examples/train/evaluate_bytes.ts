/**
 * Whether a reward model that reads bytes moves a base of another tokenizer as much as one of equal size
 * with the base's own tokens does, on held-out story beginnings. `crossTokenizer` scores the likeliest
 * tokens of a step and rules out the others: what that does alone is measured beside it. So is what a
 * token is worth as the longest match among them.
 *
 *     deno run -A examples/train/evaluate_bytes.ts --models folder --out folder --lexicon vader_lexicon.txt \
 *       [--prompts 10] [--samples 20] [--tokens 150] [--candidates 32] [--weights 0.5,1,2] stories.txt ...
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import {
  arm,
  bootstrap,
  compareRows,
  crossTokenizer,
  defineGraph,
  type Estimate,
  evaluateGuidance,
  frontierChart,
  guidancePoints,
  type GuidanceRow,
  type GuidedText,
  markdownTable,
  openPipeline,
} from "genarm"
import { defineReward, type PluginNode } from "genarm/plugin"
import { openingsOf } from "./_corpus.ts"
import {
  commonOptions,
  onProgress,
  openEvaluation,
  plain,
  print,
  quoteTexts,
} from "./_evaluation.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...commonOptions,
    prompts: { type: "string", default: "10" },
    tokens: { type: "string", default: "150" },
    candidates: { type: "string", default: "32" },
    weights: { type: "string", default: "0.5,1,2" },
  },
})
const { models, out, corpus, cheer, sentiment } = await openEvaluation(values, positionals)
const measures = { "cheer (ranked by)": cheer, "sentiment (independent)": sentiment }
type MeasureName = keyof typeof measures
const measureNames = Object.keys(measures) as MeasureName[]

const candidates = Number(values.candidates)
const weights = values.weights.split(",").map(Number)
const samples = Number(values.samples)

/**
 * The share of the base's probability on its likeliest tokens. It is the same for every token, and so
 * guides nothing, but where all others are to be ruled out.
 */
const covered = (isOnly: boolean) =>
  defineReward({
    name: "covered",
    sources: () => ({ base: {} }),
    open: () => ({
      score({ base }, out) {
        const sorted = Float32Array.from(base).sort().subarray(-candidates)
        out.fill(sorted.reduce((sum, logProb) => sum + Math.exp(logProb), 0))
        if (!isOnly) return
        for (let id = 0; id < out.length; id++) if (base[id] < sorted[0]) out[id] = -Infinity
      },
    }),
  })()

/** Rows of one reward, by its weight. */
async function rowsOf(reward: PluginNode<"reward">, isOnly: boolean, weights: number[]) {
  const graph = defineGraph({
    base: join(models, "base"),
    rewards: {
      reward: { reward, weight: 1 },
      covered: { reward: covered(isOnly), weight: 1 },
    },
  })
  await using pipeline = await openPipeline(graph)
  return await evaluateGuidance(pipeline, {
    prompts: openingsOf(corpus.heldOut).slice(0, Number(values.prompts)),
    samples,
    maxTokens: Number(values.tokens),
    seed: 100,
    weights: weights.map((weight) => ({ reward: weight, covered: 1 })),
    measures,
    onProgress,
  })
}

const ownTokens = arm({ model: join(models, "cheerful-small") })
const byBytes = (longestMatch: boolean) =>
  crossTokenizer({
    of: arm({ model: join(models, "cheerful-bytes") }),
    candidates,
    longestMatch,
  })

const [base, ...own] = await rowsOf(ownTokens, false, [0, ...weights])
const [likeliest, ...ownLikeliest] = await rowsOf(ownTokens, true, [0, ...weights])
const bytes = await rowsOf(byBytes(false), false, weights)
const matched = await rowsOf(byBytes(true), false, weights)

const groups: readonly (readonly [string, readonly GuidanceRow[]])[] = [
  ["none", [base]],
  [`none, the ${candidates} likeliest tokens`, [likeliest]],
  ["its own tokens", own],
  [`its own tokens, the ${candidates} likeliest`, ownLikeliest],
  ["bytes", bytes],
  ["bytes, longest match", matched],
]
const sections = [
  markdownTable({
    columns: [
      ...["reward model reads", "weight", ...measureNames, "KL / token", "base perplexity"],
      ...["distinct-2", "tokens", `on the ${candidates} likeliest`],
    ],
    rows: groups.flatMap(([name, rows]) =>
      rows.map((row) => [
        name,
        row.weights.reward === 0 ? "" : row.weights.reward,
        ...measureNames.map((measure) => print(row.measures[measure])),
        print(row.kl, 3),
        print(row.perplexity),
        print(row.distinct.words[1]),
        print(row.length, 0),
        print(row.rewards.covered.perToken, 3),
      ])
    ),
  }),
  "Change from the base, text by text with the same seeds, and how much of the one is the other:\n\n" +
  markdownTable({
    columns: [
      ...["measure", "weight", "reward model reads", "gain", "less that of own tokens"],
      ...["share of it", "share at the same KL"],
    ],
    rows: measureNames.flatMap((measure) =>
      weights.flatMap((weight, i) => [
        [measure, weight, "its own tokens", print(gain(own[i], measure)), "", "", ""],
        ...([["bytes", bytes], ["bytes, longest match", matched]] as const).map(([name, rows]) => [
          measure,
          weight,
          name,
          print(gain(rows[i], measure)),
          print(compareRows(own[i], rows[i]).measures[measure]),
          print(gainRatio(rows[i], measure, own[i])),
          print(gainRatioAtKl(rows[i], measure)),
        ]),
      ])
    ),
  }),
]
const figures = Object.fromEntries(groups.map(([name, rows]) => [name, rows.map(plain)]))
writeFileSync(join(out, "bytes.json"), JSON.stringify(figures, undefined, 1) + "\n")
writeFileSync(join(out, "bytes.md"), sections.join("\n"))
writeFileSync(
  join(out, "texts_cheerful_bytes.md"),
  matched.map((row) =>
    quoteTexts(`bytes, longest match, weight ${row.weights.reward}`, row.texts, samples)
  ).join("\n"),
)
for (
  const [file, measure, yLabel] of [
    ["bytes.svg", "cheer (ranked by)", "cheer: valence a sentence"],
    ["bytes_independent.svg", "sentiment (independent)", "independent sentiment, 0 to 1"],
  ]
) {
  const points = (rows: readonly GuidanceRow[]) =>
    guidancePoints(rows, "kl", measure).map((point, i) => ({
      ...point,
      label: String(rows[i].weights.reward),
    }))
  writeFileSync(
    join(out, file),
    frontierChart({
      title: "A reward model of other tokens, against one of the base's own",
      xLabel: "KL from the base, nats a token",
      yLabel,
      series: [
        { name: "the base's tokens, by weight", points: points([base, ...own]) },
        { name: `the same on ${candidates} tokens`, points: points([likeliest, ...ownLikeliest]) },
        { name: "bytes", points: points(bytes) },
        { name: "bytes, longest match", points: points(matched) },
      ],
    }),
  )
}
process.stdout.write(sections.join("\n"))

/** The change from the base. */
function gain(row: GuidanceRow, measure: MeasureName): Estimate {
  return compareRows(base, row).measures[measure]
}

/** The gain of a row over that of another. */
function gainRatio(by: GuidanceRow, measure: MeasureName, of: GuidanceRow): Estimate {
  return bootstrap(base.texts.length, (picks) => {
    const [start, ofMean, byMean] = [base, of, by].map((row) => meanOf(row, picks, measure))
    return (byMean - start) / (ofMean - start)
  })
}

/**
 * The same at the same cost: the gain of the base's own tokens where its KL is that of the row, on the
 * straight lines between its weights.
 */
function gainRatioAtKl(by: GuidanceRow, measure: MeasureName): Estimate {
  return bootstrap(base.texts.length, (picks) => {
    const start = meanOf(base, picks, measure)
    const line = own.map((row) => ({
      kl: klOf(row, picks),
      gain: meanOf(row, picks, measure) - start,
    }))
    line.unshift({ kl: 0, gain: 0 })
    const kl = klOf(by, picks)
    const gain = meanOf(by, picks, measure) - start
    const next = line.findIndex((point) => point.kl > kl)
    // Beyond the last weight there is nothing to compare with but that.
    if (next < 0) return gain / line[line.length - 1].gain
    const [left, right] = [line[next - 1], line[next]]
    const share = (kl - left.kl) / (right.kl - left.kl)
    return gain / (left.gain + share * (right.gain - left.gain))
  })
}

function meanOf({ texts }: GuidanceRow, picks: Int32Array, measure: MeasureName): number {
  return sumOf(texts, picks, (text) => text.measures[measure]) / picks.length
}

function klOf({ texts }: GuidanceRow, picks: Int32Array): number {
  return sumOf(texts, picks, ({ logprob }) => logprob.guided - logprob.base) /
    sumOf(texts, picks, ({ ids }) => ids.length)
}

function sumOf(
  texts: readonly GuidedText[],
  picks: Int32Array,
  value: (text: GuidedText) => number,
): number {
  let sum = 0
  for (const i of picks) sum += value(texts[i])
  return sum
}
