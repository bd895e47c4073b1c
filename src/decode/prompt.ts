/** From a prompt to the token ids that one model reads. */
import { GenArmError } from "../errors.ts"
import { fillTemplate } from "../files/model_ref.ts"
import type { ChatMessage, Tokenizer } from "../files/tokenizer.ts"
import type { PromptForm } from "../graph/resolve_graph.ts"
import { printValue } from "../plugin/options.ts"
import type { Prompt } from "./types.ts"

/** The ids of a prompt for one model. */
export function encodePrompt(tokenizer: Tokenizer, form: PromptForm, prompt: Prompt): number[] {
  const ids = typeof prompt === "string"
    ? encodeText(tokenizer, form, prompt)
    : isIds(prompt)
    ? encodeIds(form, prompt)
    : isChat(prompt)
    ? encodeMessages(tokenizer, form, prompt)
    : refuse(`expected a text, token ids or messages as prompt, found ${printValue(prompt)}`)
  if (ids.length > 0) return ids
  return refuse(
    `the prompt is empty, and ${form.model} has no token that begins a text: give it at least one token`,
  )
}

function encodeText(
  tokenizer: Tokenizer,
  { template, prefix }: PromptForm,
  text: string,
): number[] {
  if (template === "chat") {
    return encodeChat(tokenizer, prefix, [{ role: "user", content: text }])
  }
  return tokenizer.encode((prefix ?? "") + fillTemplate(template, text))
}

function encodeIds({ model, template, prefix }: PromptForm, ids: readonly number[]): number[] {
  if ((template === undefined || template === "none") && prefix === undefined) return [...ids]
  return refuse(
    `token ids go unchanged to every model, and ${model} asks for a ` +
      `${prefix === undefined ? "template" : "prefix"}: give the prompt as text or messages`,
  )
}

function encodeMessages(
  tokenizer: Tokenizer,
  { model, template, prefix }: PromptForm,
  messages: readonly ChatMessage[],
): number[] {
  if (template === undefined || template === "chat") return encodeChat(tokenizer, prefix, messages)
  return refuse(
    `messages go through the chat template, and ${model} asks for the template ` +
      `${JSON.stringify(template)}: give the prompt as text`,
  )
}

function encodeChat(
  tokenizer: Tokenizer,
  prefix: string | undefined,
  messages: readonly ChatMessage[],
): number[] {
  if (prefix === undefined) return tokenizer.encodeChat(messages)
  const system = messages[0]?.role === "system" ? messages[0] : undefined
  const content = system === undefined ? prefix : `${prefix}\n\n${system.content}`
  const rest = system === undefined ? messages : messages.slice(1)
  return tokenizer.encodeChat([{ role: "system", content }, ...rest])
}

/**
 * The ids of a continuation. Tokenising it alone may differ from tokenising it after the prompt, so
 * the text after the prompt is tried first, and either must decode to the continuation.
 */
export function encodeContinuation(
  tokenizer: Tokenizer,
  prompt: Prompt,
  promptIds: readonly number[],
  continuation: string | readonly number[],
): number[] {
  if (Array.isArray(continuation)) return [...continuation]
  if (typeof continuation !== "string") {
    return refuse(`expected a text or token ids to score, found ${printValue(continuation)}`)
  }
  const before = tokenizer.decode(promptIds)
  const fits = (ids: readonly number[]) =>
    tokenizer.decode([...promptIds, ...ids]) === before + continuation
  if (typeof prompt === "string") {
    const whole = tokenizer.encode(prompt + continuation)
    const rest = whole.slice(promptIds.length)
    if (promptIds.every((id, i) => id === whole[i]) && fits(rest)) return rest
  }
  const alone = tokenizer.encodeContinuation(continuation)
  if (fits(alone)) return alone
  return refuse(
    `no token ids after this prompt decode to ${JSON.stringify(continuation)}: ` +
      "begin it where a token begins (often with its leading space), or give token ids",
  )
}

function isIds(prompt: readonly unknown[]): prompt is readonly number[] {
  return Array.isArray(prompt) && prompt.every((item) => typeof item === "number")
}

function isChat(prompt: unknown): prompt is readonly ChatMessage[] {
  return Array.isArray(prompt) &&
    prompt.every((message) =>
      typeof message?.role === "string" && typeof message?.content === "string"
    )
}

function refuse(message: string): never {
  throw new GenArmError({ _tag: "InvalidPrompt" }, message)
}
