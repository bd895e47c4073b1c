/** Lines over a common axis as a picture: how figures go along with steps, lengths or time. */
import { colours, frame, height, plot, width } from "./_axes.ts"

/** `[x, y]` */
export type Point = readonly [number, number]

/** One line. */
export interface LineSeries {
  /** What the legend calls it. */
  readonly name: string
  /** In the order of the line. */
  readonly points: readonly Point[]
}

/** What is drawn. */
export interface LineChartSpec {
  /** Above the picture. */
  readonly title: string
  /** Below the x axis. */
  readonly xLabel: string
  /** Beside the y axis, upright. */
  readonly yLabel: string
  /** Equal distances for equal ratios along the x axis, with a tick at each value. */
  readonly logarithmic?: boolean
  /** Whether the value axis reaches 0; it goes around the values where absent. */
  readonly fromZero?: boolean
  /** The lines; one alone needs no legend. */
  readonly series: readonly LineSeries[]
}

/**
 * Draws lines as SVG text, legible on light pages and on dark ones. A point that is not finite breaks
 * its line; a series of few points has them marked.
 *
 * @example
 * ```ts
 * import { lineChart } from "genarm"
 * import { assertStringIncludes } from "@std/assert"
 *
 * const svg = lineChart({
 *   title: "Training",
 *   xLabel: "steps",
 *   yLabel: "loss",
 *   series: [{ name: "held out", points: [[0, 5.5], [100, 3.1], [200, 2.4]] }],
 * })
 * assertStringIncludes(svg, "<svg")
 * ```
 */
export function lineChart(spec: LineChartSpec): string {
  const { title, xLabel, yLabel, series } = spec
  const shown = series.map(({ points }) => runsOf(points))
  const points = shown.flat(2)
  const { toX, toY, head, tail } = frame({
    title,
    x: {
      label: xLabel,
      values: points.map(([x]) => x),
      ...spec.logarithmic && { logarithmic: true },
    },
    y: { label: yLabel, values: points.map(([, y]) => y), ...spec.fromZero && { fromZero: true } },
    legend: series.length > 1 ? series.map(({ name }) => name) : [],
  })
  const lines = shown.flatMap((runs, i) => {
    const colour = colours[i % colours.length]
    const path = runs.map((run) => `M${run.map(([x, y]) => `${toX(x)} ${toY(y)}`).join("L")}`)
    const few = runs.flat().length <= mostMarks
    return [
      `<path d="${path.join("")}" fill="none" stroke="${colour}" stroke-width="2" ` +
      'stroke-linejoin="round" stroke-linecap="round"/>',
      // A run of one point would be seen nowhere.
      ...runs.filter((run) => few || run.length === 1).flat().map(([x, y]) =>
        `<circle cx="${toX(x)}" cy="${toY(y)}" r="3" fill="${colour}"/>`
      ),
    ]
  })
  return [...head, ...lines, ...tail].join("\n")
}

/** Pictures below each other as one. */
export function stackCharts(charts: readonly string[]): string {
  const parts = charts.map((chart, i) =>
    chart.replace("<svg ", `<svg y="${i * height}" width="${width}" height="${height}" `)
  )
  const box = `0 0 ${width} ${height * charts.length}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}">\n${parts.join("")}</svg>\n`
}

/** More points than that are a line by themselves. */
const mostMarks = Math.floor((plot.right - plot.left) / 16)

/** The finite stretches of a line. */
function runsOf(points: readonly Point[]): Point[][] {
  const runs: Point[][] = [[]]
  for (const point of points) {
    if (point.every(Number.isFinite)) runs[runs.length - 1].push(point)
    else runs.push([])
  }
  return runs.filter((run) => run.length > 0)
}
