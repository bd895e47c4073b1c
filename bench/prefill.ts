import { aimAt } from "./_aims.ts"
import { bareLoop } from "./_bare_loop.ts"
import { median, spread } from "./_statistics.ts"
import { openSubject, promptOf, threads } from "./_subject.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { interleave, timeText } from "./_timing.ts"

const length = 256

/** Times the first token of a long prompt beside the engine call that reads it. */
export async function prefill({ quick }: { quick: boolean }): Promise<BenchTable> {
  await using subject = await openSubject("15M")
  const prompt = promptOf(length)
  const rows: (string | number)[][] = []
  for (const reward of [false, true]) {
    await using pipeline = await subject.open({ reward })
    const prompts = subject.rows(prompt, reward)
    const [bare, first] = await interleave([
      () => timeText((onToken) => bareLoop(subject.engine, prompts, 1, onToken), subject.inEngine),
      () =>
        timeText(async (onToken) => {
          for await (const _ of pipeline.stream(prompt, { maxTokens: 1, seed: 1 })) onToken()
        }, subject.inEngine),
    ], quick ? 15 : 60)
    const ratios = first.map((time, round) => time.first.total / bare[round].first.total)
    rows.push([
      reward ? "guided, two rows" : "unguided, one row",
      median(bare.map((time) => time.first.total)).toFixed(1),
      median(first.map((time) => time.first.total)).toFixed(1),
      spread(ratios, 3),
      median(first.map((time) => (time.first.total - time.first.inEngine) * 1e3)).toFixed(0),
    ])
  }
  return {
    question: `How long until the first token of a prompt of ${length}? (15M weights)`,
    columns: ["text", "bare ms", "pipeline ms", "pipeline / bare", "outside µs"],
    rows,
    aims: rows.map(([text, , , ratio]) =>
      aimAt(`first token of ${length}, ${text}: of the engine's prefill`, ratio, "lower", 1.05)
    ),
    notes: [
      `Random float32 weights, ${threads} threads. Bare is the engine call that reads the same ids; ` +
      "the pipeline also encodes the prompt, opens caches and chooses a token.",
      "Outside is the time that the pipeline does not spend in the engine.",
      "Medians; the ratio is that of neighbouring texts, with its quartiles.",
    ],
  }
}

if (import.meta.main) printTable(await prefill({ quick: false }))
