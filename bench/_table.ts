import process from "node:process"

/** The answer of one benchmark: a question, the figures, and what one has to know to read them. */
export interface BenchTable {
  question: string
  columns: string[]
  rows: (string | number)[][]
  notes: string[]
}

/** Prints a table as Markdown. */
export function printTable({ question, columns, rows, notes }: BenchTable): void {
  const cells = [columns, ...rows.map((row) => row.map(String))]
  const widths = columns.map((_, c) => Math.max(...cells.map((row) => row[c].length)))
  const line = (row: string[]) => `| ${row.map((text, c) => text.padEnd(widths[c])).join(" | ")} |`
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`
  const [head, ...body] = cells.map(line)
  const text = [`## ${question}`, "", head, rule, ...body, "", ...notes.map((note) => `- ${note}`)]
  process.stdout.write(text.join("\n") + "\n")
}
