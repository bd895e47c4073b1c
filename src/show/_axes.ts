/**
 * What all charts share: the frame with its title, ticks, grid, labels and legend, as lines of SVG,
 * and the way from values to pixels. Colours are legible on light pages and on dark ones.
 */

/** `[low, high]` */
export type Range = readonly [number, number]

/** One axis of a chart. */
export interface Axis {
  readonly label: string
  /** The values that must be inside. */
  readonly values: readonly number[]
  /** Whether the axis must reach 0. */
  readonly fromZero?: boolean
  /** Equal distances for equal ratios, with a tick at each value; linear where absent. */
  readonly logarithmic?: boolean
}

/** A frame to draw in. */
export interface Frame {
  /** Pixels, to a tenth. */
  readonly toX: (value: number) => number
  readonly toY: (value: number) => number
  /** Opens the picture: frame, grid, labels and legend. */
  readonly head: readonly string[]
  /** Closes it. */
  readonly tail: readonly string[]
}

/** What one writes about a frame. */
export interface FrameSpec {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  /** The names of the series, in the order of `colours`; one alone needs no legend. */
  readonly legend?: readonly string[]
}

export const width = 640
export const height = 360
export const plot = { left: 72, right: width - 24, top: 52, bottom: height - 52 } as const
export const colours = [
  ...["#3b82c4", "#d1603d", "#3f9a5f", "#8a63b8", "#b8892b", "#c4508f", "#2f9c9c", "#7d8590"],
]
/** Of frames and labels. */
export const ink = "#7d8590"

/** Lays out a chart. */
export function frame({ title, x, y, legend = [] }: FrameSpec): Frame {
  const xs = ticks(x)
  const ys = ticks(y)
  const toX = scale(x, xs, [plot.left, plot.right])
  const toY = scale(y, ys, [plot.bottom, plot.top])
  const middle = 'text-anchor="middle"'
  const centre = { x: (plot.left + plot.right) / 2, y: (plot.top + plot.bottom) / 2 }
  const { rows, extra } = legendOf(legend)
  const rule = (path: string, opacity: number) =>
    `<path d="${path}" fill="none" stroke="${ink}" opacity="${opacity}"/>`
  return {
    toX,
    toY,
    head: [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 ${-extra} ${width} ${height + extra}" ` +
      `fill="${ink}" ` + 'font-family="system-ui, sans-serif" font-size="12">',
      label(plot.left, 18 - extra, title, 'font-size="14"'),
      ...ys.map((value) => rule(`M${plot.left} ${toY(value)}H${plot.right}`, 0.3)),
      ...xs.map((value) => rule(`M${toX(value)} ${plot.bottom}v4`, 0.6)),
      ...ys.map((value) => label(plot.left - 8, toY(value) + 4, value, 'text-anchor="end"')),
      ...xs.map((value) => label(toX(value), plot.bottom + 18, value, middle)),
      label(centre.x, height - 12, x.label, middle),
      label(16, centre.y, y.label, `${middle} transform="rotate(-90 16 ${centre.y})"`),
      ...rows,
    ],
    tail: ["</svg>", ""],
  }
}

/** Some text; `more` are further attributes. */
export function label(x: number, y: number, content: unknown, more = ""): string {
  return `<text x="${x}" y="${y}" ${more}>${escape(String(content))}</text>`
}

/** Text for the inside of an element or an attribute. */
export function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;")
}

/** Pixels from one row of a legend to the next. */
const rowHeight = 18

/** Names in the colours of their series, side by side above the plot, and what further rows take. */
function legendOf(names: readonly string[]): { readonly rows: string[]; readonly extra: number } {
  let [x, y] = [plot.left as number, 0]
  const places = names.map((name) => {
    // 12 pixel letters are some 7 pixels wide.
    const wide = 24 + 7 * name.length
    if (x > plot.left && x + wide - 11 > width) [x, y] = [plot.left, y + rowHeight]
    const place = { x, y }
    x += wide
    return place
  })
  return {
    rows: names.map((name, i) => {
      const { x } = places[i]
      const at = plot.top - 16 + places[i].y - y
      const colour = colours[i % colours.length]
      return `<circle cx="${x + 4}" cy="${at}" r="4" fill="${colour}"/>` +
        label(x + 13, at + 4, name, `fill="${colour}"`)
    }),
    extra: y,
  }
}

/** The ticks of an axis; the first and last are its ends. */
export function ticks({ values, fromZero, logarithmic }: Axis): number[] {
  const finite = values.filter(Number.isFinite)
  if (logarithmic) return [...new Set(finite)].sort((a, b) => a - b)
  const seen = fromZero ? [0, ...finite] : finite
  if (seen.length === 0) return roundTicks([0, 1])
  const [low, high] = [Math.min(...seen), Math.max(...seen)]
  // An interval that reaches a hair below 0 is seen at the frame, and needs no step of its own.
  return roundTicks([low < 0 && -low < 0.01 * high ? 0 : low, high])
}

/** Some five values around a range, 1, 2 or 5 times a power of ten apart. */
export function roundTicks([low, high]: Range): number[] {
  if (!(high > low)) {
    const half = Math.abs(low) / 2 || 0.5
    return roundTicks([low - half, low + half])
  }
  const fifth = (high - low) / 5
  const power = 10 ** Math.floor(Math.log10(fifth))
  // Against the rounding of the division: a fifth of 0.5 is no more than 0.1.
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= fifth * 0.999999)!
  const first = Math.floor(low / step + 1e-9)
  const last = Math.ceil(high / step - 1e-9)
  return Array.from(
    { length: last - first + 1 },
    (_, i) => Number(((first + i) * step).toPrecision(12)),
  )
}

/** Maps the range of an axis to pixels, to a tenth. */
function scale({ logarithmic }: Axis, ends: readonly number[], [from, to]: Range) {
  const place = (value: number) => logarithmic ? Math.log(value) : value
  const low = place(ends[0])
  const span = place(ends[ends.length - 1]) - low || 1
  return (value: number): number =>
    Math.round((from + (place(value) - low) / span * (to - from)) * 10) / 10
}
