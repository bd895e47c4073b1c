/**
 * Runs the benches and prints their tables, and at the end what was aimed at. Tables are kept in
 * `results/latest.json` (`quick.json` for quick ones), each with the machine and the commit of its run,
 * and pictures beside it; a table that is measured again replaces the earlier one.
 *
 * `deno task bench [--quick] [--only name]`
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { lineChart } from "../src/show/line_chart.ts"
import { markdownTable } from "../src/show/table.ts"
import { aimsChart, aimsTable } from "./_aims.ts"
import { batching } from "./batching.ts"
import type { ChartedTable } from "./_charted_table.ts"
import { candidates } from "./candidates.ts"
import { contextLength } from "./context_length.ts"
import { decodeOverhead } from "./decode_overhead.ts"
import { guidance } from "./guidance.ts"
import { kernels } from "./kernels.ts"
import { describeMachine } from "./_machine.ts"
import { memory } from "./memory.ts"
import { peersDecode } from "./peers_decode.ts"
import { prefill } from "./prefill.ts"
import { openResults } from "./_results.ts"
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
  candidates,
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
const results = await openResults(options.quick ? "quick.json" : "latest.json")
let done = 0
for (const [name, bench] of Object.entries(chosen)) {
  progress(`${++done} of ${Object.keys(chosen).length}: ${name} ...`)
  const { chart, ...table } = { chart: undefined, ...await bench({ quick: options.quick }) }
  progress("")
  printTable(table)
  process.stdout.write("\n")
  await results.keep(name, { ...table, machine })
  if (chart !== undefined && !options.quick) await results.draw(name, lineChart(chart))
}
const aims = results.aims(Object.keys(chosen))
if (aims.length > 0) {
  process.stdout.write(`## What was aimed at\n\n${markdownTable(aimsTable(aims))}\n`)
}
if (!options.quick) await results.draw("aims", aimsChart(results.aims(Object.keys(benches))))

/** A line that the next one replaces. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}
