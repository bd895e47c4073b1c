/** Copies the tokenizer of a model folder into another, as it is. */
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"
import { writeFileAtomic } from "./write_file.ts"

/** What the tokenizers of Hugging Face consist of; only the first is always there. */
const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
]

/** Copies all there is; an `InvalidModelFile` where the folder has no `tokenizer.json`. */
export async function copyTokenizer(from: string, to: string): Promise<void> {
  const names = await readdir(from).catch((error) => {
    throw invalid(from, `${from} cannot be read: ${messageOf(error)}`, error)
  })
  if (!names.includes(tokenizerFiles[0])) {
    const file = join(from, tokenizerFiles[0])
    throw invalid(file, `${file} is missing: expected the tokenizer of the model to be written`)
  }
  for (const name of tokenizerFiles.filter((name) => names.includes(name))) {
    const file = join(from, name)
    const bytes = await readFile(file).catch((error) => {
      throw invalid(file, `${file} cannot be read: ${messageOf(error)}`, error)
    })
    await writeFileAtomic(join(to, name), bytes)
  }
}

function invalid(file: string, message: string, cause?: unknown): GenArmError {
  return new GenArmError({ _tag: "InvalidModelFile", file }, message, { cause })
}
