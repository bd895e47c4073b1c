/** One line of a terminal that shows how far a download or the loading of a model is. */
import process from "node:process"
import type { OnProgress, Progress } from "../files/progress.ts"

/** The part of a terminal's stream that the line needs; `process.stderr` has it. */
export interface LineStream {
  /** Whether this is a terminal; nothing is written otherwise. */
  readonly isTTY?: boolean
  /** The width of the terminal; 80 where it is unknown, or given as 0. */
  readonly columns?: number
  /** Writes text as it is. */
  write(text: string): unknown
}

/** A line that follows the reports it is given. */
export interface ProgressLine {
  /** Redraws the line; to be passed as `onProgress`. */
  readonly report: OnProgress
  /** Erases the line, so that the next output starts where it stood. */
  done(): void
}

const BAR_CELLS = 20
/** The rate is that of the last seconds, so that a connection that slows down shows. */
const RATE_WINDOW_MS = 5_000
const UNITS = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const
export const ERASE = "\r\x1b[K"

/**
 * Makes a self-overwriting line, e.g.
 * `model.safetensors  ▓▓▓▓▓▓▓▓░░░░░░░░░░░░  42 %  118/281 MB  12.3 MB/s  13 s left`. On a stream
 * that is no terminal it writes nothing at all. It never throws by itself.
 *
 * ```text
 * const line = progressLine()
 * const model = await load("hub:org/name", { onProgress: line.report })
 * line.done()
 * ```
 *
 * @param stream Where the line is drawn.
 * @param now A clock in milliseconds.
 */
export function progressLine(
  stream: LineStream = process.stderr,
  now: () => number = () => performance.now(),
): ProgressLine {
  let subject = ""
  let samples: { readonly at: number; readonly loaded: number }[] = []
  let drawn = false
  return {
    report(progress) {
      if (!stream.isTTY) return
      const at = now()
      const next = `${progress.stage} ${progress.model} ${progress.file}`
      // A download that starts again from the beginning has no rate yet, as a new one.
      if (next !== subject || progress.loaded < (samples.at(-1)?.loaded ?? 0)) samples = []
      subject = next
      samples.push({ at, loaded: progress.loaded })
      while (samples.length > 2 && samples[1].at <= at - RATE_WINDOW_MS) samples.shift()
      const elapsed = (at - samples[0].at) / 1000
      const rate = elapsed > 0 ? (progress.loaded - samples[0].loaded) / elapsed : 0
      stream.write(ERASE + fit(describe(progress, rate), stream.columns || 80))
      drawn = true
    },
    done() {
      if (drawn) stream.write(ERASE)
      drawn = false
      subject = ""
    },
  }
}

function describe({ stage, file, loaded, total }: Progress, rate: number): string[] {
  const parts = [stage === "load" ? `loading ${file}` : file]
  if (total === undefined) {
    parts.push(bytes(loaded))
  } else {
    const share = total === 0 ? 1 : Math.min(loaded / total, 1)
    const full = Math.floor(share * BAR_CELLS)
    parts.push("▓".repeat(full) + "░".repeat(BAR_CELLS - full))
    parts.push(`${Math.floor(share * 100)} %`, amounts(loaded, total))
  }
  if (rate > 0) {
    parts.push(`${bytes(rate)}/s`)
    if (total !== undefined && total > loaded) {
      parts.push(`${duration((total - loaded) / rate)} left`)
    }
  }
  return parts
}

/** Drops whole parts from the end until the line fits: a wrapped line could not be overwritten. */
export function fit(parts: readonly string[], columns: number): string {
  let line = parts[0]
  for (const part of parts.slice(1)) {
    if (line.length + 2 + part.length >= columns) break
    line += `  ${part}`
  }
  return line.slice(0, Math.max(columns - 1, 0))
}

function bytes(count: number): string {
  for (const [unit, size] of UNITS) {
    if (count >= size) return `${figure(count / size)} ${unit}`
  }
  return `${Math.round(count)} B`
}

/** Both amounts in the unit of the larger one. */
function amounts(loaded: number, total: number): string {
  for (const [unit, size] of UNITS) {
    if (total >= size) return `${figure(loaded / size)}/${figure(total / size)} ${unit}`
  }
  return `${loaded}/${total} B`
}

function figure(value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value.toFixed(1)
}

export function duration(seconds: number): string {
  if (seconds < 99.5) return `${Math.ceil(seconds)} s`
  if (seconds < 99.5 * 60) return `${Math.round(seconds / 60)} min`
  return `${Math.round(seconds / 3600)} h`
}
