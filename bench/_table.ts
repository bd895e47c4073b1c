import process from "node:process"
import type { Aim } from "./_aims.ts"
import { markdownTable, type Table } from "../src/show/table.ts"

/** The answer of one benchmark: a question, the figures, and what one has to know to read them. */
export interface BenchTable extends Table {
  question: string
  columns: string[]
  rows: (string | number)[][]
  notes: string[]
  /** The figures of it that something was aimed at. */
  aims?: Aim[]
}

/** Prints a table as Markdown. */
export function printTable({ question, columns, rows, notes }: BenchTable): void {
  const lines = notes.map((note) => `- ${note}\n`).join("")
  process.stdout.write(`## ${question}\n\n${markdownTable({ columns, rows })}\n${lines}`)
}
