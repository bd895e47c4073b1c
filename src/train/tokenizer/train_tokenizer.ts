/**
 * A tokenizer of one's own: byte-level byte-pair encoding trained on texts. Every byte is a token,
 * so that every text has ids and comes back from them, and no token is needed for the unknown.
 * Ids are, in this order, the special tokens, the 256 bytes, and the merges.
 */
import { Schema } from "effect"
import { GenArmError, throwIfAborted } from "../../errors.ts"
import { decodeAt } from "../../plugin/options.ts"
import { WordCounter } from "./count_words.ts"
import { learnMerges, type Merge } from "./learn_merges.ts"

/** What a tokenizer is to be. */
export interface TokenizerOptions {
  /** Tokens in all: special ones, 256 bytes, and the merges that are to be learnt; up to 2^20. */
  readonly vocabularySize: number
  /**
   * Tokens that no text is cut into, though a text may spell them out; `["<|endoftext|>"]` where
   * absent. The first one begins and ends texts. Two or more visible ASCII characters each.
   */
  readonly specialTokens?: readonly string[]
  /** A pair that occurs less often becomes no token: 2 where absent. */
  readonly minimumCount?: number
  /** Stops the training, which then rejects with `Aborted`. */
  readonly signal?: AbortSignal
}

/** A tokenizer as data; `writeTokenizer` makes files of it. */
export interface TrainedTokenizer {
  /** Tokens in all. */
  readonly size: number
  /** Their ids are 0, 1 ...; byte `b` has the id `specialTokens.length + b`. */
  readonly specialTokens: readonly string[]
  /** The ids that the tokens after the bytes are made of, in their order. */
  readonly merges: readonly Merge[]
}

/** A text to learn from, as it is or as `readTexts` gives it. */
export type TokenizerText = string | { readonly text: string }

/**
 * Learns a tokenizer from texts, which are read once; what is held is one copy of each word. The
 * same texts in the same order, or in any other, give the same tokenizer.
 *
 * @throws {GenArmError} `InvalidOption` for options that cannot be, and when the texts hold too few
 * pairs to fill the vocabulary: a smaller one is never given in silence. `Aborted`.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 *
 * const { merges } = await trainTokenizer(["low lower lowest"], { vocabularySize: 259 })
 * assertEquals(merges, [[1 + 0x6c, 1 + 0x6f], [257, 1 + 0x77]]) // "lo", "low"
 * ```
 */
export async function trainTokenizer(
  texts: AsyncIterable<TokenizerText> | Iterable<TokenizerText>,
  options: TokenizerOptions,
): Promise<TrainedTokenizer> {
  const { vocabularySize, specialTokens, minimumCount, signal } = check(options)
  const first = specialTokens.length
  const wanted = vocabularySize - first - 256
  const words = await countWords(texts, specialTokens, signal)
  const merges: Merge[] = []
  const learnt = learnMerges(words, minimumCount)
  while (merges.length < wanted) {
    if (merges.length % mergesPerTurn === 0) await turn(signal)
    const { value } = learnt.next()
    if (value === undefined) break
    merges.push([first + value[0], first + value[1]])
  }
  if (merges.length < wanted) {
    throw invalid(
      "vocabularySize",
      `expected texts with ${wanted} pairs to merge, for a vocabulary of ${vocabularySize} with ` +
        `${first} special and 256 byte tokens; found ${merges.length} that occur at least ` +
        `${minimumCount} times: give more text, or a vocabularySize of at most ` +
        `${first + 256 + merges.length}`,
    )
  }
  return { size: vocabularySize, specialTokens, merges }
}

async function countWords(
  texts: AsyncIterable<TokenizerText> | Iterable<TokenizerText>,
  specialTokens: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  if (typeof texts === "string" || !isIterable(texts)) {
    throw invalid("texts", `expected texts, in an array or a stream, found ${describe(texts)}`)
  }
  const counter = new WordCounter(specialTokens)
  let index = 0
  for await (const item of texts) {
    const text: unknown = typeof item === "object" && item !== null ? item.text : item
    if (typeof text !== "string") {
      throw invalid("texts", `expected texts only, found ${describe(item)} at ${index}`, index)
    }
    if (index++ % textsPerTurn === 0) await turn(signal)
    counter.add(text)
  }
  return counter.counts
}

const schema = Schema.Struct({
  vocabularySize: Schema.Int.check(Schema.isBetween({ minimum: 257, maximum: 2 ** 20 })),
  specialTokens: Schema.optionalKey(Schema.NonEmptyArray(Schema.String)),
  minimumCount: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  signal: Schema.optionalKey(Schema.Unknown),
})

interface Checked {
  readonly vocabularySize: number
  readonly specialTokens: readonly string[]
  readonly minimumCount: number
  readonly signal: AbortSignal | undefined
}

function check(options: TokenizerOptions): Checked {
  const given = Object.fromEntries(
    Object.entries(options ?? {}).filter(([, value]) => value !== undefined),
  )
  const { vocabularySize, specialTokens = ["<|endoftext|>"], minimumCount = 2 } = decodeAt(
    schema,
    given,
    [],
    "InvalidOption",
  )
  specialTokens.forEach((token, i) => {
    // Any other could be spelt like a token of bytes, in which a space is Ġ and é is Ã©.
    if (!/^[!-~]{2,}$/.test(token)) {
      throw invalid(
        "specialTokens",
        `expected two or more visible ASCII characters, found ${JSON.stringify(token)}`,
        i,
      )
    }
    if (specialTokens.indexOf(token) !== i) {
      throw invalid("specialTokens", `expected every token once, found ${token} again`, i)
    }
  })
  const least = 256 + specialTokens.length
  if (vocabularySize < least) {
    throw invalid(
      "vocabularySize",
      `expected at least ${least}, for 256 bytes and ${specialTokens.length} special tokens, ` +
        `found ${vocabularySize}`,
    )
  }
  const { signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid("signal", `expected an AbortSignal, found ${describe(signal)}`)
  }
  return { vocabularySize, specialTokens, minimumCount, signal }
}

/** How much is done before others have their turn. */
const mergesPerTurn = 64
const textsPerTurn = 256

async function turn(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((done) => setTimeout(done, 0))
  throwIfAborted(signal)
}

function isIterable(value: unknown): boolean {
  const methods = Object(value)
  return Symbol.iterator in methods || Symbol.asyncIterator in methods
}

function describe(value: unknown): string {
  return typeof value === "string" ? "a single text" : value === null ? "null" : typeof value
}

function invalid(option: string, message: string, index?: number): GenArmError {
  const path = index === undefined ? [option] : [option, index]
  return new GenArmError({ _tag: "InvalidOption", path }, message)
}
