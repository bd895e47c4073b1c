/** From the data of a specification to token ids: read, tokenised, and partly held out. */
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { Tokenizer } from "../files/tokenizer.ts"
import type { ObjectiveDefinition } from "../plugin/objective.ts"
import { printValue } from "../plugin/options.ts"
import type { PreferencePair, TokenPair } from "./data/pairs.ts"
import { readPreferences, type ReadPreferencesOptions } from "./data/preferences.ts"
import { type Dropped, printPreferenceReport } from "./data/preferences_report.ts"
import { type Split, splitHeldOut } from "./data/preferences_split.ts"
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
  const { examples } = await collect("data", data, "texts", options.signal)
  const texts = examples as CorpusText[]
  const split = await divide(texts, "texts", heldOut, options)
  const { eos } = options.tokenizer
  const encode = (texts: readonly CorpusText[]): number[][] =>
    texts.map(({ text, complete }) => {
      const ids = options.tokenizer.encode(text)
      return complete && eos !== undefined ? [...ids, eos] : ids
    }).filter(({ length }) => length > 1) // One token alone follows from nothing.
  const train = encode(split.train)
  const held = encode(split.heldOut)
  const total = train.reduce((sum, { length }) => sum + length, 0)
  if (total <= options.tokens) {
    throw new GenArmError(
      { _tag: "NoTrainingData" },
      `expected texts of more than ${options.tokens} tokens in all, the length of a row, found ` +
        `${total} in ${train.length} texts: give more text, or fewer tokens a row`,
    )
  }
  if (heldOut !== 0 && held.length === 0) {
    throw new GenArmError(
      { _tag: "NoTrainingData" },
      `expected texts of two tokens or more to hold out, found none in ${split.heldOut.length}: ` +
        "give more, or heldOut: 0",
    )
  }
  return {
    train,
    heldOut: held,
    record: {
      name: nameOf(data),
      read: split.train.length + split.heldOut.length,
      kept: train.length,
      heldOut: held.length,
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
  const { examples, dropped } = await collect("data", data, "pairs", options.signal)
  const split = await divide(examples as PreferencePair[], "pairs", heldOut, options)
  const form = {
    maxTokens: options.tokens,
    eos: options.tokenizer.eos ?? "none" as const,
    ...options.maxPromptTokens !== undefined && { maxPromptTokens: options.maxPromptTokens },
    ...options.template !== undefined && { template: options.template },
    ...options.signal && { signal: options.signal },
  }
  if (heldOut !== 0 && split.train.length > 0 && split.heldOut.length === 0) {
    throw new GenArmError(
      { _tag: "NoTrainingData" },
      "expected at least one pair to hold out, found none: give some, or heldOut: 0",
    )
  }
  const pairs = withDropped(split.train, dropped)
  const train = await tokenizePreferences(pairs, options.tokenizer, form)
  const held = split.heldOut.length === 0
    ? undefined
    : await tokenizePreferences(split.heldOut, options.tokenizer, form).catch((error) => {
      if (!(error instanceof GenArmError)) throw error
      throw new GenArmError(error.reason, `held out: ${error.message}`, { cause: error })
    })
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

/** Where data stands in the specification. */
type Place = "data" | "heldOut"

/** Reads everything, and checks that it is of the kind the objective is for. */
async function collect(
  place: Place,
  data: TrainingData,
  kind: ObjectiveDefinition["data"],
  signal: AbortSignal | undefined,
): Promise<{ examples: (CorpusText | PreferencePair)[]; dropped: readonly Dropped[] }> {
  const examples: (CorpusText | PreferencePair)[] = []
  const readers = typeof data === "string"
    ? readersOf(place, { files: [data] }, kind)
    : "files" in data
    ? readersOf(place, data, kind)
    : [data]
  for (const reader of readers) {
    for await (const example of reader) {
      throwIfAborted(signal)
      checkExample(example, kind, [place, examples.length])
      examples.push(typeof example === "string" ? { text: example, complete: true } : example)
    }
  }
  const dropped = readers.flatMap((reader) =>
    "dropped" in reader ? reader.dropped as readonly Dropped[] : []
  )
  return { examples, dropped }
}

function readersOf(
  place: Place,
  { files, ...options }: DataFiles,
  kind: ObjectiveDefinition["data"],
): AsyncIterable<Example>[] {
  return under(
    place,
    () => files.map((f) => kind === "texts" ? readTexts(f, options) : readPreferences(f, options)),
  )
}

function checkExample(
  example: unknown,
  kind: ObjectiveDefinition["data"],
  [place, index]: readonly [Place, number],
): void {
  const isObject = typeof example === "object" && example !== null
  const isRight = kind === "pairs"
    ? isObject && "prompt" in example && isPrompt(example.prompt) &&
      "chosen" in example && typeof example.chosen === "string" &&
      "rejected" in example && typeof example.rejected === "string"
    : typeof example === "string" ||
      isObject && "text" in example && typeof example.text === "string" &&
        "complete" in example && typeof example.complete === "boolean"
  if (isRight) return
  throw new GenArmError(
    { _tag: "InvalidOption", path: [place, index] },
    `the objective is trained on ${kind}: expected ${
      kind === "pairs" ? "{ prompt, chosen, rejected }" : "a text, or { text, complete }"
    }, found ${printValue(example)}, at ${place}[${index}]; give such data, or another objective`,
  )
}

function isPrompt(prompt: unknown): boolean {
  return typeof prompt === "string" || Array.isArray(prompt)
}

async function divide<T extends CorpusText | PreferencePair>(
  examples: readonly T[],
  kind: ObjectiveDefinition["data"],
  heldOut: number | TrainingData,
  { seed, signal }: TokenizeOptions,
): Promise<Split<T>> {
  if (heldOut === 0) return { train: examples, heldOut: [] }
  if (typeof heldOut !== "number") {
    const held = await collect("heldOut", heldOut, kind, signal)
    return { train: examples, heldOut: withDropped(held.examples as T[], held.dropped) }
  }
  // The report says what became of them.
  if (examples.length === 0) return { train: [], heldOut: [] }
  // Equal texts stay on one side, as pairs of one prompt do.
  const keyed = examples.map((example) => ({
    prompt: "prompt" in example ? example.prompt : example.text,
    example,
  }))
  const split = under("heldOut", () => splitHeldOut(keyed, heldOut, seed))
  const back = (side: typeof keyed) => side.map(({ example }) => example)
  return { train: back([...split.train]), heldOut: back([...split.heldOut]) }
}

/** Examples as the reader of a file gives them, which says what it dropped. */
function withDropped<T>(
  examples: readonly T[],
  dropped: readonly Dropped[],
): readonly T[] & { readonly dropped: readonly Dropped[] } {
  return Object.assign([...examples], { dropped })
}

/** Runs a check of options that stand under a key of the specification. */
function under<A>(place: Place, check: () => A): A {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof GenArmError) || error.reason._tag !== "InvalidOption") throw error
    const path = error.reason.path[0] === "items" ? [] : error.reason.path
    throw new GenArmError({ ...error.reason, path: [place, ...path] }, error.message)
  }
}

function nameOf(data: TrainingData): string {
  if (typeof data === "string") return data
  return "files" in data ? data.files.join(", ") : "examples given by the program"
}
