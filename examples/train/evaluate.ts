/**
 * What guidance does, on the models of `examples/models` and held-out story beginnings: every reward
 * by its weight, both together, the small reward model that guides the larger base, and the policy
 * that DPO trained on the same pairs. Writes tables, pictures and the texts themselves.
 *
 *     deno run -A examples/train/evaluate.ts --models folder --out folder --lexicon vader_lexicon.txt \
 *       [--prompts 12] [--samples 20] [--dpo folder] stories.txt ...
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import {
  arm,
  compareRows,
  contrast,
  defineGraph,
  evaluateGuidance,
  frontierChart,
  guidancePoints,
  type GuidanceRow,
  markdownTable,
  type Measure,
  openPipeline,
} from "genarm"
import { openingsOf } from "./_corpus.ts"
import {
  commonOptions,
  onProgress,
  openEvaluation,
  plain,
  print,
  quoteTexts,
} from "./_evaluation.ts"
import { dialogue, sentencesIn } from "./_scores.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...commonOptions,
    dpo: { type: "string" },
    prompts: { type: "string", default: "12" },
    tokens: { type: "string", default: "200" },
  },
})
const { models, out, corpus, cheer, sentiment } = await openEvaluation(values, positionals)

/** Verbs of saying, a sentence: what talk looks like without its quotation marks. */
const sayingVerbs = (text: string): number =>
  (text.match(/\b(?:said|asked|replied|answered|shouted|whispered|yelled|told|exclaimed)\b/gi)
    ?.length ?? 0) / sentencesIn(text)

const common = {
  prompts: openingsOf(corpus.heldOut).slice(0, Number(values.prompts)),
  samples: Number(values.samples),
  maxTokens: Number(values.tokens),
  seed: 100,
}
const base = join(models, "base")
const adapter = (name: string) => arm({ adapter: join(models, name) })
const steps = [0, 0.5, 1, 2, 4]
const sections: string[] = []
const figures: Record<string, unknown> = {}

/** The figures of one reward, by its weight. */
const rewardMeasures: Record<string, Record<string, Measure>> = {
  cheerful: { "cheer (ranked by)": cheer, "sentiment (independent)": sentiment },
  dialogue: { "in quotes (ranked by)": dialogue, "saying verbs (independent)": sayingVerbs },
}
const measured: Record<string, GuidanceRow[]> = {}

for (const [name, measures] of Object.entries(rewardMeasures)) {
  const graph = defineGraph({ base, rewards: { [name]: { reward: adapter(name), weight: 1 } } })
  await using pipeline = await openPipeline(graph)
  const weights = steps.map((weight) => ({ [name]: weight }))
  measured[name] = await evaluateGuidance(pipeline, { ...common, weights, measures, onProgress })
  section(`${name}, by its weight`, measured[name], Object.keys(measures))
  writeTexts(name, measured[name])
}

{
  const graph = defineGraph({
    base,
    rewards: {
      cheerful: { reward: adapter("cheerful"), weight: 1 },
      dialogue: { reward: adapter("dialogue"), weight: 1 },
    },
  })
  await using pipeline = await openPipeline(graph)
  const weights = [[2, 0], [1.5, 0.5], [1, 1], [0.5, 1.5], [0, 2], [0, 0]]
    .map(([cheerful, dialogue]) => ({ cheerful, dialogue }))
  const measures = { cheer, "in quotes": dialogue }
  const rows = await evaluateGuidance(pipeline, { ...common, weights, measures, onProgress })
  section("both rewards", rows, Object.keys(measures))
  writeFileSync(
    join(out, "trade_off.svg"),
    frontierChart({
      title: "Two rewards, one budget of weight",
      xLabel: "cheer: valence a sentence",
      yLabel: "share of the text in quotes",
      series: [
        {
          name: "cheerful + dialogue = 2",
          points: guidancePoints(rows.slice(0, 5), "cheer", "in quotes"),
        },
        { name: "base", points: guidancePoints(rows.slice(5), "cheer", "in quotes") },
      ],
    }),
  )
}

{
  // The adapter less the base: what it has learnt alone, without the language they share.
  const reward = contrast({ expert: { adapter: join(models, "cheerful") }, amateur: {} })
  const graph = defineGraph({ base, rewards: { difference: { reward, weight: 1 } } })
  await using pipeline = await openPipeline(graph)
  const measures = rewardMeasures.cheerful
  measured.difference = await evaluateGuidance(pipeline, {
    ...common,
    weights: [0, 0.25, 0.5, 1].map((weight) => ({ difference: weight })),
    measures,
    onProgress,
  })
  const title = "cheerful less the base, by its weight: 1 is the reward model alone"
  section(title, measured.difference, Object.keys(measures))
}

const small = defineGraph({
  base,
  rewards: { small: { reward: arm({ model: join(models, "cheerful-small") }), weight: 1 } },
})
{
  await using pipeline = await openPipeline(small)
  const measures = rewardMeasures.cheerful
  measured.small = await evaluateGuidance(pipeline, {
    ...common,
    weights: steps.map((weight) => ({ small: weight })),
    measures,
    onProgress,
  })
  section(
    "weak to strong: the small reward model guides the base",
    measured.small,
    Object.keys(measures),
  )
  writeTexts("small", measured.small)
}

