/**
 * Files of preferences as a stream of pairs, in the formats that published data sets have. Data of
 * other formats needs no reader: an array or generator of `PreferencePair` does as well.
 */
import { Schema } from "effect"
import { GenArmError } from "../../errors.ts"
import { decodeAt, printValue } from "../../plugin/options.ts"
import { assistantTurn, pairOfTranscripts } from "./_hh_rlhf_rows.ts"
import { type JsonRow, readJsonRows } from "./_json_rows.ts"
import { pairOfRow } from "./_pairs_rows.ts"
import { pairOfPku, type PkuPreference } from "./_pku_saferlhf_rows.ts"
import { wrongField } from "./_row_fields.ts"
import { pairOfUltraFeedback } from "./_ultrafeedback_rows.ts"
import type { PreferencePair } from "./pairs.ts"
import { type Dropped, type DropReason, DropTally } from "./preferences_report.ts"

export type { PkuPreference } from "./_pku_saferlhf_rows.ts"

/** The formats that `readPreferences` knows. */
export type PreferenceFormat = "pairs" | "hh-rlhf" | "ultrafeedback" | "pku-saferlhf"

/** How a file is read. */
export interface ReadPreferencesOptions {
  /**
   * What its rows are; told from the first row where absent.
   *
   * - `pairs`: `prompt`, `chosen` and `rejected`, each a text or, as TRL has them, messages with
   *   `role` and `content`. Without `prompt`, both conversations must begin with the same messages.
   * - `hh-rlhf`: transcripts `chosen` and `rejected`. Rows that share no `"\n\nAssistant:"` are
   *   dropped.
   * - `ultrafeedback`: like pairs of messages, with `score_chosen` and `score_rejected` or without.
   * - `pku-saferlhf`: `prompt`, `response_0`, `response_1`, and which is better and which safer.
   */
  readonly format?: PreferenceFormat
  /** For `pku-saferlhf`, which needs it: whether the more helpful or the safer response wins. */
  readonly preference?: PkuPreference
  /** For `ultrafeedback`: drops rows whose chosen response scores less than this above the other. */
  readonly minScoreGap?: number
}

/** The pairs of a file. Every iteration reads it from the start, and closes it at its end. */
export interface PreferenceFile extends AsyncIterable<PreferencePair> {
  /** What the latest iteration has dropped so far. */
  readonly dropped: readonly Dropped[]
}

const schema = Schema.Struct({
  format: Schema.optionalKey(
    Schema.Literals(["pairs", "hh-rlhf", "ultrafeedback", "pku-saferlhf"]),
  ),
  preference: Schema.optionalKey(Schema.Literals(["helpful", "safe"])),
  minScoreGap: Schema.optionalKey(Schema.Finite),
})

/**
 * The pairs of a JSON-lines file, plain or gzip, read as a stream; or of a file that is one JSON
 * array, read whole.
 *
 * The iteration fails with `InvalidDataFile`, which names file, line and field, when the file cannot
 * be read or a row is not what its format says, and with `InvalidOption` when an option does not go
 * with the format.
 *
 * @example
 * ```ts
 * import { readPreferences } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp, rm, writeFile } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const folder = await mkdtemp(join(tmpdir(), "genarm-"))
 * const file = join(folder, "preferences.jsonl")
 * await writeFile(file, '{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}\n')
 * for await (const { prompt, chosen, rejected } of readPreferences(file)) {
 *   assertEquals([prompt, chosen, rejected], ["The sky is", " blue.", " green."])
 * }
 * await rm(folder, { recursive: true })
 * ```
 */
export function readPreferences(
  path: string,
  options: ReadPreferencesOptions = {},
): PreferenceFile {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const checked = decodeAt(schema, Object.fromEntries(given), [], "InvalidOption")
  if (checked.format !== undefined) checkOptions(path, checked.format, checked)
  let tally = new DropTally()
  return {
    get dropped() {
      return tally.list()
    },
    async *[Symbol.asyncIterator]() {
      const current = tally = new DropTally()
      let toPair: ((row: JsonRow) => PreferencePair | DropReason) | undefined
      for await (const row of readJsonRows(path)) {
        toPair ??= readerOf(path, checked.format ?? formatOf(row), checked)
        const pair = toPair(row)
        if (typeof pair !== "string") yield pair
        else current.add(pair, row.line === undefined ? `at ${row.path}` : `line ${row.line}`)
      }
    },
  }
}

function readerOf(
  path: string,
  format: PreferenceFormat,
  options: ReadPreferencesOptions,
): (row: JsonRow) => PreferencePair | DropReason {
  const { preference, minScoreGap } = options
  checkOptions(path, format, options)
  switch (format) {
    case "pairs":
      return pairOfRow
    case "hh-rlhf":
      return pairOfTranscripts
    case "ultrafeedback":
      return (row) => pairOfUltraFeedback(row, minScoreGap)
    case "pku-saferlhf":
      // Checked above.
      return (row) => pairOfPku(row, preference as PkuPreference)
  }
}

/** Refuses options that the format would ignore, and asks for what it needs. */
function checkOptions(
  path: string,
  format: PreferenceFormat,
  { preference, minScoreGap }: ReadPreferencesOptions,
): void {
  const isPku = format === "pku-saferlhf"
  if (isPku !== (preference !== undefined)) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["preference"] },
      isPku
        ? `${path} says which response is the more helpful and which the safer one: expected ` +
          'preference: "helpful" or preference: "safe"'
        : `the option preference is for pku-saferlhf, and ${path} is ${format}: leave it out`,
    )
  }
  if (minScoreGap !== undefined && format !== "ultrafeedback") {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["minScoreGap"] },
      `the option minScoreGap is for ultrafeedback, and ${path} is ${format}: leave it out`,
    )
  }
}

/** The format of a file by its first row. */
function formatOf(row: JsonRow): PreferenceFormat {
  const { prompt, chosen, rejected, response_0, response_1, ...rest } = row.value
  if (response_0 !== undefined && response_1 !== undefined) return "pku-saferlhf"
  if (chosen === undefined || rejected === undefined) {
    throw wrongField(
      row,
      chosen === undefined ? "chosen" : "rejected",
      undefined,
      'one of the formats "pairs", "hh-rlhf", "ultrafeedback" or "pku-saferlhf", not a row of ' +
        `${printValue(Object.keys(row.value))}; map other data to { prompt, chosen, rejected }`,
    )
  }
  if (prompt === undefined && typeof chosen === "string" && chosen.includes(assistantTurn)) {
    return "hh-rlhf"
  }
  if (!Array.isArray(chosen)) return "pairs"
  return typeof prompt === "string" || "score_chosen" in rest ? "ultrafeedback" : "pairs"
}
