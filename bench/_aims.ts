/** What the benches measured against what was aimed at, as one table and as one picture. */
import type { Table } from "../src/show/table.ts"

/** A figure and its aim. */
export interface Aim {
  /** What was measured, and against what. */
  readonly question: string
  readonly measured: number
  readonly aim: number
  /** On which side of the aim one wants to be. */
  readonly better: "lower" | "higher"
}

/** An aim for a figure as a table prints it: "1.10 (1.05 to 1.15)". */
export function aimAt(
  question: string,
  cell: string | number,
  better: Aim["better"],
  aim: number,
): Aim {
  return { question, measured: parseFloat(String(cell)), aim, better }
}

/** One line for each aim. */
export function aimsTable(aims: readonly Aim[]): Table {
  return {
    columns: ["question", "measured", "aim", "met"],
    rows: aims.map((aim) => [
      aim.question,
      print(aim.measured),
      `${aim.better === "lower" ? "at most" : "at least"} ${print(aim.aim)}`,
      margin(aim) >= 1 ? "yes" : "no",
    ]),
  }
}

/** How many times better than the aim; below 1 it is missed. */
function margin({ measured, aim, better }: Aim): number {
  return better === "lower" ? aim / measured : measured / aim
}

function print(value: number): string {
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

const ink = "#7d8590"
const [left, right, top, line] = [540, 800, 52, 24]
/** Bars end at so many times the aim, however far the figure is. */
const span = 4

/** Bars from the aim to the figure, to the right where it is better; equal lengths for equal ratios. */
export function aimsChart(aims: readonly Aim[]): string {
  const toX = (ratio: number) => {
    const share = Math.log(Math.min(span, Math.max(1 / span, ratio))) / Math.log(span)
    return Math.round((left + right) / 2 + share * (right - left) / 2)
  }
  const height = top + line * aims.length + 28
  const text = (x: number, y: number, words: string, anchor: string, size = 12) =>
    `<text x="${x}" y="${y}" fill="${ink}" font-size="${size}" text-anchor="${anchor}">${
      words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    }</text>`
  const bars = aims.flatMap((aim, i) => {
    const y = top + line * i
    const [from, to] = [toX(1), toX(margin(aim))]
    const colour = margin(aim) >= 1 ? "#3f9a5f" : "#d1603d"
    return [
      text(left - 10, y + 15, aim.question, "end"),
      `<rect x="${Math.min(from, to)}" y="${y + 4}" width="${
        Math.max(2, Math.abs(to - from))
      }" height="14" fill="${colour}"/>`,
      text(to + (to >= from ? 6 : -6), y + 15, print(aim.measured), to >= from ? "start" : "end"),
    ]
  })
  const axis = [1 / span, 1, span].map((ratio) =>
    text(
      toX(ratio),
      height - 8,
      ratio === 1
        ? "the aim"
        : `${print(Math.max(ratio, 1 / ratio))}x ${ratio < 1 ? "worse" : "better"}`,
      "middle",
      11,
    )
  )
  const [x, bottom] = [toX(1), height - 24]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${right + 60} ${height}" ` +
    'font-family="system-ui, sans-serif">',
    text(left, 24, "What was measured against what was aimed at", "middle", 15),
    `<path d="M${x} ${top - 6}V${bottom}" stroke="${ink}" opacity="0.6"/>`,
    ...bars,
    ...axis,
    "</svg>\n",
  ].join("\n")
}
