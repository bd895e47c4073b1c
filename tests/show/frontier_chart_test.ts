import { assert, assertEquals, assertStringIncludes } from "@std/assert"
import { describe, it } from "node:test"
import { roundTicks } from "../../src/show/_axes.ts"
import { frontierChart, type FrontierSpec } from "../../src/show/frontier_chart.ts"

const spec: FrontierSpec = {
  title: 'Kindness & "cost" <here>',
  xLabel: "KL",
  yLabel: "kind",
  series: [
    {
      name: "large",
      points: [
        { x: 0, y: { value: 0.4, low: 0.3, high: 0.5 }, label: "0" },
        {
          x: { value: 0.5, low: 0.4, high: 0.6 },
          y: { value: 0.9, low: 0.8, high: 1 },
          label: "2",
        },
      ],
    },
    { name: "small", points: [{ x: 0.2, y: 0.6, label: "1" }] },
  ],
}

/** The numbers of an attribute, in order. */
function all(svg: string, attribute: string): number[] {
  return [...svg.matchAll(new RegExp(`<circle cx="[^"]*" cy="[^"]*" r="4" `, "g"))]
    .map(([circle]) => Number(circle.match(new RegExp(`${attribute}="([^"]*)"`))![1]))
}

describe("a frontier chart", () => {
  const svg = frontierChart(spec)
  // The first two circles are the legend's.
  const xs = all(svg, "cx").slice(2)
  const ys = all(svg, "cy").slice(2)

  it("begins at 0 where an interval reaches a hair below it", () => {
    const reaching = (low: number) =>
      frontierChart({
        ...spec,
        series: [{ name: "a", points: [{ x: { value: 0, low, high: 0 }, y: 1 }, { x: 1, y: 2 }] }],
      })
    assert(!reaching(-0.001).includes(">-0.5<"))
    assertStringIncludes(reaching(-0.1), ">-0.5<")
  })

  it("has as many rows of names as they need, and the plot where it was", () => {
    const named = (count: number) =>
      frontierChart({
        ...spec,
        series: Array.from({ length: count }, (_, i) => ({
          name: `a way to get there, the ${i + 1}.`,
          points: [{ x: i, y: i }, { x: 4, y: 4 }],
        })),
      })
    assertStringIncludes(named(2), 'viewBox="0 0 640 360"')
    assertStringIncludes(named(5), 'viewBox="0 -36 640 396"')
    const legend = [...named(5).matchAll(/<text x="([^"]+)" y="([^"]+)"[^>]*>(a way[^<]*)/g)]
    assertEquals(legend.map(([, x, y]) => [Number(x), Number(y)]), [
      ...[[85, 4], [291, 4], [85, 22], [291, 22], [85, 40]],
    ])
    for (const [, x, , name] of legend) assert(Number(x) + 7 * name.length < 640)
  })

  it("places points by their values", () => {
    assertEquals(xs.length, 3)
    // x: ticks from 0 to 0.6; y: from 0.2 or 0.3 to 1.
    assertEquals(xs[0], 72)
    assertEquals(Math.round((xs[2] - xs[0]) / (xs[1] - xs[0]) * 100), 40)
    assert(ys[1] < ys[2] && ys[2] < ys[0], "greater is higher")
    assertEquals(Math.round((ys[0] - ys[2]) / (ys[0] - ys[1]) * 100), 40)
  })

  it("keeps everything inside the picture", () => {
    for (const x of xs) assert(x >= 0 && x <= 640)
    for (const y of ys) assert(y >= 0 && y <= 360)
  })

  it("draws a bar for each interval and a line for each series of several", () => {
    // Two upright and one lying for the first series; one line joins it.
    assertEquals(svg.match(/V\d/g)?.length, 2)
    assertEquals(svg.match(/stroke-width="1.5"/g)?.length, 1)
  })

  it("escapes what it is told", () => {
    assertStringIncludes(svg, "Kindness &amp; &quot;cost&quot; &lt;here>")
  })

  it("leaves out what is not finite, and draws even nothing", () => {
    const odd = frontierChart({
      ...spec,
      series: [{
        name: "odd",
        points: [
          { x: NaN, y: 1 },
          { x: 1, y: Infinity },
          { x: 1, y: { value: 2, low: -Infinity, high: Infinity } },
        ],
      }],
    })
    assertEquals(all(odd, "cx").length, 1)
    for (const picture of [odd, frontierChart({ ...spec, series: [] })]) {
      assert(!/NaN|Infinity|undefined/.test(picture), picture)
    }
  })
})

describe("ticks", () => {
  it("are round, enclose the range and are four to eight", () => {
    for (let i = 0; i < 300; i++) {
      const low = Math.sin(i) * 10 ** (i % 7 - 3)
      const high = low + Math.abs(Math.cos(i * 7)) * 10 ** (i % 5 - 2) + 1e-4
      const ticks = roundTicks([low, high])
      assert(ticks[0] <= low + 1e-9 && ticks[ticks.length - 1] >= high - 1e-9, `${low} ${high}`)
      assert(ticks.length >= 3 && ticks.length <= 8, `${ticks}`)
    }
    assertEquals(roundTicks([0, 0.5]), [0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assertEquals(roundTicks([-2.45, -2.2]), [-2.45, -2.4, -2.35, -2.3, -2.25, -2.2])
    assert(roundTicks([3, 3]).length > 2)
  })
})
