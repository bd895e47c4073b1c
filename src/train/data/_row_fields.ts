/** Taking fields out of a row of JSON, with errors that name file, line and field. */
import type { GenArmError } from "../../errors.ts"
import type { ChatMessage } from "../../files/tokenizer.ts"
import { printValue } from "../../plugin/options.ts"
import { invalidData } from "./_invalid_data.ts"
import type { JsonRow } from "./_json_rows.ts"

/** A field that must be a text. */
export function textOf(row: JsonRow, field: string): string {
  const value = row.value[field]
  if (typeof value === "string") return value
  throw wrongField(row, field, value, "a text")
}

/** A field that must be a list of messages with a role and a text each. */
export function messagesOf(row: JsonRow, field: string): readonly ChatMessage[] {
  const value = row.value[field]
  if (!Array.isArray(value)) {
    throw wrongField(row, field, value, 'messages as [{"role": "user", "content": "a text"}, ...]')
  }
  if (value.length === 0) throw wrongField(row, field, value, "at least one message")
  return value.map((message, index) => {
    const { role, content } = (message ?? {}) as Record<string, unknown>
    const at = `${field}[${index}]`
    if (typeof role !== "string") throw wrongField(row, `${at}.role`, role, "a text")
    if (typeof content !== "string") throw wrongField(row, `${at}.content`, content, "a text")
    return { role, content }
  })
}

/** The error of a field that is missing, or is not what its format says. */
export function wrongField(
  row: JsonRow,
  field: string,
  found: unknown,
  expected: string,
): GenArmError {
  const path = row.path === "" ? field : `${row.path}.${field}`
  const what = found === undefined ? `has no "${path}"` : `has ${printValue(found)} as "${path}"`
  return invalidData(row.file, `${what}: expected ${expected}`, { line: row.line, field: path })
}
