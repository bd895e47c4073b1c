/** Written-down models whose runs are counted: a run reads any number of tokens at once. */
import { tellingRows } from "../../_opened.ts"
import { type Table, watch, type Watched } from "../../decode/_pipelines.ts"

/** Models whose runs, and the tokens that they read, can be counted. */
export interface Counted extends Watched {
  /** Calls, by model. */
  readonly runs: Record<string, number>
  /** Tokens read, by model. */
  readonly read: Record<string, number>
  /** Takes note of what was counted, and begins anew. */
  take(): { readonly runs: Record<string, number>; readonly read: Record<string, number> }
}

/** A runtime of written-down models that counts. */
export function countRuns(models: Readonly<Record<string, Table>>): Counted {
  const watched = watch(models)
  const runs: Record<string, number> = {}
  const read: Record<string, number> = {}
  const runtime = tellingRows(watched.runtime, ({ name }, rows) => {
    runs[name] = (runs[name] ?? 0) + rows.length
    for (const { tokens } of rows) read[name] = (read[name] ?? 0) + tokens.length
  })
  return {
    ...watched,
    runtime,
    runs,
    read,
    take() {
      const taken = { runs: { ...runs }, read: { ...read } }
      for (const counts of [runs, read]) for (const name in counts) delete counts[name]
      return taken
    },
  }
}
