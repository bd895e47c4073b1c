/**
 * A trade-off as a picture: what is won along one axis for what is paid along the other. Each series
 * is one way to get there; its points are settings, with their names and intervals.
 */
import { colours, escape, type Frame, frame, label, plot } from "./_axes.ts"

/** A number, with the interval it lies in where one is known. */
export type Figure = number | {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** One setting. */
export interface FrontierPoint {
  /** Along: e.g. what it costs. */
  readonly x: Figure
  /** Up: e.g. what is won. */
  readonly y: Figure
  /** What stands beside it, e.g. its weight. */
  readonly label?: string
}

/** Settings that belong together, in the order of the line that joins them. */
export interface FrontierSeries {
  /** Its name in the legend. */
  readonly name: string
  /** Its settings. */
  readonly points: readonly FrontierPoint[]
}

/** What is drawn. */
export interface FrontierSpec {
  /** Stands above. */
  readonly title: string
  /** What is along, with its unit. */
  readonly xLabel: string
  /** What is up, with its unit. */
  readonly yLabel: string
  /** Any number; several get a legend. */
  readonly series: readonly FrontierSeries[]
}

/**
 * Draws a trade-off as SVG text. Bars are intervals; those without an end are left out, and so are
 * points that are not finite.
 *
 * @example
 * ```ts
 * import { frontierChart } from "genarm"
 * import { assertStringIncludes } from "@std/assert"
 *
 * const svg = frontierChart({
 *   title: "What kindness costs",
 *   xLabel: "KL from the base, nats per token",
 *   yLabel: "kindness",
 *   series: [{
 *     name: "kind",
 *     points: [
 *       { x: 0, y: { value: 0.1, low: 0.05, high: 0.15 }, label: "0" },
 *       { x: 0.2, y: { value: 0.7, low: 0.6, high: 0.8 }, label: "1" },
 *     ],
 *   }],
 * })
 * assertStringIncludes(svg, "<svg")
 * ```
 */
export function frontierChart({ title, xLabel, yLabel, series }: FrontierSpec): string {
  const shown = series.map(({ name, points }) => ({
    name,
    points: points.filter(({ x, y }) => Number.isFinite(valueOf(x)) && Number.isFinite(valueOf(y))),
  }))
  const points = shown.flatMap(({ points }) => points)
  const area = frame({
    title,
    x: { label: xLabel, values: points.flatMap(({ x }) => reach(x)) },
    y: { label: yLabel, values: points.flatMap(({ y }) => reach(y)) },
    legend: series.length > 1 ? series.map(({ name }) => name) : [],
  })
  return [
    ...area.head,
    ...shown.flatMap(({ points }, i) => drawSeries(points, colours[i % colours.length], area)),
    ...placeLabels(shown, area),
    ...area.tail,
  ].join("\n")
}

function drawSeries(
  points: readonly FrontierPoint[],
  colour: string,
  { toX, toY }: Frame,
): string[] {
  const at = ({ x, y }: FrontierPoint) => `${toX(valueOf(x))} ${toY(valueOf(y))}`
  const stroke = `fill="none" stroke="${colour}"`
  const bars = points.flatMap(({ x, y }) => {
    const [left, right] = reach(x).map(toX)
    const [bottom, top] = reach(y).map(toY)
    const across = `M${left} ${toY(valueOf(y))}H${right}`
    const up = `M${toX(valueOf(x))} ${bottom}V${top}`
    return [...left < right ? [across] : [], ...top < bottom ? [up] : []]
  })
  return [
    ...points.length > 1
      ? [`<path d="M${points.map(at).join("L")}" ${stroke} stroke-width="1.5" opacity="0.6"/>`]
      : [],
    ...bars.length > 0 ? [`<path d="${bars.join("")}" ${stroke} opacity="0.8"/>`] : [],
    ...points.map((point) => {
      const hint = point.label === undefined ? "" : `<title>${escape(point.label)}</title>`
      return `<circle cx="${toX(valueOf(point.x))}" cy="${toY(valueOf(point.y))}" r="4" ` +
        `fill="${colour}">${hint}</circle>`
    }),
  ]
}

/** Boxes of pixels: left, top, right, bottom. */
type Box = readonly [number, number, number, number]

/** Labels beside their points, where none covers another or a point; else it is left out. */
function placeLabels(series: readonly FrontierSeries[], { toX, toY }: Frame): string[] {
  const taken: Box[] = series.flatMap(({ points }) =>
    points.map(({ x, y }): Box => {
      const [cx, cy] = [toX(valueOf(x)), toY(valueOf(y))]
      return [cx - 4, cy - 4, cx + 4, cy + 4]
    })
  )
  return series.flatMap(({ points }, i) =>
    points.flatMap((point) => {
      if (point.label === undefined) return []
      const [cx, cy] = [toX(valueOf(point.x)), toY(valueOf(point.y))]
      // 11 pixel letters are some 6 pixels wide.
      const wide = 6 * point.label.length + 2
      const places: Box[] = [[6, -16], [6, 4], [-6 - wide, -16], [-6 - wide, 4], [6, -30], [6, 18]]
        .map(([dx, dy]) => [cx + dx, cy + dy, cx + dx + wide, cy + dy + 12])
      const place = places.find((box) =>
        isInside(box) && !taken.some((other) => overlap(box, other))
      )
      if (place === undefined) return []
      taken.push(place)
      const colour = colours[i % colours.length]
      return [
        label(round(place[0]), round(place[3] - 2), point.label, `font-size="11" fill="${colour}"`),
      ]
    })
  )
}

function isInside([left, top, right, bottom]: Box): boolean {
  return left >= plot.left && right <= plot.right + 20 && top >= plot.top - 12 &&
    bottom <= plot.bottom
}

function overlap(one: Box, other: Box): boolean {
  return one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

function valueOf(figure: Figure): number {
  return typeof figure === "number" ? figure : figure.value
}

/** The ends of an interval; the value itself where an end is not known. */
function reach(figure: Figure): [number, number] {
  if (typeof figure === "number") return [figure, figure]
  const { value, low, high } = figure
  return [Number.isFinite(low) ? low : value, Number.isFinite(high) ? high : value]
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}
