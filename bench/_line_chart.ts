/** Line charts as SVG text, for the pages that show results. */
import type { BenchTable } from "./_table.ts"

/** A table that comes with a picture of itself. */
export interface ChartedTable extends BenchTable {
  chart: Chart
}

/** Lines over a common axis; the value axis begins at 0. */
export interface Chart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  /** Doublings instead of equal distances along the x axis. */
  readonly logarithmic?: boolean
  readonly lines: readonly { readonly name: string; readonly points: readonly Point[] }[]
}

/** `[x, y]` */
export type Point = readonly [number, number]

const width = 640
const height = 360
const plot = { left: 64, right: 24, top: 44, bottom: 52 }
const colours = ["#3b82c4", "#d1603d", "#3f9a5f", "#8a63b8"]
/** Legible on light pages and on dark ones. */
const ink = "#7d8590"

/** Draws the chart. */
export function lineChart({ title, xLabel, yLabel, logarithmic, lines }: Chart): string {
  const points = lines.flatMap((line) => line.points)
  const right = width - plot.right
  const floor = height - plot.bottom
  const ys = roundTicks(Math.max(...points.map(([, y]) => y)))
  const xs = logarithmic
    ? [...new Set(points.map(([x]) => x))]
    : roundTicks(Math.max(...points.map(([x]) => x)))
  const place = (x: number) => logarithmic ? Math.log2(x) : x
  const toX = scale([place(xs[0]), place(xs.at(-1)!)], [plot.left, right])
  const toY = scale([0, ys.at(-1)!], [floor, plot.top])
  const text = (x: number, y: number, content: unknown, more = "") =>
    `<text x="${x}" y="${y}" ${more}>${escape(String(content))}</text>`
  const middle = 'text-anchor="middle"'
  const centre = { x: (plot.left + right) / 2, y: (plot.top + floor) / 2 }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" fill="${ink}" ` +
    'font-family="system-ui, sans-serif" font-size="12">',
    text(plot.left, 18, title, 'font-size="14"'),
    ...ys.map((y) => `<path d="M${plot.left} ${toY(y)}H${right}" stroke="${ink}" opacity="0.3"/>`),
    ...ys.map((y) => text(plot.left - 8, toY(y) + 4, y, 'text-anchor="end"')),
    ...xs.map((x) => text(toX(place(x)), floor + 18, x, middle)),
    ...lines.map((line, i) => {
      const path = line.points.map(([x, y]) => `${toX(place(x))} ${toY(y)}`).join("L")
      return `<path d="M${path}" fill="none" stroke="${colours[i]}" stroke-width="2"/>`
    }),
    ...lines.map(({ name }, i) =>
      text(plot.left + 8 + 140 * i, plot.top - 6, name, `style="fill:${colours[i]}"`)
    ),
    text(centre.x, height - 12, xLabel, middle),
    text(16, centre.y, yLabel, `${middle} transform="rotate(-90 16 ${centre.y})"`),
    "</svg>",
    "",
  ].join("\n")
}

/** Maps one range to another, to a tenth of a pixel. */
function scale([low, high]: Point, [from, to]: Point): (value: number) => number {
  return (value) => Math.round((from + (value - low) / (high - low) * (to - from)) * 10) / 10
}

/** Some five values from 0 on, 1, 2 or 5 times a power of ten apart, the last not below `most`. */
function roundTicks(most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(most / 5))
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= most / 5)!
  return Array.from(
    { length: Math.ceil(most / step) + 1 },
    (_, i) => Number((i * step).toPrecision(6)),
  )
}

function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;")
}
