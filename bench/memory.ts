import { execFile } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { aimAt } from "./_aims.ts"
import type { Point } from "../src/show/line_chart.ts"
import type { ChartedTable } from "./_charted_table.ts"
import { median } from "./_statistics.ts"
import { type BenchTable, printTable } from "./_table.ts"
import type { Sample, Workload } from "./_memory_child.ts"

/** Samples the memory of long and of many texts, each side in a process of its own. */
export async function memory({ quick }: { quick: boolean }): Promise<ChartedTable> {
  const long = { texts: 1, tokens: quick ? 800 : 5000 }
  const short = quick ? { texts: 40, tokens: 24 } : { texts: 400, tokens: 50 }
  const rows: BenchTable["rows"] = []
  const series: { name: string; points: Point[] }[] = []
  let collected = true
  for (const workload of [long, short]) {
    for (const side of ["bare", "guided"] as const) {
      const samples = await sampleInChild({ ...workload, side })
      collected &&= samples.every((sample) => sample.collected)
      rows.push(summarise({ ...workload, side }, samples))
      if (workload === long) {
        series.push({ name: side, points: samples.map((s) => [s.tokens, beyond(s)]) })
      }
    }
  }
  return {
    question: "What memory does generation take beyond its caches, and does it grow?",
    columns: [
      "texts",
      "side",
      "caches at most",
      "rss, first quarter",
      "rss, last quarter",
      "growth",
      "heap, first",
      "heap, last",
    ],
    rows,
    aims: rows.filter((row) => row[1] === "guided").map((row) =>
      aimAt(
        `memory, ${row[0]}: growth in MB beside the caches`,
        Math.max(1, Number(row[5])),
        "lower",
        10,
      )
    ),
    notes: [
      "MB. Resident memory less the bytes of the key-value caches, and the JavaScript heap; medians " +
      "over the first and the last quarter of the samples.",
      `15M random float32 weights (61 MB), two rows; each side in a fresh process. ${
        collected
          ? "Garbage is collected before each sample."
          : "This runtime gave no way to collect garbage, so that what it has not freed yet counts."
      }`,
      "Parts of a cache that no token has reached are counted as its bytes and not resident, so that " +
      "growth may be negative. Bun counts array buffers, caches among them, in its heap.",
      "A guided text keeps an event for each token, and returns them.",
    ],
    chart: {
      title: `Memory beyond the caches while one text of ${long.tokens} tokens is written`,
      xLabel: "tokens written",
      yLabel: "MB, resident less caches",
      fromZero: true,
      series,
    },
  }
}

async function sampleInChild(workload: Workload): Promise<Sample[]> {
  const file = fileURLToPath(new URL("./_memory_child.ts", import.meta.url))
  const run = "Deno" in globalThis ? ["run", "--allow-all", "--v8-flags=--expose-gc"] : []
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...run, file, JSON.stringify(workload)],
    { maxBuffer: 1 << 26 },
  )
  return JSON.parse(stdout)
}

/** Megabytes of resident memory that are no cache. */
function beyond({ rss, caches }: Sample): number {
  return (rss - caches) / 1e6
}

function summarise({ texts, tokens, side }: Workload, samples: Sample[]): (string | number)[] {
  const quarter = Math.max(1, samples.length >> 2)
  const quarters = [samples.slice(0, quarter), samples.slice(-quarter)]
  const [first, last] = quarters.map((part) => median(part.map(beyond)))
  const [heapFirst, heapLast] = quarters.map((part) => median(part.map(({ heap }) => heap / 1e6)))
  return [
    texts === 1 ? `1 of ${tokens} tokens` : `${texts} of ${tokens} tokens`,
    side,
    Math.max(...samples.map(({ caches }) => caches / 1e6)).toFixed(1),
    first.toFixed(1),
    last.toFixed(1),
    (last - first).toFixed(1),
    heapFirst.toFixed(1),
    heapLast.toFixed(1),
  ]
}

if (import.meta.main) printTable(await memory({ quick: false }))
