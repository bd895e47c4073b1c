/** The tables that have been measured, in a file: each with where and when it was. */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import type { Aim } from "./_aims.ts"
import type { Machine } from "./_machine.ts"
import type { BenchTable } from "./_table.ts"

/** A table of one run. */
type Measured = BenchTable & { readonly machine: Machine }

/** What is kept. */
export interface Results {
  /** Puts a table in the place of an earlier one. */
  keep(name: string, table: Measured): Promise<void>
  /** Writes a picture beside the file. */
  draw(name: string, svg: string): Promise<void>
  /** What was aimed at, in the order of the names. */
  aims(names: readonly string[]): Aim[]
}

/** Opens a file of `results/`, which need not be there. */
export async function openResults(file: string): Promise<Results> {
  const folder = new URL("results/", import.meta.url)
  await mkdir(folder, { recursive: true })
  const tables = await readTables(new URL(file, folder))
  return {
    async keep(name, table) {
      tables[name] = table
      await writeFile(new URL(file, folder), JSON.stringify({ tables }, undefined, 2) + "\n")
    },
    draw: (name, svg) => writeFile(new URL(`${name}.svg`, folder), svg),
    aims: (names) => names.flatMap((name) => tables[name]?.aims ?? []),
  }
}

async function readTables(file: URL): Promise<Record<string, Measured>> {
  try {
    return JSON.parse(await readFile(file, "utf8")).tables ?? {}
  } catch {
    return {} // the first run
  }
}
