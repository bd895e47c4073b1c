/** From preferences as text to the token ids that an autoregressive reward model is trained on. */
import { GenArmError, messageOf, throwIfAborted } from "../../errors.ts"
import { fillTemplate } from "../../files/model_ref.ts"
import type { ChatMessage, Tokenizer } from "../../files/tokenizer.ts"
import { cutPair, type Room } from "./_cut_pair.ts"
import {
  checkPair,
  checkTokenizeOptions,
  eosOf,
  type TokenizePreferencesOptions,
} from "./_tokenize_options.ts"
import type { PreferencePair, TokenPair } from "./pairs.ts"
import {
  type Dropped,
  type DropReason,
  DropTally,
  type PreferenceReport,
  printPreferenceReport,
} from "./preferences_report.ts"

export type { TokenizePreferencesOptions } from "./_tokenize_options.ts"

/** Pairs to train on, and what became of the others. */
export interface TokenizedPreferences {
  /** In the order they were given. */
  readonly pairs: readonly TokenPair[]
  /** `printPreferenceReport` makes a text of it. */
  readonly report: PreferenceReport
}

/**
 * Tokenises pairs: the file of `readPreferences`, an array, a generator. Responses are tokenised as
 * continuations, as the model will generate them, so that no token spans prompt and response.
 *
 * Pairs that teach nothing are dropped and counted: see `DropReason`. When no pair is left the call
 * rejects with `NoTrainingData`, whose `report` says why; with `InvalidOption` when an option, or a
 * pair, is not what it should be; with `InvalidPrompt` when the chat template refuses a prompt.
 *
 * @example
 * ```ts
 * import { openTokenizer, tokenizePreferences } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 *
 * const tokenizer = await openTokenizer("tests/fixtures/models/llama")
 * const { pairs, report } = await tokenizePreferences(
 *   [{ prompt: "The sky is", chosen: " blue.", rejected: " green." }],
 *   tokenizer,
 *   { maxTokens: 64 },
 * )
 * assertEquals(report.kept, 1)
 * assertEquals(pairs[0].prompt, tokenizer.encode("The sky is"))
 * assertEquals(tokenizer.decode(pairs[0].chosen), "blue.")
 * assertEquals(pairs[0].chosen.at(-1), tokenizer.eos)
 * ```
 */
export async function tokenizePreferences(
  pairs: Iterable<PreferencePair> | AsyncIterable<PreferencePair>,
  tokenizer: Tokenizer,
  options: TokenizePreferencesOptions,
): Promise<TokenizedPreferences> {
  const { signal, ...form } = checkTokenizeOptions(options)
  const eos = eosOf(tokenizer, form.eos)
  const room: Room = {
    maxTokens: form.maxTokens,
    maxPromptTokens: form.maxPromptTokens,
    opening: tokenizer.encode(""),
  }
  const kept: TokenPair[] = []
  const tally = new DropTally()
  let number = 0
  const counts = { cutPrompts: 0, cutResponses: 0, longest: 0, responseTokens: 0 }
  for await (const pair of pairs) {
    throwIfAborted(signal)
    number++
    checkPair(pair, number)
    const outcome = tokenizePair(pair, number, tokenizer, form.template, eos, room)
    if (typeof outcome === "string") {
      tally.add(outcome, `pair ${number}`)
      continue
    }
    const { whole, cut } = outcome
    kept.push(cut)
    const lengths = [cut.chosen.length, cut.rejected.length]
    const lost = whole.chosen.length + whole.rejected.length - lengths[0] - lengths[1]
    if (cut.prompt.length < whole.prompt.length) counts.cutPrompts++
    if (lost > 0) counts.cutResponses++
    counts.longest = Math.max(counts.longest, cut.prompt.length + Math.max(...lengths))
    counts.responseTokens += lengths[0] + lengths[1]
  }
  const dropped = [...droppedBefore(pairs), ...tally.list()].sort((a, b) => b.count - a.count)
  const report: PreferenceReport = {
    pairs: kept.length + dropped.reduce((sum, { count }) => sum + count, 0),
    kept: kept.length,
    dropped,
    ...counts,
  }
  if (kept.length > 0) return { pairs: kept, report }
  throw new GenArmError(
    { _tag: "NoTrainingData", report },
    `expected at least one pair to train on, and none is left:\n${printPreferenceReport(report)}`,
  )
}

/** The ids of a pair before and after the cut, or why it is dropped. */
function tokenizePair(
  pair: PreferencePair,
  number: number,
  tokenizer: Tokenizer,
  template: string | undefined,
  eos: number | undefined,
  room: Room,
): { readonly whole: TokenPair; readonly cut: TokenPair } | DropReason {
  const { prompt, chosen, rejected } = pair
  if (chosen === rejected) return "equal responses"
  if (chosen.trim() === "" || rejected.trim() === "") return "empty response"
  const response = (text: string): number[] => {
    const ids = tokenizer.encodeContinuation(text)
    // A text may spell its end itself.
    return eos === undefined || ids.length === 0 || ids.at(-1) === eos ? ids : [...ids, eos]
  }
  const whole: TokenPair = {
    prompt: encodePrompt(tokenizer, template, prompt, number),
    chosen: response(chosen),
    rejected: response(rejected),
  }
  if (whole.prompt.length === 0) return "no prompt tokens"
  if (areEqual(whole.chosen, whole.rejected)) return "equal tokens"
  const cut = cutPair(whole, room)
  if (cut.prompt.length === 0) return "no prompt tokens"
  if (cut.chosen.length === 0 || cut.rejected.length === 0) return "no response tokens"
  if (areEqual(cut.chosen, cut.rejected)) return "equal after truncation"
  return { whole, cut }
}

function encodePrompt(
  tokenizer: Tokenizer,
  template: string | undefined,
  prompt: string | readonly ChatMessage[],
  number: number,
): number[] {
  if (typeof prompt === "string") {
    if (template !== "chat") return tokenizer.encode(fillTemplate(template, prompt))
    return encodeChat(tokenizer, [{ role: "user", content: prompt }], number)
  }
  if (template === undefined || template === "chat") return encodeChat(tokenizer, prompt, number)
  const [message, ...more] = prompt
  if (message?.role === "user" && more.length === 0) {
    return tokenizer.encode(fillTemplate(template, message.content))
  }
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["template"] },
    `the prompt of pair ${number} is a conversation of ${prompt.length} messages (${
      prompt.map(({ role }) => role).join(", ")
    }), and the template ${JSON.stringify(template)} takes one message of the user: ` +
      'use template: "chat", or map the prompts to texts',
  )
}

function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  number: number,
): number[] {
  try {
    return tokenizer.encodeChat(messages)
  } catch (error) {
    throw new GenArmError({ _tag: "InvalidPrompt" }, `pair ${number}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** What the reader of a file dropped before it gave pairs. */
function droppedBefore(pairs: object): readonly Dropped[] {
  return "dropped" in pairs ? pairs.dropped as readonly Dropped[] : []
}

function areEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}
