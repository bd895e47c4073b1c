/**
 * Rows of HH-RLHF: two transcripts "\n\nHuman: ...\n\nAssistant: ..." that begin alike. Their common
 * beginning up to the last "\n\nAssistant:" in it is the prompt, and what follows the responses, with
 * the space they begin with. https://github.com/anthropics/hh-rlhf
 */
import type { JsonRow } from "./_json_rows.ts"
import { textOf } from "./_row_fields.ts"
import type { PreferencePair } from "./pairs.ts"
import type { DropReason } from "./preferences_report.ts"

/** Where the assistant begins to speak. */
export const assistantTurn = "\n\nAssistant:"

/** The pair of a row, or why there is none. */
export function pairOfTranscripts(row: JsonRow): PreferencePair | DropReason {
  const chosen = textOf(row, "chosen")
  const rejected = textOf(row, "rejected")
  let common = 0
  while (common < chosen.length && chosen[common] === rejected[common]) common++
  const turn = chosen.slice(0, common).lastIndexOf(assistantTurn)
  if (turn < 0) return "no common prompt"
  const end = turn + assistantTurn.length
  return {
    prompt: chosen.slice(0, end),
    chosen: chosen.slice(end),
    rejected: rejected.slice(end),
  }
}
