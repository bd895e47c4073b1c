import type { Pipeline } from "genarm"
import type { Point } from "../src/show/line_chart.ts"
import { aimAt } from "./_aims.ts"
import type { ChartedTable } from "./_charted_table.ts"
import { median, spread } from "./_statistics.ts"
import { openSubject, promptOf, threads } from "./_subject.ts"
import { printTable } from "./_table.ts"
import { interleave } from "./_timing.ts"

const counts = [1, 2, 4, 8, 16]
const most = counts[counts.length - 1]
/** Prompts of short texts, and of samples. */
const [short, long] = [16, 256]
const tokens = 32

/** Texts that are written at once. */
interface Side {
  readonly name: string
  readonly pipeline: Pipeline
  readonly prompts: readonly string[]
}

/** Times texts that are written at once. */
export async function batching(
  { quick, rounds = quick ? 5 : 4 }: { quick: boolean; rounds?: number },
): Promise<ChartedTable> {
  const size = quick ? "15M" : "135M"
  await using subject = await openSubject(size)
  await using plain = await subject.open({ reward: false })
  await using guided = await subject.open({ reward: true })
  const groups = [["unguided", plain], ["guided, two rows a text", guided]] as const
  const sides: Side[] = [
    ...groups.flatMap(([name, pipeline]) =>
      counts.map((count) => ({ name, pipeline, prompts: promptsOf(short, count) }))
    ),
    { name: "unguided", pipeline: plain, prompts: promptsOf(long, most) },
    { name: "unguided, samples", pipeline: plain, prompts: Array(most).fill(promptOf(long)) },
  ]
  let seed = 0
  const times = await interleave(
    sides.map(({ pipeline, prompts }) => async () => {
      // A prompt of its own each time, so that no earlier round has run it.
      const own = prompts.map((prompt) => `${prompt[0]}${seed}${prompt}`.slice(0, prompt.length))
      const start = performance.now()
      await pipeline.generateAll(own, { maxTokens: tokens, seed: seed++, trace: "none" })
      return performance.now() - start
    }),
    rounds,
  )
  const rates = times.map((of, side) =>
    of.map((time) => 1000 * sides[side].prompts.length * tokens / time)
  )
  const gains = rates.map((of, side) => {
    const base = side < 2 * counts.length ? side - side % counts.length : sides.length - 2
    return of.map((rate, round) => rate / rates[base][round])
  })
  return {
    question: `What do texts gain from being written at once? (${size} weights)`,
    columns: ["texts", "at once", "tokens of a prompt", "tokens/s", "gain"],
    rows: sides.map(({ name, prompts }, side) => [
      name,
      prompts.length,
      prompts[0].length,
      median(rates[side]).toFixed(1),
      spread(gains[side], 2),
    ]),
    aims: [
      aimAt(
        `${most} prompts at once, ${size}: times one at a time`,
        median(gains[counts.length - 1]),
        "higher",
        4,
      ),
    ],
    notes: [
      `Random float32 weights, ${threads} threads; ${tokens} tokens a text with \`generateAll\`, the ` +
      "prompts' time included; medians, all sides in turn.",
      `Gain is over one text at a time, and for prompts of ${long} over as many prompts that have ` +
      "nothing in common; that of neighbouring runs, with its quartiles.",
      "Samples of one prompt run it once.",
    ],
    chart: {
      title: `Tokens a second against the texts written at once (${size} weights)`,
      xLabel: "texts at once",
      yLabel: "times one at a time",
      logarithmic: true,
      fromZero: true,
      series: groups.map(([name], group) => ({
        name,
        points: counts.map((count, i): Point => [count, median(gains[group * counts.length + i])]),
      })),
    },
  }
}

/** Prompts of one length that have nothing in common. */
function promptsOf(length: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const letter = String.fromCharCode(97 + i)
    return (letter + promptOf(length)).slice(0, length)
  })
}

if (import.meta.main) printTable(await batching({ quick: false }))
