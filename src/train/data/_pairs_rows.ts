/**
 * Rows with `chosen` and `rejected` as TRL stores them:
 *
 *   prompt a text,     responses texts           {"prompt": "The sky is", "chosen": " blue.", ...}
 *   prompt messages,   responses texts           {"prompt": [user], "chosen": "It is blue.", ...}
 *   prompt messages,   responses one message     {"prompt": [user], "chosen": [assistant], ...}
 *   prompt a text,     responses messages        {"prompt": "...", "chosen": [user, assistant], ...}
 *   no prompt,         responses conversations   {"chosen": [user, assistant], ...}
 *
 * The fourth is UltraFeedback's: the messages hold the prompt again. Where responses are messages,
 * those that both begin with belong to the prompt, and one of the assistant must remain in each.
 */
import type { ChatMessage } from "../../files/tokenizer.ts"
import type { JsonRow } from "./_json_rows.ts"
import { messagesOf, textOf, wrongField } from "./_row_fields.ts"
import type { PreferencePair } from "./pairs.ts"

/** The pair of a row in any of the shapes above. */
export function pairOfRow(row: JsonRow): PreferencePair {
  const { prompt, chosen, rejected } = row.value
  if (!Array.isArray(chosen) && !Array.isArray(rejected)) {
    return {
      prompt: Array.isArray(prompt) ? messagesOf(row, "prompt") : textOf(row, "prompt"),
      chosen: textOf(row, "chosen"),
      rejected: textOf(row, "rejected"),
    }
  }
  const one = messagesOf(row, "chosen")
  const other = messagesOf(row, "rejected")
  // Short of the last of each, which answers: the two may be equal.
  const shared = Math.min(commonLength(one, other), one.length - 1, other.length - 1)
  const texts = { chosen: lastOf(row, "chosen", shared), rejected: lastOf(row, "rejected", shared) }
  if (prompt === undefined) {
    if (shared > 0) return { prompt: one.slice(0, shared), ...texts }
    throw wrongField(row, "prompt", prompt, "it, or messages that begin both conversations")
  }
  if (Array.isArray(prompt)) {
    const before = messagesOf(row, "prompt")
    const repeats = shared === before.length && commonLength(one, before) === shared
    if (shared === 0 || repeats) return { prompt: before, ...texts }
    throw wrongField(row, "chosen", chosen, 'the answer alone, or "prompt" and the answer')
  }
  const text = textOf(row, "prompt")
  if (shared === 0) return { prompt: [{ role: "user", content: text }], ...texts }
  const before = one.slice(0, shared)
  if (before.some(({ content }) => content.trim() === text.trim())) {
    return { prompt: before, ...texts }
  }
  throw wrongField(row, "prompt", prompt, 'a text that "chosen" repeats as one of its messages')
}

/** How many messages two conversations begin with in common. */
function commonLength(one: readonly ChatMessage[], other: readonly ChatMessage[]): number {
  const differs = one.findIndex(({ role, content }, index) =>
    role !== other[index]?.role || content !== other[index].content
  )
  return differs < 0 ? one.length : differs
}

function lastOf(row: JsonRow, field: string, shared: number): string {
  const messages = messagesOf(row, field)
  const [message, ...more] = messages.slice(shared)
  if (message?.role === "assistant" && more.length === 0) return message.content
  throw wrongField(
    row,
    field,
    messages,
    `one answer of the assistant after the ${shared} messages that both share`,
  )
}
