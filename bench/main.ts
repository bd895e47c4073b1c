/**
 * Runs the benches and prints their tables; a whole run is kept in `results/`.
 *
 * `deno task bench [--quick] [--large] [--only name]`
 */
import { mkdir, writeFile } from "node:fs/promises"
import process from "node:process"
import { parseArgs } from "node:util"
import { lineChart } from "../src/show/line_chart.ts"
import type { ChartedTable } from "./_charted_table.ts"
import { contextLength } from "./context_length.ts"
import { decodeOverhead } from "./decode_overhead.ts"
import { kernels } from "./kernels.ts"
import { describeMachine } from "./_machine.ts"
import { memory } from "./memory.ts"
import { prefill } from "./prefill.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { training } from "./training.ts"

type Bench = (options: { quick: boolean }) => Promise<BenchTable | ChartedTable>

const benches: Record<string, Bench> = {
  decode_overhead: decodeOverhead,
  prefill,
  context_length: contextLength,
  memory,
  kernels,
  training,
}
/** Minutes long, and only on request. */
const large: Record<string, Bench> = {
  decode_overhead_large: ({ quick }) => decodeOverhead({ quick, size: "135M" }),
}

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    only: { type: "string" },
  },
})
const known = { ...benches, ...large }
if (options.only !== undefined && !Object.hasOwn(known, options.only)) {
  const names = Object.keys(known).join(", ")
  process.stderr.write(`there is no bench "${options.only}"; there are ${names}\n`)
  process.exit(1)
}
const chosen = options.only !== undefined
  ? { [options.only]: known[options.only] }
  : options.large
  ? known
  : benches

const machine = describeMachine()
process.stdout.write(
  `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, ${machine.runtime}\n\n`,
)
const tables: Record<string, BenchTable> = {}
const charts: Record<string, string> = {}
for (const [name, bench] of Object.entries(chosen)) {
  progress(`${Object.keys(tables).length + 1} of ${Object.keys(chosen).length}: ${name} ...`)
  const { chart, ...table } = { chart: undefined, ...await bench({ quick: options.quick }) }
  progress("")
  printTable(table)
  process.stdout.write("\n")
  tables[name] = table
  if (chart !== undefined) charts[name] = lineChart(chart)
}
if (options.only === undefined) await keep()

/** A line that the next one replaces. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

async function keep(): Promise<void> {
  const folder = new URL("results/", import.meta.url)
  await mkdir(folder, { recursive: true })
  const results = { machine, quick: options.quick, tables }
  await writeFile(new URL("latest.json", folder), JSON.stringify(results, undefined, 2) + "\n")
  for (const [name, svg] of Object.entries(charts)) {
    await writeFile(new URL(`${name}.svg`, folder), svg)
  }
}
