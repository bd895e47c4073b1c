/** How pairs become token ids, and the checks of what callers give for it. */
import { Schema } from "effect"
import { GenArmError } from "../../errors.ts"
import { isTemplate } from "../../files/model_ref.ts"
import type { Tokenizer } from "../../files/tokenizer.ts"
import { decodeAt, printValue } from "../../plugin/options.ts"
import type { PreferencePair } from "./pairs.ts"

/** How pairs become token ids. */
export interface TokenizePreferencesOptions {
  /**
   * Tokens of a prompt and a response together at most. In longer pairs the prompt is cut first, from
   * the left and behind its BOS, but to no less than half of this; then the responses, from the right,
   * where a response that is cut has no EOS.
   */
  readonly maxTokens: number
  /** Tokens of a prompt at most, cut in the same way; as many as fit where absent. */
  readonly maxPromptTokens?: number
  /**
   * How a prompt is put to the model, as in `ModelRef.template`: `"none"`, the default, as it is;
   * `"chat"` through the model's chat template; or a text in which `{prompt}` stands for the prompt.
   * Train with what you will guide with. Conversations go through the chat template by default; with
   * a text, they may be one message of the user.
   */
  readonly template?: string
  /**
   * The id that ends a response; the tokenizer's where absent. `"none"` for responses that do not
   * end where their texts do, such as samples of a fixed length.
   */
  readonly eos?: number | "none"
  /** Aborts between two pairs. */
  readonly signal?: AbortSignal
}

const positive = Schema.Int.check(Schema.isGreaterThan(0))

const schema = Schema.Struct({
  maxTokens: positive,
  maxPromptTokens: Schema.optionalKey(positive),
  template: Schema.optionalKey(Schema.String),
  eos: Schema.optionalKey(
    Schema.Union([Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), Schema.Literal("none")]),
  ),
})

/** The options, checked; those that were left out stay so. */
export function checkTokenizeOptions(
  options: TokenizePreferencesOptions,
): TokenizePreferencesOptions {
  const { signal, ...rest } = options
  const given = Object.entries(rest).filter(([, value]) => value !== undefined)
  const checked = decodeAt(schema, Object.fromEntries(given), [], "InvalidOption")
  if (checked.template !== undefined && !isTemplate(checked.template)) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["template"] },
      'expected the template "none", "chat" or a text with {prompt} in it, found ' +
        JSON.stringify(checked.template),
    )
  }
  if (signal === undefined) return checked
  if (signal instanceof AbortSignal) return { ...checked, signal }
  throw new GenArmError({ _tag: "InvalidOption", path: ["signal"] }, "expected an AbortSignal")
}

/** The id that ends responses, where one does. */
export function eosOf(tokenizer: Tokenizer, eos: number | "none" | undefined): number | undefined {
  if (eos === "none") return undefined
  const id = eos ?? tokenizer.eos
  if (id !== undefined && id < tokenizer.size) return id
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["eos"] },
    id === undefined
      ? 'the tokenizer names no token that ends a text: give its id as eos, or eos: "none"'
      : `expected an id of the tokenizer as eos, 0 to ${tokenizer.size - 1}, found ${id}`,
  )
}

/** Pairs may come from plain JavaScript. */
export function checkPair(pair: PreferencePair, number: number): void {
  const { prompt, chosen, rejected } = (pair ?? {}) as Partial<PreferencePair>
  const refuse = (field: string, found: unknown, expected: string) => {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["pairs", number - 1, field] },
      `pair ${number} has ${printValue(found)} as ${field}: expected ${expected}`,
    )
  }
  const areMessages = Array.isArray(prompt) &&
    prompt.every((message) =>
      typeof message?.role === "string" && typeof message?.content === "string"
    )
  if (typeof prompt !== "string" && !(areMessages && prompt.length > 0)) {
    refuse("prompt", prompt, "a text or messages")
  }
  if (typeof chosen !== "string") refuse("chosen", chosen, "a text")
  if (typeof rejected !== "string") refuse("rejected", rejected, "a text")
}
