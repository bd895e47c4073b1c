/** From the data of a specification to token ids: read, tokenised, and partly held out. */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { Tokenizer } from "../files/tokenizer.ts"
import type { ObjectiveDefinition } from "../plugin/objective.ts"
import type { PreferencePair, TokenPair } from "./data/pairs.ts"
import { readPreferences, type ReadPreferencesOptions } from "./data/preferences.ts"
import { printPreferenceReport } from "./data/preferences_report.ts"
import { splitHeldOut } from "./data/preferences_split.ts"
import { tokenizePreferences } from "./data/preferences_tokens.ts"
import { type CorpusText, readTexts, type ReadTextsOptions } from "./data/texts.ts"
import type { DataRecord } from "./export/training_record.ts"
import type { TokenText } from "./text_batches.ts"

/** Something to learn from: a text (complete, or cut off before its end), or a preference. */
export type Example = string | CorpusText | PreferencePair

/** Files to learn from; of texts (`.txt`, `.jsonl`) or preferences (`.jsonl`, `.json`), gzip or not. */
export interface DataFiles extends ReadTextsOptions, ReadPreferencesOptions {
  /** Paths. */
  readonly files: readonly string[]
}

/** What is learnt from: one file, several, or examples made elsewhere. */
export type TrainingData = string | DataFiles | Iterable<Example> | AsyncIterable<Example>

/** How examples become ids. */
export interface TokenizeOptions {
  readonly tokenizer: Tokenizer
  /** Tokens of a row at most. */
  readonly tokens: number
  readonly maxPromptTokens?: number
  readonly template?: string
  readonly seed: number
  readonly signal?: AbortSignal
}

/** Data of one kind, some of it held out. */
export interface PreparedData<T> {
  readonly train: readonly T[]
  readonly heldOut: readonly T[]
  readonly record: DataRecord
}

/** Reads texts for an objective on texts. */
export async function prepareTexts(
  data: TrainingData,
  heldOut: number | TrainingData,
  options: TokenizeOptions,
): Promise<PreparedData<TokenText>> {
  const texts = await collect(data, "texts", options.signal) as CorpusText[]
  const split = await divide(
    texts.map((text) => ({ ...text, prompt: text.text })),
    heldOut,
    options,
  )
  const encode = ({ text, complete }: CorpusText): number[] => {
    const ids = options.tokenizer.encode(text)
    const { eos } = options.tokenizer
    return complete && eos !== undefined ? [...ids, eos] : ids
  }
  const train = split.train.map(encode)
  const total = train.reduce((sum, { length }) => sum + length, 0)
  if (total <= options.tokens) {
    throw new GenArmError(
      { _tag: "NoTrainingData" },
      `expected texts of more than ${options.tokens} tokens in all, the length of a row, found ` +
        `${total} in ${train.length} texts: give more text, or fewer tokens a row`,
    )
  }
  return {
    train,
    heldOut: split.heldOut.map(encode),
    record: {
      name: nameOf(data),
      read: texts.length,
      kept: train.length,
      heldOut: split.heldOut.length,
      report: `${total} tokens`,
    },
  }
}

/** Reads preferences for an objective on pairs. */
export async function preparePairs(
  data: TrainingData,
  heldOut: number | TrainingData,
  options: TokenizeOptions,
): Promise<PreparedData<TokenPair>> {
  const pairs = await collect(data, "pairs", options.signal) as PreferencePair[]
  const split = await divide(pairs, heldOut, options)
  const form = {
    maxTokens: options.tokens,
    ...options.maxPromptTokens !== undefined && { maxPromptTokens: options.maxPromptTokens },
    ...options.template !== undefined && { template: options.template },
    ...options.signal && { signal: options.signal },
  }
  const train = await tokenizePreferences(split.train, options.tokenizer, form)
  const held = split.heldOut.length === 0
    ? undefined
    : await tokenizePreferences(split.heldOut, options.tokenizer, form)
  return {
    train: train.pairs,
    heldOut: held?.pairs ?? [],
    record: {
      name: nameOf(data),
      read: train.report.pairs + (held?.report.pairs ?? 0),
      kept: train.pairs.length,
      ...held && { heldOut: held.pairs.length },
      report: printPreferenceReport(train.report) +
        (held ? `\nheld out: ${printPreferenceReport(held.report)}` : ""),
    },
  }
}

/** Reads everything, and checks that it is of the kind the objective is for. */
async function collect(
  data: TrainingData,
  kind: ObjectiveDefinition["data"],
  signal: AbortSignal | undefined,
): Promise<(CorpusText | PreferencePair)[]> {
  const examples: (CorpusText | PreferencePair)[] = []
  for await (const example of source(data, kind)) {
    throwIfAborted(signal)
    const isPair = typeof example === "object" && example !== null && "chosen" in example
    const isText = typeof example === "string" ||
      typeof example === "object" && example !== null && "text" in example
    if (kind === "pairs" ? !isPair : !isText) {
      throw new GenArmError(
        { _tag: "InvalidOption", path: ["data", examples.length] },
        `the objective is trained on ${kind}: expected ${
          kind === "pairs" ? "{ prompt, chosen, rejected }" : "a text, or { text, complete }"
        }, found ${JSON.stringify(example)?.slice(0, 80)}, at data[${examples.length}]`,
      )
    }
    examples.push(typeof example === "string" ? { text: example, complete: true } : example)
  }
  return examples
}

async function* source(
  data: TrainingData,
  kind: ObjectiveDefinition["data"],
): AsyncIterable<Example> {
  if (typeof data === "string") return yield* source({ files: [data] }, kind)
  if (!("files" in data)) {
    yield* data
    return
  }
  const { files, ...options } = data
  for (const file of files) {
    yield* kind === "texts" ? readTexts(file, options) : readPreferences(file, options)
  }
}

async function divide<T extends CorpusText | PreferencePair>(
  examples: readonly T[],
  heldOut: number | TrainingData,
  { seed, signal }: TokenizeOptions,
): Promise<{ readonly train: readonly T[]; readonly heldOut: readonly T[] }> {
  if (heldOut === 0) return { train: examples, heldOut: [] }
  if (typeof heldOut === "number") {
    return splitHeldOut(examples as (T & { prompt: unknown })[], heldOut, seed)
  }
  const kind = examples.length > 0 && "chosen" in examples[0] ? "pairs" : "texts"
  return { train: examples, heldOut: await collect(heldOut, kind, signal) as T[] }
}

function nameOf(data: TrainingData): string {
  if (typeof data === "string") return data
  return "files" in data ? data.files.join(", ") : "examples given by the program"
}
