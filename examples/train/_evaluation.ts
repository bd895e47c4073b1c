/** What the evaluations write in common: figures with their intervals, texts, and how far they are. */
import process from "node:process"
import type { Estimate, GuidanceProgress, GuidanceRow, GuidedText } from "genarm"

/** A figure with its interval. */
export function print({ value, low, high }: Estimate, digits = 2): string {
  // Adding 0 makes 0 of -0, which rounding leaves behind.
  const [figure, from, to] = [value, low, high].map((number) =>
    (Number(number.toFixed(digits)) + 0).toFixed(digits)
  )
  return `${figure} (${from} to ${to})`
}

/** A row without its texts. */
export function plain({ texts: _, ...row }: GuidanceRow): unknown {
  return row
}

/** The first text of each prompt, unpicked, as Markdown. */
export function quoteTexts(title: string, texts: readonly GuidedText[], samples: number): string {
  const quoted = texts.filter((_, i) => i % samples === 0).slice(0, 10)
    .map(({ prompt, text }) => `> **${prompt}**${text.replaceAll("\n", "\n> ")}\n`)
  return `## ${title}\n\n${quoted.join("\n")}`
}

/** Shows how far a measurement is, on a terminal. */
export function onProgress({ done, total }: GuidanceProgress): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done} of ${total} texts`)
}
