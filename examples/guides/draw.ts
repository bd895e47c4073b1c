/**
 * The pictures and tables of `which_sampler_or_schedule.md`, measured on the small models of the examples,
 * in some ten minutes: what schedules do over a text, what they and samplers buy and cost, and how much
 * strategies read. Tables are printed, pictures written beside this file.
 *
 *     deno run -A examples/guides/draw.ts
 */
import { writeFileSync } from "node:fs"
import process from "node:process"
import {
  beamSearch,
  bestOfN,
  cards,
  cosine,
  entropyGated,
  frontierChart,
  type Generation,
  type GraphSpec,
  greedy,
  klBudget,
  linear,
  lineChart,
  markdownTable,
  openPipeline,
  phases,
  rain,
  reweighted,
  sampling,
  speculative,
  tokenClass,
  type TokenEvent,
  type Weight,
} from "genarm"
import {
  distinct,
  type Estimate,
  meanEstimate,
  printEstimate,
  ratioEstimate,
} from "genarm/evaluate"
import { counted } from "./_counted.ts"
import { cheerIn, graphOf, prompts } from "./_settings.ts"

const maxTokens = 80

/** Figures of a setting over its texts. */
interface Figures {
  /** KL of what was drawn from the base, nats a token. */
  readonly kl: Estimate
  /** Minus the base's log-probability of a token. */
  readonly surprisal: number
  /** Cheerful words in a hundred. */
  readonly cheer: Estimate
  /** The share of word pairs that are there for the first time, over all texts. */
  readonly distinct: number
}

