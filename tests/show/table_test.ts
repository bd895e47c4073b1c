import { assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { markdownTable, textTable } from "../../src/show/table.ts"

const table = {
  columns: ["weight", "happy"],
  rows: [["base", "0.51 [0.48, 0.54]"], [4, -1], ["ümlaut 😀", ""]],
}

describe("a table", () => {
  it("is aligned for terminals, numbers to the right", () => {
    assertEquals(textTable(table).split("\n"), [
      "weight                happy",
      "────────  ─────────────────",
      "base      0.51 [0.48, 0.54]",
      "4                        -1",
      "ümlaut 😀",
      "",
    ])
  })

  it("is Markdown that says how columns are aligned", () => {
    assertEquals(markdownTable(table).split("\n"), [
      "| weight   |             happy |",
      "| -------- | ----------------: |",
      "| base     | 0.51 [0.48, 0.54] |",
      "| 4        |                -1 |",
      "| ümlaut 😀 |                   |",
      "",
    ])
  })

  it("keeps a bar inside its cell, and narrow columns legal", () => {
    assertEquals(
      markdownTable({ columns: ["a"], rows: [["x|y"]] }),
      "| a    |\n| ---- |\n| x\\|y |\n",
    )
    assertEquals(markdownTable({ columns: ["n"], rows: [[1]] }), "|   n |\n| --: |\n|   1 |\n")
  })

  it("takes a path for a text, though it begins with a dot, and .5 for a number", () => {
    const table = { columns: ["source", "share"], rows: [["./a", ".5"]] }
    assertEquals(textTable(table), "source  share\n──────  ─────\n./a        .5\n")
  })

  it("may have no rows, and rows that lack cells", () => {
    assertEquals(textTable({ columns: ["a", "b"], rows: [] }), "a  b\n─  ─\n")
    assertEquals(textTable({ columns: ["a", "b"], rows: [["x"]] }), "a  b\n─  ─\nx\n")
  })
})
