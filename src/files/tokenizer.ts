/**
 * Text to token ids and back, by the `tokenizer.json` of a model folder. The work is done by
 * `@huggingface/transformers`; this file fixes what a prompt is and what a text is.
 */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import type { PreTrainedTokenizer } from "@huggingface/transformers"
import { GenArmError, messageOf } from "../errors.ts"
import { readJson } from "./model_folder.ts"

/** One message of a conversation. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, or whatever the model's chat template knows. */
  readonly role: string
  /** Its text. */
  readonly content: string
}

/** Text to ids and back. */
export interface Tokenizer {
  /** One more than the highest id that has a name. */
  readonly size: number
  /** The id that ends a text, where the tokenizer names one. */
  readonly eos: number | undefined
  /** The name of an id, as `tokenizer.json` spells it; `undefined` where it has none. */
  token(id: number): string | undefined
  /** The ids of a prompt, with the beginning-of-sequence id where the tokenizer adds one. */
  encode(text: string): number[]
  /** The ids of a text that goes on from another: nothing is added. */
  encodeContinuation(text: string): number[]
  /** The ids of a conversation up to where the model answers. */
  encodeChat(messages: readonly ChatMessage[]): number[]
  /** The text of ids; special tokens have none, and incomplete UTF-8 ends in U+FFFD. */
  decode(ids: readonly number[]): string
}

/**
 * Opens the tokenizer of a folder.
 *
 * @throws {GenArmError} `InvalidModelFile` where it has no `tokenizer.json`, or one that cannot be read.
 *
 * @example
 * ```ts
 * import { openTokenizer } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 *
 * const tokenizer = await openTokenizer("tests/fixtures/models/llama")
 * assertEquals(tokenizer.decode(tokenizer.encode("The sky is")), "The sky is")
 * ```
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const file = join(folder, "tokenizer.json")
  if (!existsSync(file)) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file },
      `${file} is missing: a model folder needs its tokenizer.json; folders with only ` +
        "tokenizer.model (SentencePiece) can be converted with transformers' AutoTokenizer",
    )
  }
  const config = existsSync(join(folder, "tokenizer_config.json"))
    ? await readJson(folder, "tokenizer_config.json")
    : {}
  const template = join(folder, "chat_template.jinja")
  const json = await readJson(folder, "tokenizer.json")
  const { PreTrainedTokenizer } = await import("@huggingface/transformers")
  try {
    const options = existsSync(template)
      ? { ...config, chat_template: await readFile(template, "utf8") }
      : config
    return new FolderTokenizer(folder, new PreTrainedTokenizer(json, options))
  } catch (error) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file },
      `${file} does not describe a tokenizer: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

class FolderTokenizer implements Tokenizer {
  readonly size: number
  readonly eos: number | undefined
  readonly #folder: string
  readonly #tokenizer: PreTrainedTokenizer
  readonly #names: (string | undefined)[] = []
  #beginsWithSpace: boolean | undefined

  constructor(folder: string, tokenizer: PreTrainedTokenizer) {
    this.#folder = folder
    this.#tokenizer = tokenizer
    for (const [name, id] of entriesOf(tokenizer.get_vocab())) this.#names[id] = name
    this.size = this.#names.length
    this.eos = tokenizer.eos_token_id
  }

  token(id: number): string | undefined {
    return this.#names[id]
  }

  encode(text: string): number[] {
    const ids = this.#tokenizer.encode(text)
    // Some tokenizers close a text with EOS; a prompt goes on. A lone one is what begins a text.
    while (ids.length > 1 && ids.at(-1) === this.eos) ids.pop()
    return ids
  }

  encodeContinuation(text: string): number[] {
    const alone = this.#encodeAlone(text)
    if (!(this.#beginsWithSpace ??= this.#findSpace())) return alone
    return this.#encodeAfterAnchor(text) ?? alone
  }

  encodeChat(messages: readonly ChatMessage[]): number[] {
    try {
      const text = this.#tokenizer.apply_chat_template(
        messages.map(({ role, content }) => ({ role, content })),
        { tokenize: false, add_generation_prompt: true },
      ) as string
      return this.#encodeAlone(text)
    } catch (error) {
      throw new GenArmError(
        { _tag: "InvalidPrompt" },
        `${this.#folder} cannot render this conversation: ${messageOf(error)}; a model without a ` +
          'chat template takes text prompts, or a template such as "User: {prompt}\\nAssistant:"',
        { cause: error },
      )
    }
  }

  /** Without the special tokens that open a text. */
  #encodeAlone(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false })
  }

  /**
   * Whether the tokenizer puts a space before every text, as SentencePiece does: then only what
   * stands after other text is tokenised as a continuation.
   */
  #findSpace(): boolean {
    const after = this.#encodeAfterAnchor("a")
    return after !== undefined && String(after) !== String(this.#encodeAlone("a"))
  }

  /** The ids of a text after a line break; none where the two share a token. */
  #encodeAfterAnchor(text: string): number[] | undefined {
    const anchor = this.#encodeAlone("\n")
    const both = this.#encodeAlone(`\n${text}`)
    return anchor.every((id, i) => id === both[i]) ? both.slice(anchor.length) : undefined
  }

  decode(ids: readonly number[]): string {
    if (ids.length === 0) return ""
    return this.#tokenizer.decode([...ids], {
      skip_special_tokens: true,
      clean_up_tokenization_spaces: false,
    })
  }
}

/** Names and ids, whether the library keeps them in a `Map` or in an object. */
function entriesOf(vocabulary: unknown): Iterable<[string, number]> {
  return vocabulary instanceof Map ? vocabulary : Object.entries(vocabulary as object)
}
