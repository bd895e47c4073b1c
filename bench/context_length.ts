import { bareLoop } from "./_bare_loop.ts"
import type { Point } from "../src/show/line_chart.ts"
import type { ChartedTable } from "./_charted_table.ts"
import { median, spread } from "./_statistics.ts"
import { openSubject, promptOf, threads } from "./_subject.ts"
import { printTable } from "./_table.ts"
import { interleave, timeText } from "./_timing.ts"

const lengths = [32, 128, 512, 1024, 2048]
const tokens = 33

/** Times tokens after prompts of growing length. */
export async function contextLength({ quick }: { quick: boolean }): Promise<ChartedTable> {
  const size = quick ? "3M" : "15M"
  await using subject = await openSubject(size)
  await using pipeline = await subject.open()
  const sides = lengths.flatMap((length) => {
    const prompt = promptOf(length)
    const rows = subject.rows(prompt)
    return [
      () =>
        timeText((onToken) => bareLoop(subject.engine, rows, tokens, onToken), subject.inEngine),
      () =>
        timeText(async (onToken) => {
          for await (const _ of pipeline.stream(prompt, { maxTokens: tokens, seed: 1 })) onToken()
        }, subject.inEngine),
    ]
  })
  const times = await interleave(sides, quick ? 7 : 21)
  const medians = times.map((texts) => median(texts.map(({ each }) => each.total)))
  const bare = lengths.map((_, i) => medians[2 * i])
  const guided = lengths.map((_, i) => medians[2 * i + 1])
  const ratios = lengths.map((_, i) =>
    times[2 * i + 1].map(({ each }, round) => each.total / times[2 * i][round].each.total)
  )
  const points = (values: number[]) => lengths.map((length, i): Point => [length, values[i]])
  return {
    question: `How does the cost of a token grow with its context? (${size} weights)`,
    columns: ["context", "bare ms/token", "to 32", "guided ms/token", "to 32", "guided / bare"],
    rows: lengths.map((length, i) => [
      length,
      bare[i].toFixed(3),
      (bare[i] / bare[0]).toFixed(2),
      guided[i].toFixed(3),
      (guided[i] / guided[0]).toFixed(2),
      spread(ratios[i], 3),
    ]),
    notes: [
      `Over ${
        tokens - 1
      } tokens after a prompt, the prompt's own time left out; two rows of random ` +
      `float32 weights, ${threads} threads.`,
      "Medians, all lengths and sides in turn; guided / bare is that of neighbouring texts, with its " +
      "quartiles.",
      "Caches are neither copied nor returned by the graph, so that what grows is attention alone.",
    ],
    chart: {
      title: `Cost of a token against the length of its context (${size} weights)`,
      xLabel: "tokens of context",
      yLabel: "ms per token",
      logarithmic: true,
      fromZero: true,
      series: [
        { name: "bare engine", points: points(bare) },
        { name: "guided", points: points(guided) },
      ],
    },
  }
}

if (import.meta.main) printTable(await contextLength({ quick: false }))
