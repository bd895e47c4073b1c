/**
 * Rows of PKU-SafeRLHF: two responses, and which is the more helpful and which the safer one; one
 * row so gives a pair for either quality. https://huggingface.co/datasets/PKU-Alignment/PKU-SafeRLHF
 */
import type { JsonRow } from "./_json_rows.ts"
import { textOf, wrongField } from "./_row_fields.ts"
import type { PreferencePair } from "./pairs.ts"

/** The quality for which a response is preferred. */
export type PkuPreference = "helpful" | "safe"

/** The fields with the number of the response that wins. */
const winners: Record<PkuPreference, string> = {
  helpful: "better_response_id",
  safe: "safer_response_id",
}

/** The pair of a row for one of its two qualities. */
export function pairOfPku(row: JsonRow, preference: PkuPreference): PreferencePair {
  const field = winners[preference]
  const winner = row.value[field]
  if (winner !== 0 && winner !== 1) throw wrongField(row, field, winner, "0 or 1")
  const responses = [textOf(row, "response_0"), textOf(row, "response_1")]
  return {
    prompt: textOf(row, "prompt"),
    chosen: responses[winner],
    rejected: responses[1 - winner],
  }
}
