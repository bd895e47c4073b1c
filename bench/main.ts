/**
 * Runs the benches and prints their tables, and at the end what was aimed at; a whole run is kept in
 * `results/`, with its pictures.
 *
 * `deno task bench [--quick] [--only name]`
 */
import { mkdir, writeFile } from "node:fs/promises"
import process from "node:process"
import { parseArgs } from "node:util"
import { lineChart } from "../src/show/line_chart.ts"
import { markdownTable } from "../src/show/table.ts"
import { type Aim, aimsChart, aimsTable } from "./_aims.ts"
import { batching } from "./batching.ts"
import type { ChartedTable } from "./_charted_table.ts"
import { contextLength } from "./context_length.ts"
import { decodeOverhead } from "./decode_overhead.ts"
import { guidance } from "./guidance.ts"
import { kernels } from "./kernels.ts"
import { describeMachine } from "./_machine.ts"
import { memory } from "./memory.ts"
import { peersDecode } from "./peers_decode.ts"
import { prefill } from "./prefill.ts"
import { quantisation } from "./quantisation.ts"
import { speculation } from "./speculation.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { training } from "./training.ts"

type Bench = (options: { quick: boolean }) => Promise<BenchTable | ChartedTable>

const benches: Record<string, Bench> = {
  guidance,
  peers_decode: peersDecode,
  speculation,
  batching,
  kernels,
  decode_overhead: ({ quick }) => decodeOverhead({ quick, size: quick ? "15M" : "135M" }),
  prefill,
  context_length: contextLength,
  memory,
  quantisation,
  training,
}

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
  },
})
if (options.only !== undefined && !Object.hasOwn(benches, options.only)) {
  const names = Object.keys(benches).join(", ")
  process.stderr.write(`there is no bench "${options.only}"; there are ${names}\n`)
  process.exit(1)
}
const chosen = options.only === undefined ? benches : { [options.only]: benches[options.only] }

const machine = describeMachine()
process.stdout.write(
  `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, ${machine.runtime}\n\n`,
)
const tables: Record<string, BenchTable> = {}
const charts: Record<string, string> = {}
const aims: Aim[] = []
for (const [name, bench] of Object.entries(chosen)) {
  progress(`${Object.keys(tables).length + 1} of ${Object.keys(chosen).length}: ${name} ...`)
  const { chart, ...table } = { chart: undefined, ...await bench({ quick: options.quick }) }
  progress("")
  printTable(table)
  process.stdout.write("\n")
  tables[name] = table
  aims.push(...table.aims ?? [])
  if (chart !== undefined) charts[name] = lineChart(chart)
}
if (aims.length > 0) {
  process.stdout.write(`## What was aimed at\n\n${markdownTable(aimsTable(aims))}\n`)
  charts.aims = aimsChart(aims)
}
if (options.only === undefined) await keep()

/** A line that the next one replaces. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

async function keep(): Promise<void> {
  const folder = new URL("results/", import.meta.url)
  await mkdir(folder, { recursive: true })
  const results = { machine, quick: options.quick, aims, tables }
  await writeFile(new URL("latest.json", folder), JSON.stringify(results, undefined, 2) + "\n")
  for (const [name, svg] of Object.entries(charts)) {
    await writeFile(new URL(`${name}.svg`, folder), svg)
  }
}
