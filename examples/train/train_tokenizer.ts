/**
 * A tokenizer for a model of your own, from your own text: plain files cut at a separator, or JSON
 * lines with a `text` each, gzip or not. The folder then holds tokenizer.json and
 * tokenizer_config.json, for genarm as for Python.
 *
 *     deno run -A examples/train/train_tokenizer.ts --out folder [--size 2048] \
 *       [--separator "<|endoftext|>"] texts.txt more.jsonl ...
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { openTokenizer, readTexts, trainTokenizer, writeTokenizer } from "genarm/train"

const { values, positionals: files } = parseArgs({
  options: {
    out: { type: "string" },
    size: { type: "string", default: "2048" },
    separator: { type: "string" },
  },
  allowPositionals: true,
})
const { out, size, separator } = values
if (out === undefined || files.length === 0) {
  throw new Error("name a folder to write with --out, and the files to learn from")
}

async function* texts(): AsyncGenerator<string> {
  for (const file of files) {
    const isPlain = !/\.jsonl(\.gz)?$/i.test(file)
    const options = separator !== undefined && isPlain ? { separator } : {}
    for await (const { text } of readTexts(file, options)) yield text
  }
}

await writeTokenizer(out, await trainTokenizer(texts(), { vocabularySize: Number(size) }))

const tokenizer = await openTokenizer(out)
let [characters, tokens] = [0, 0]
for await (const text of texts()) {
  characters += text.length
  tokens += tokenizer.encodeContinuation(text).length
}
process.stdout.write(
  `${out}: ${tokenizer.size} tokens; ${characters} characters of text are ${tokens} tokens, ` +
    `${(characters / tokens).toFixed(3)} characters each\n`,
)