if (values.dpo !== undefined) {
  const graph = defineGraph({
    base: { model: base, adapter: values.dpo },
    rewards: {
      cheerful: { reward: adapter("cheerful"), weight: 0 },
      plain: { reward: arm({ model: base }), weight: 0 },
    },
  })
  await using pipeline = await openPipeline(graph)
  const measures: Record<string, Measure> = {
    ...rewardMeasures.cheerful,
    // The policy is the graph's base here, so what it costs is counted against the plain model.
    "KL / token": (_, { tokens }) =>
      tokens.reduce((sum, { logprob, rewards }) => sum + logprob.base - rewards.plain, 0) /
      Math.max(1, tokens.length),
    "log base / token": (_, { tokens }) =>
      tokens.reduce((sum, { rewards }) => sum + rewards.plain, 0) / Math.max(1, tokens.length),
  }
  measured.dpo = await evaluateGuidance(pipeline, {
    ...common,
    weights: [{ cheerful: 0, plain: 0 }],
    measures,
    onProgress,
  })
  const [row] = measured.dpo
  sections.push(
    "### DPO on the same pairs, as a policy\n\n" + markdownTable({
      columns: ["texts", ...Object.keys(measures), "distinct-2", "tokens"],
      rows: [[
        row.continuations,
        ...Object.keys(measures).map((key) => print(row.measures[key])),
        print(row.distinct.words[1]),
        print(row.length, 0),
      ]],
    }),
  )
  figures.dpo = measured.dpo.map(plain)
}

const against = (key: string) => [
  { name: "adapter reward, by weight", points: guidancePoints(measured.cheerful, "kl", key) },
  { name: "adapter less the base", points: guidancePoints(measured.difference, "kl", key) },
  { name: "small reward, by weight", points: guidancePoints(measured.small, "kl", key) },
  ...measured.dpo === undefined ? [] : [{
    name: "DPO policy",
    points: [{
      x: measured.dpo[0].measures["KL / token"],
      y: measured.dpo[0].measures[key],
      label: "DPO",
    }],
  }],
]
for (
  const [file, key, yLabel] of [
    ["cheerful.svg", "cheer (ranked by)", "cheer: valence a sentence"],
    ["cheerful_independent.svg", "sentiment (independent)", "independent sentiment, 0 to 1"],
  ]
) {
  writeFileSync(
    join(out, file),
    frontierChart({
      title: "Cheerfulness against its cost",
      xLabel: "KL from the base, nats a token",
      yLabel,
      series: against(key),
    }),
  )
}
for (const key of ["cheer (ranked by)", "sentiment (independent)"]) {
  const gain = (rows: GuidanceRow[]) =>
    Math.max(...rows.map((row) => row.measures[key].value)) - rows[0].measures[key].value
  sections.push(
    `Weak to strong, ${key}: the small reward model reaches ${
      (100 * gain(measured.small) / gain(measured.cheerful)).toFixed(0)
    } % of the adapter's largest gain.\n`,
  )
}
writeFileSync(join(out, "results.json"), JSON.stringify(figures, undefined, 1) + "\n")
writeFileSync(join(out, "tables.md"), sections.join("\n"))
process.stdout.write(sections.join("\n"))

function section(title: string, rows: readonly GuidanceRow[], measures: readonly string[]): void {
  const names = Object.keys(rows[0].weights)
  sections.push(
    `### ${title}\n\n` + markdownTable({
      columns: [
        ...names,
        ...measures,
        ...names.map((name) => `log ${name} / token`),
        ...["KL / token", "base perplexity", "distinct-2", "tokens"],
      ],
      rows: rows.map((row) => [
        ...names.map((name) => row.weights[name]),
        ...measures.map((name) => print(row.measures[name])),
        ...names.map((name) => print(row.rewards[name].perToken)),
        print(row.kl, 3),
        print(row.perplexity),
        print(row.distinct.words[1]),
        print(row.length, 0),
      ]),
    }),
  )
  if (names.length === 1) {
    const changes = rows.slice(1).map((row) => {
      const { measures: changed } = compareRows(rows[0], row)
      const parts = measures.map((name) => `${name} ${print(changed[name])}`)
      return `- weight ${row.weights[names[0]]}: ${parts.join(", ")}`
    })
    sections.push(
      `Change from weight 0, text by text with the same seeds:\n\n${changes.join("\n")}\n`,
    )
  }
  figures[title] = rows.map(plain)
}

/** The first texts of each setting, unpicked. */
function writeTexts(name: string, rows: readonly GuidanceRow[]): void {
  const chosen = rows.map(({ weights, texts }) =>
    quoteTexts(`${name}, weight ${weights[name]}`, texts, common.samples)
  )
  writeFileSync(join(out, `texts_${name}.md`), chosen.join("\n"))
}
