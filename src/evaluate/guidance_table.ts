/** A measurement as the cells of a table, and as the points of a chart. */
import { GenArmError } from "../errors.ts"
import type { Estimate } from "./estimate.ts"
import type { GuidanceRow } from "./types.ts"

/** Cells, for `textTable` and `markdownTable`. */
export interface GuidanceTable {
  /** The head of each column. */
  readonly columns: readonly string[]
  /** One row for each setting. */
  readonly rows: readonly (readonly string[])[]
}

/** A point of a chart, with its interval in both directions. */
export interface GuidancePoint {
  /** Along. */
  readonly x: Estimate
  /** Up. */
  readonly y: Estimate
  /** The weights. */
  readonly label: string
}

/** A figure by its name: `"kl"`, `"perplexity"`, `"length"`, or the name of a measure or reward. */
export type FigureName = string

/**
 * The main figures of a measurement, one row for each setting, each with its interval: measures,
 * rewards per token, KL per token, distinct-2 by words, perplexity, length and share ended.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { evaluateGuidance, guidanceTable } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({ coin: { vocabulary: ["a", "b"], next: () => [0.5, 0.5] } })
 * await using pipeline = await openPipeline(defineGraph({ base: "coin" }), { runtime })
 * const rows = await evaluateGuidance(pipeline, {
 *   prompts: ["a"],
 *   samples: 4,
 *   weights: [{}],
 *   maxTokens: 3,
 * })
 * const { columns, rows: cells } = guidanceTable(rows)
 * assertEquals(columns.slice(0, 3), ["weights", "texts", "KL / token"])
 * assertEquals(cells[0].slice(0, 3), ["base", "4", "0 [0, 0]"])
 * ```
 */
export function guidanceTable(rows: readonly GuidanceRow[]): GuidanceTable {
  const [first] = rows
  const measures = Object.keys(first?.measures ?? {})
  const rewards = Object.keys(first?.rewards ?? {})
  return {
    columns: [
      ...["weights", "texts", ...measures, ...rewards.map((name) => `${name} / token`)],
      ...["KL / token", "distinct-2", "perplexity", "tokens", "ended"],
    ],
    rows: rows.map((row) => [
      weightsLabel(row.weights),
      String(row.continuations),
      ...measures.map((name) => printEstimate(row.measures[name])),
      ...rewards.map((name) => printEstimate(row.rewards[name].perToken)),
      printEstimate(row.kl),
      printEstimate(row.distinct.words[1]),
      printEstimate(row.perplexity),
      printEstimate(row.length),
      printEstimate(row.ended),
    ]),
  }
}

/**
 * The settings as points of a chart, such as `frontierChart`.
 *
 * @param x What is along: `"kl"`, `"perplexity"`, `"length"`, or a measure or reward (per token).
 * @param y What is up, likewise.
 * @throws {GenArmError} Reason `InvalidOption` when there is no such figure.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, tableRuntime } from "genarm"
 * import { evaluateGuidance, guidancePoints } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * const runtime = tableRuntime({ coin: { vocabulary: ["a", "b"], next: () => [0.5, 0.5] } })
 * await using pipeline = await openPipeline(defineGraph({ base: "coin" }), { runtime })
 * const rows = await evaluateGuidance(pipeline, { prompts: ["a"], weights: [{}], maxTokens: 3 })
 * assertEquals(guidancePoints(rows, "kl", "length")[0].y.value, 3)
 * ```
 */
export function guidancePoints(
  rows: readonly GuidanceRow[],
  x: FigureName,
  y: FigureName,
): GuidancePoint[] {
  return rows.map((row) => ({
    x: figureOf(row, x),
    y: figureOf(row, y),
    label: weightsLabel(row.weights),
  }))
}

function figureOf(row: GuidanceRow, name: FigureName): Estimate {
  const { kl, perplexity, length } = row
  const figures: Record<string, Estimate> = { kl, perplexity, length }
  for (const reward in row.rewards) figures[reward] = row.rewards[reward].perToken
  // A measure goes before a reward of its name: a reward is rarely the thing itself.
  Object.assign(figures, row.measures)
  if (Object.hasOwn(figures, name)) return figures[name]
  throw new GenArmError(
    { _tag: "InvalidOption", path: [name] },
    `there is no figure "${name}" to draw; there are ${Object.keys(figures).join(", ")}`,
  )
}

/** `"2"` where there is one reward, `"kind 1, brief 0.5"` where there are several. */
function weightsLabel(weights: Readonly<Record<string, number>>): string {
  const entries = Object.entries(weights)
  if (entries.length === 0) return "base"
  if (entries.length === 1) return String(entries[0][1])
  return entries.map(([name, weight]) => `${name} ${weight}`).join(", ")
}

/** A figure with its interval, all to the digits that the interval leaves of worth. */
export function printEstimate({ value, low, high }: Estimate): string {
  if (Number.isNaN(value)) return "none"
  const width = Number.isFinite(high - low) ? high - low : 0
  const digits = width > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(width)))) : undefined
  const print = (number: number) =>
    digits === undefined || !Number.isFinite(number)
      ? String(Number(number.toPrecision(4)))
      : number.toFixed(digits)
  if (low === -Infinity && high === Infinity) return print(value)
  return `${print(value)} [${print(low)}, ${print(high)}]`
}
