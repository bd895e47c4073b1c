import { assert, assertEquals, assertStringIncludes } from "@std/assert"
import { describe, it } from "node:test"
import { lineChart, type Point, stackCharts } from "../../src/show/line_chart.ts"

const draw = (points: readonly Point[], more = {}) =>
  lineChart({ title: "t", xLabel: "x", yLabel: "y", series: [{ name: "a", points }], ...more })

/** The paths of the lines, not those of the frame. */
const lines = (svg: string) =>
  [...svg.matchAll(/<path d="([^"]*)"[^>]*stroke-width="2"/g)].map(([, path]) => path)

describe("a line chart", () => {
  it("places points where the axes say", () => {
    // The plot is from 72 to 616 across and from 308 up to 52.
    const svg = draw([[0, 0], [5, 1], [10, 0.5]])
    assertEquals(lines(svg), ["M72 308L344 52L616 180"])
  })

  it("has distances of ratios where asked for, and reaches 0 where asked for", () => {
    assertEquals(lines(draw([[1, 4], [10, 5], [100, 4]], { logarithmic: true, fromZero: true })), [
      "M72 103.2L344 52L616 103.2",
    ])
  })

  it("breaks at what is no number, and shows a point that is left alone", () => {
    const svg = draw([[0, 0], [1, NaN], [2, 1], [3, Infinity], [4, 1], [5, 0]])
    assert(!/NaN|Infinity/.test(svg))
    assertEquals(lines(svg)[0].match(/M/g)?.length, 3)
    assertEquals(svg.match(/<circle/g)?.length, 4)
  })

  it("is a picture even of nothing, of one point or of equal ones", () => {
    for (const points of [[], [[1, 1]], [[1, 2], [1, 2]], [[NaN, NaN]]] as Point[][]) {
      const svg = draw(points)
      assert(svg.startsWith("<svg") && !/NaN|Infinity|undefined/.test(svg), svg)
    }
  })

  it("names several series in the colours of their lines", () => {
    const svg = lineChart({
      title: "a & b",
      xLabel: "x",
      yLabel: "<y>",
      series: [{ name: "one", points: [[0, 1]] }, { name: "two", points: [[0, 2]] }],
    })
    assertStringIncludes(svg, "a &amp; b")
    assertStringIncludes(svg, "&lt;y>")
    const colour = /fill="(#\w+)">two</.exec(svg)?.[1]
    assert(colour !== undefined && svg.includes(`stroke="${colour}"`))
  })

  it("may stand below another", () => {
    const svg = stackCharts([draw([[0, 1]]), draw([[0, 2]])])
    assertStringIncludes(svg, 'viewBox="0 0 640 720"')
    assertStringIncludes(svg, '<svg y="360" width="640" height="360"')
    assertEquals(svg.match(/<svg/g)?.length, svg.match(/<\/svg>/g)?.length)
  })
})
