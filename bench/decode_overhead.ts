import { greedy, sampling } from "genarm"
import { aimAt } from "./_aims.ts"
import { bareLoop } from "./_bare_loop.ts"
import type { ModelSize } from "./_random_model.ts"
import { median, spread } from "./_statistics.ts"
import { openSubject, promptOf, threads } from "./_subject.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { interleave, type Span, type TextTimes, timeText } from "./_timing.ts"

const tokens = 64

/** Times guided generation beside a loop of the same engine calls, in alternating texts. */
export async function decodeOverhead(
  { quick, size = "15M" }: { quick: boolean; size?: ModelSize },
): Promise<BenchTable> {
  await using subject = await openSubject(size)
  const prompt = promptOf(16)
  const rounds = quick ? 12 : size === "135M" ? 10 : 60
  const rows: (string | number)[][] = []
  const time = (write: (onToken: () => void) => PromiseLike<unknown>) => () =>
    timeText(write, subject.inEngine)
  for (const [name, sampler] of [["greedy", greedy()], ["sampled", sampling()]] as const) {
    await using pipeline = await subject.open({ sampler })
    const options = { maxTokens: tokens, seed: 1 }
    const [bare, generate, stream] = await interleave([
      time((onToken) => bareLoop(subject.engine, subject.rows(prompt), tokens, onToken)),
      time(() => pipeline.generate(prompt, options)),
      time(async (onToken) => {
        for await (const _ of pipeline.stream(prompt, options)) onToken()
      }),
    ], rounds)
    const whole = (times: TextTimes[]) => times.map((time) => perToken(time.whole))
    const each = (times: TextTimes[]) => times.map((time) => time.each)
    rows.push(
      row(name, "generate, whole texts", whole(bare), whole(generate)),
      row(name, "stream, after the first token", each(bare), each(stream)),
    )
  }
  return {
    question: `What does guidance cost beyond the engine calls it makes? (${size} weights)`,
    columns: [
      "choice",
      "measured",
      "bare ms/token",
      "guided ms/token",
      "guided / bare",
      "outside µs",
      "bare outside µs",
      "1 + outside / bare",
    ],
    rows,
    aims: size !== "135M" ? [] : rows.filter((row) => String(row[1]).startsWith("generate")).map(
      (row) =>
        aimAt(`all outside the engine, ${size} f32, ${row[0]}: of the step`, row[7], "lower", 1.02),
    ),
    notes: [
      `Random float32 weights, ${threads} threads; one reward, which is the base itself after a ` +
      "prefix: two rows of one forward. Log-probabilities on.",
      `Texts of ${tokens} tokens after a prompt of 16, ${rounds} rounds of bare, generate and ` +
      "stream in turn on one engine; medians. Guided / bare is that of neighbouring texts, with its " +
      "quartiles.",
      "Bare runs the same rows of fixed ids through the same engine and looks at no result.",
      "Outside is the time of a token that is not spent in the engine's calls; what guidance adds to " +
      "it, over bare, is the steadier figure on a busy machine.",
    ],
  }
}

function perToken({ total, inEngine }: Span): Span {
  return { total: total / tokens, inEngine: inEngine / tokens }
}

function row(name: string, measured: string, bare: Span[], guided: Span[]): (string | number)[] {
  const total = (spans: Span[]) => median(spans.map((span) => span.total))
  const outside = (spans: Span[]) => median(spans.map((span) => span.total - span.inEngine))
  const ratios = guided.map((span, round) => span.total / bare[round].total)
  return [
    name,
    measured,
    total(bare).toFixed(3),
    total(guided).toFixed(3),
    spread(ratios, 3),
    (outside(guided) * 1e3).toFixed(0),
    (outside(bare) * 1e3).toFixed(0),
    (1 + (outside(guided) - outside(bare)) / total(bare)).toFixed(3),
  ]
}

if (import.meta.main) printTable(await decodeOverhead({ quick: true }))
