/**
 * Rows of ultrafeedback_binarized: pairs whose responses are conversations, with the scores that
 * they were ranked by. https://huggingface.co/datasets/HuggingFaceH4/ultrafeedback_binarized
 */
import type { JsonRow } from "./_json_rows.ts"
import { pairOfRow } from "./_pairs_rows.ts"
import { messagesOf, wrongField } from "./_row_fields.ts"
import type { PreferencePair } from "./pairs.ts"
import type { DropReason } from "./preferences_report.ts"

/** The pair of a row, or why there is none. */
export function pairOfUltraFeedback(
  row: JsonRow,
  minScoreGap: number | undefined,
): PreferencePair | DropReason {
  // Texts would do for pairs of any kind, not for this format.
  messagesOf(row, "chosen")
  messagesOf(row, "rejected")
  const chosen = scoreOf(row, "score_chosen", minScoreGap !== undefined)
  const rejected = scoreOf(row, "score_rejected", minScoreGap !== undefined)
  const pair = pairOfRow(row)
  return minScoreGap !== undefined && chosen - rejected < minScoreGap ? "scores too close" : pair
}

/** A score; NaN where there is none and none is needed. */
function scoreOf(row: JsonRow, field: string, needed: boolean): number {
  const value = row.value[field]
  if (typeof value === "number") return value
  if (!needed && (value === undefined || value === null)) return NaN
  throw wrongField(row, field, value, `a number${needed ? ", as minScoreGap is asked for" : ""}`)
}
