/**
 * A trained tokenizer as the files of a model folder, in the layout of Hugging Face: what
 * `openTokenizer` reads here, and `tokenizers` and `transformers` in Python.
 */
import { join } from "node:path"
import { writeFileAtomic } from "../../files/write_file.ts"
import { byteNames } from "./byte_names.ts"
import { wordPattern } from "./count_words.ts"
import type { TrainedTokenizer } from "./train_tokenizer.ts"

/**
 * Writes `tokenizer.json` and `tokenizer_config.json`, over those that are there; the folder is
 * made where it is missing.
 *
 * @throws {GenArmError} `WriteFailed`; each file is then the new one or the old one, whole.
 *
 * @example
 * ```ts
 * import { openTokenizer, trainTokenizer, writeTokenizer } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp, rm } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const folder = await mkdtemp(join(tmpdir(), "tokenizer-"))
 * await writeTokenizer(folder, await trainTokenizer(["low lower lowest"], { vocabularySize: 259 }))
 * const tokenizer = await openTokenizer(folder)
 * assertEquals(tokenizer.decode(tokenizer.encode("lowly")), "lowly")
 * await rm(folder, { recursive: true })
 * ```
 */
export async function writeTokenizer(folder: string, tokenizer: TrainedTokenizer): Promise<void> {
  const json = `${JSON.stringify(tokenizerJson(tokenizer), null, 1)}\n`
  const config = `${JSON.stringify(tokenizerConfig(tokenizer), null, 1)}\n`
  await writeFileAtomic(join(folder, "tokenizer.json"), json)
  await writeFileAtomic(join(folder, "tokenizer_config.json"), config)
}

function tokenizerJson({ specialTokens, merges }: TrainedTokenizer): object {
  const names = [...specialTokens, ...byteNames]
  for (const [left, right] of merges) names.push(names[left] + names[right])
  const [endOfText] = specialTokens
  const begin = { SpecialToken: { id: endOfText, type_id: 0 } }
  const text = (id: string, type_id: number) => ({ Sequence: { id, type_id } })
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({ id, content, ...addedToken })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: wordPattern }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    // A prompt begins with the token that ends a text; what goes on from a text begins with none.
    post_processor: {
      type: "TemplateProcessing",
      single: [begin, text("A", 0)],
      pair: [begin, text("A", 0), text("B", 1)],
      special_tokens: { [endOfText]: { id: endOfText, ids: [0], tokens: [endOfText] } },
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      merges: merges.map(([left, right]) => [names[left], names[right]]),
    },
  }
}

function tokenizerConfig({ specialTokens }: TrainedTokenizer): object {
  const [endOfText, ...others] = specialTokens
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: endOfText,
    eos_token: endOfText,
    ...others.length === 0 ? {} : { additional_special_tokens: others },
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
    added_tokens_decoder: Object.fromEntries(
      specialTokens.map((content, id) => [id, { content, ...addedToken }]),
    ),
  }
}

const addedToken = {
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
}
