/** Tables as text: aligned columns for terminals, Markdown for pages. */

/** Cells under their heads. */
export interface Table {
  /** The head of each column. */
  readonly columns: readonly string[]
  /** As many cells in each as there are columns. */
  readonly rows: readonly (readonly (string | number)[])[]
}

/**
 * A table in aligned columns, for terminals. Columns of numbers are aligned to the right.
 *
 * @example
 * ```ts
 * import { textTable } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const table = textTable({ columns: ["fruit", "kg"], rows: [["pear", 2], ["fig", 10]] })
 * assertEquals(table, "fruit  kg\n─────  ──\npear    2\nfig    10\n")
 * ```
 */
export function textTable(table: Table): string {
  const { head, rule, body } = layOut(table, "─")
  return [head, rule, ...body].map((cells) => `${cells.join("  ").trimEnd()}\n`).join("")
}

/**
 * A table as Markdown that is aligned as text, too. Columns of numbers are aligned to the right.
 *
 * @example
 * ```ts
 * import { markdownTable } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const table = markdownTable({ columns: ["fruit", "kg"], rows: [["pear", 2]] })
 * assertEquals(table, "| fruit |  kg |\n| ----- | --: |\n| pear  |   2 |\n")
 * ```
 */
export function markdownTable({ columns, rows }: Table): string {
  // Rules are three characters at least, and a bar would end a cell.
  const plain = (cell: string | number) => String(cell).replaceAll("|", "\\|")
  const escaped = { columns: columns.map(plain), rows: rows.map((row) => row.map(plain)) }
  const { head, rule, body, isRight } = layOut(escaped, "-", 3)
  const marked = rule.map((line, i) => isRight[i] ? `${line.slice(1)}:` : line)
  return [head, marked, ...body].map((cells) => `| ${cells.join(" | ")} |\n`).join("")
}

/** Cells padded to the width of their columns. */
function layOut(
  { columns, rows }: Table,
  line: string,
  least = 1,
): { head: string[]; rule: string[]; body: string[][]; isRight: boolean[] } {
  const cells = rows.map((row) => columns.map((_, i) => String(row[i] ?? "")))
  const isRight = columns.map((_, i) =>
    cells.some((row) => row[i] !== "") && cells.every((row) => /^([-+]?\.?\d|$)/.test(row[i]))
  )
  const widths = columns.map((name, i) =>
    Math.max(least, ...[name, ...cells.map((row) => row[i])].map((text) => [...text].length))
  )
  const pad = (row: readonly string[]) =>
    row.map((text, i) => {
      const space = " ".repeat(widths[i] - [...text].length)
      return isRight[i] ? space + text : text + space
    })
  return {
    head: pad(columns),
    rule: widths.map((width) => line.repeat(width)),
    body: cells.map(pad),
    isRight,
  }
}