function figuresOf(texts: readonly Generation[]): Figures {
  const lengths = texts.map(({ ids }) => ids.length)
  const overTokens = (of: (token: TokenEvent) => number) =>
    ratioEstimate(texts.map(({ tokens }) => tokens.reduce((sum, one) => sum + of(one), 0)), lengths)
  return {
    kl: overTokens(({ logprob }) => logprob.sampled - logprob.base),
    surprisal: overTokens(({ logprob }) => -logprob.base).value,
    cheer: meanEstimate(texts.map(({ text }) => cheerIn(text))),
    distinct:
      distinct(texts.map(({ text }) => text.toLowerCase().match(/[a-z']+/g) ?? []), 2).value,
  }
}

async function measure(parts: Parameters<typeof graphOf>[0], weight: Weight): Promise<Figures> {
  await using pipeline = await openPipeline(graphOf(parts, weight))
  return figuresOf(await pipeline.generateAll(prompts, { n: 16, maxTokens, seed: 1 }))
}

const write = (text: string) => process.stdout.write(`${text}\n`)
const save = (name: string, svg: string) => writeFileSync(new URL(name, import.meta.url), svg)
const say = (value: number, digits = 2) => value.toFixed(digits)

/** The weight of each token of one text. */
async function weightsOf(weight: Weight) {
  await using pipeline = await openPipeline(graphOf({}, weight))
  const { tokens } = await pipeline.generate(prompts[0], { maxTokens: 60, seed: 2 })
  return tokens.map(({ weights }, i) => [i, weights.cheerful] as const)
}

async function drawSchedules(): Promise<void> {
  const draw = async (file: string, title: string, lines: Readonly<Record<string, Weight>>) => {
    const series = []
    for (const [name, weight] of Object.entries(lines)) {
      series.push({ name, points: await weightsOf(weight) })
    }
    save(file, lineChart({ title, xLabel: "token", yLabel: "weight", fromZero: true, series }))
  }
  await draw("weights_by_position.svg", "Weights that go by the position", {
    "1": 1,
    "linear, 2 to 0": linear({ from: 2, to: 0, tokens: 59 }),
    "cosine, 2 to 0": cosine({ from: 2, to: 0 }),
    "phases": phases({
      phases: [{ weight: 0, tokens: 15 }, { weight: 1.5, tokens: 25 }, { weight: 0.5 }],
    }),
  })
  await draw("weights_by_text.svg", "Weights that go by the text", {
    "entropyGated, 1 above 2 nats": entropyGated({ weight: 1, threshold: 2 }),
    "klBudget, 0.2 nats a token": klBudget({ budget: 0.2, most: 2 }),
  })
}

async function drawGuidance(): Promise<void> {
  const ways: Readonly<Record<string, Readonly<Record<string, Weight>>>> = {
    "a number": { "0": 0, "0.1": 0.1, "0.25": 0.25, "0.5": 0.5, "1": 1 },
    klBudget: Object.fromEntries(
      [0.05, 0.1, 0.2, 0.4].map((budget) => [`${budget}`, klBudget({ budget, most: 4 })]),
    ),
    entropyGated: Object.fromEntries(
      [0.25, 0.5, 1].map((weight) => [`${weight}`, entropyGated({ weight, threshold: 2 })]),
    ),
    linear: Object.fromEntries(
      [0.25, 0.5, 1].map((from) => [`${from}`, linear({ from, to: 0, tokens: maxTokens })]),
    ),
    tokenClass: Object.fromEntries(
      [1, 4].map((weight) => [
        `${weight}`,
        tokenClass({ classes: [{ pattern: "[.!?]$", weight }], otherwise: 0 }),
      ]),
    ),
  }
  const rows: string[][] = []
  const series = []
  for (const [name, settings] of Object.entries(ways)) {
    const points = []
    // Numbers as keys come in the order of the numbers only where they are whole.
    const entries = Object.entries(settings).sort(([a], [b]) => Number(a) - Number(b))
    for (const [label, weight] of entries) {
      const { kl, cheer, distinct, surprisal } = await measure({}, weight)
      points.push({ x: Number(label) === 0 ? 0 : kl, y: cheer, label }) // 0 but for rounding
      rows.push([
        name,
        label,
        say(kl.value).replace("-0.00", "0.00"),
        printEstimate(cheer),
        say(distinct),
        say(surprisal),
      ])
    }
    series.push({ name, points })
  }
  save(
    "guidance.svg",
    frontierChart({
      title: "What guidance buys, and what it costs",
      xLabel: "KL from the base, nats a token",
      yLabel: "cheerful words in a hundred",
      series,
    }),
  )
  const columns = ["weight", "setting", "KL", "cheerful words", "distinct-2", "surprisal"]
  write(markdownTable({ columns, rows }))
}

async function drawSamplers(): Promise<void> {
  const ways: Readonly<Record<string, readonly [string, GraphSpec["sampler"]][]>> = {
    temperature: [0.4, 0.6, 0.8, 1, 1.2].map((
      temperature,
    ) => [`${temperature}`, sampling({ temperature })]),
    topK: [5, 20, 80].map((topK) => [`${topK}`, sampling({ topK })]),
    topP: [0.5, 0.7, 0.9, 0.95].map((topP) => [`${topP}`, sampling({ topP })]),
    minP: [0.3, 0.1, 0.03].map((minP) => [`${minP}`, sampling({ minP })]),
    typicalP: [0.5, 0.8, 0.95].map((typicalP) => [`${typicalP}`, sampling({ typicalP })]),
    "repetitionPenalty": [1.1, 1.3].map((
      repetitionPenalty,
    ) => [`${repetitionPenalty}`, sampling({ repetitionPenalty })]),
    greedy: [["", greedy()]],
  }
  const rows: string[][] = []
  const series = []
  for (const [name, settings] of Object.entries(ways)) {
    const points = []
    for (const [label, sampler] of settings) {
      const { cheer, distinct, surprisal } = await measure({ sampler: sampler! }, 0.5)
      points.push({ x: surprisal, y: distinct, label })
      rows.push([name, label, say(surprisal), say(distinct), say(cheer.value, 1)])
    }
    series.push({ name, points })
  }
  save(
    "samplers.svg",
    frontierChart({
      title: "Samplers: variety for likelihood",
      xLabel: "surprisal by the base, nats a token",
      yLabel: "distinct-2, words of 64 texts",
      series,
    }),
  )
  write(
    markdownTable({
      columns: ["option", "value", "surprisal", "distinct-2", "cheerful words"],
      rows,
    }),
  )
}

/** What a strategy reads, and what comes of it. The reward that judges counts words, and guides nothing. */
async function compareStrategies(): Promise<void> {
  const by = "words"
  const ways: readonly [string, GraphSpec["strategy"], Weight][] = [
    ["token after token, unguided", undefined, 0],
    ["token after token, weight 0.5", undefined, 0.5],
    ["`speculative`, lookup, weight 0.5", speculative({ draft: "lookup" }), 0.5],
    ["`reweighted`, 8 particles, weight 0.5", reweighted(), 0.5],
    ["`beamSearch`, 4 beams, weight 0.5", beamSearch(), 0.5],
    ["`bestOfN`, 8 texts", bestOfN({ n: 8, by }), 0],
    ["`bestOfN`, 32 texts", bestOfN({ n: 32, by }), 0],
    ["`cards`, target 10", cards({ by, target: 10 }), 0],
    ["`rain`", rain({ by, range: [0, 0.2], perToken: true }), 0],
  ]
  const rows: string[][] = []
  for (const [name, strategy, weight] of ways) {
    const { runtime, count } = counted()
    await using pipeline = await openPipeline(graphOf({ ...strategy && { strategy } }, weight), {
      runtime,
    })
    const texts = await pipeline.generateAll(prompts, { n: 2, maxTokens, seed: 1 })
    const written = texts.reduce((sum, { ids }) => sum + ids.length, 0)
    const { cheer, surprisal } = figuresOf(texts)
    rows.push([
      ...[name, say(count.rows / written, 1), say(count.tokens / written, 1)],
      ...[say(cheer.value, 1), say(surprisal)],
    ])
  }
  const columns = ["strategy", "runs", "tokens read", "cheerful words", "surprisal"]
  write(markdownTable({ columns, rows }))
}

const parts = {
  schedules: drawSchedules,
  guidance: drawGuidance,
  samplers: drawSamplers,
  strategies: compareStrategies,
}
const [only] = process.argv.slice(2)
for (const [name, part] of Object.entries(parts)) {
  if (only === undefined || only === name) await part()
}
