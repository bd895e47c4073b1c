/**
 * The texts of a corpus file, one at a time: a plain text cut at a separator, or JSON lines with a
 * `text` each; gzip or not. Only the text under way is held.
 */
import { GenArmError, messageOf } from "../../errors.ts"
import { printValue } from "../../plugin/options.ts"
import { invalidData } from "./_invalid_data.ts"
import { readLines } from "./_lines.ts"
import { textOf, wrongField } from "./_row_fields.ts"

/** One text of a file. */
export interface CorpusText {
  /** Without white space at its ends; never empty. */
  readonly text: string
  /** Whether the text ends here, and was not cut off. */
  readonly complete: boolean
}

/** How a plain text is read. */
export interface ReadTextsOptions {
  /** What stands between texts; `<|endoftext|>` where absent. JSON lines have none. */
  readonly separator?: string
}

/**
 * Reads the texts of a file, from the start for every iteration. What is empty is left out.
 *
 * A name in `.jsonl` or `.jsonl.gz` is read as JSON lines, `{ "text": "...", "complete": true }`;
 * `complete` is true where it is absent, and other fields are let be. Any other file is a plain
 * text: a text is complete when the separator stands behind it, so what follows the last one, as in
 * the first megabyte of something, is not. "\r\n" is read as "\n".
 *
 * @throws {GenArmError} `InvalidOption` at once; while reading, `InvalidDataFile` with the line.
 *
 * @example
 * ```ts
 * import { readTexts } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp, writeFile } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const path = join(await mkdtemp(join(tmpdir(), "texts-")), "stories.txt")
 * await writeFile(path, "A cat sat.\n<|endoftext|>\nA dog r")
 * assertEquals(await Array.fromAsync(readTexts(path)), [
 *   { text: "A cat sat.", complete: true },
 *   { text: "A dog r", complete: false },
 * ])
 * ```
 */
export function readTexts(path: string, options: ReadTextsOptions = {}): AsyncIterable<CorpusText> {
  const { separator, ...others } = options
  for (const name of Object.keys(others)) {
    throw invalidOption(name, `expected no option but separator, found ${name}`)
  }
  if (separator !== undefined && (typeof separator !== "string" || separator === "")) {
    throw invalidOption("separator", `expected a text, found ${printValue(separator)}`)
  }
  const isJson = /\.jsonl(\.gz)?$/i.test(path)
  if (isJson && separator !== undefined) {
    throw invalidOption(
      "separator",
      `${path} has a text a line and takes no separator: leave it out`,
    )
  }
  const open = isJson ? () => fromRows(path) : () => fromText(path, separator ?? "<|endoftext|>")
  return { [Symbol.asyncIterator]: open }
}

async function* fromText(path: string, separator: string): AsyncGenerator<CorpusText, void> {
  let pieces: string[] = []
  // The separator may begin in one line and end in a later one.
  let tail = ""
  const close = (last: string, complete: boolean): CorpusText[] => {
    const text = [...pieces, last].join("").trim()
    pieces = []
    return text === "" ? [] : [{ text, complete }]
  }
  for await (const { line } of readLines(path)) {
    const parts = `${tail}${line}\n`.split(separator)
    const rest = parts.pop() as string
    for (const part of parts) yield* close(part, true)
    const keep = Math.max(0, rest.length - separator.length + 1)
    if (keep > 0) pieces.push(rest.slice(0, keep))
    tail = rest.slice(keep)
  }
  yield* close(tail, false)
}

async function* fromRows(path: string): AsyncGenerator<CorpusText, void> {
  for await (const { line, number } of readLines(path)) {
    if (line.trim() === "") continue
    const row = { file: path, line: number, path: "", value: parseRow(path, line, number) }
    const { complete = true } = row.value
    if (row.value.text === undefined && row.value.chosen !== undefined) {
      const why = "a text; these are preferences, for an objective on pairs such as armPreference"
      throw wrongField(row, "text", undefined, why)
    }
    if (typeof complete !== "boolean") throw wrongField(row, "complete", complete, "true or false")
    const text = textOf(row, "text").trim()
    if (text !== "") yield { text, complete }
  }
}

function parseRow(file: string, text: string, line: number): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const what = `is not JSON: ${messageOf(cause)}; expected {"text": "..."} a line`
    throw invalidData(file, what, { line, cause })
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw invalidData(file, `has ${printValue(value)}: expected {"text": "..."}`, { line })
}

function invalidOption(name: string, message: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path: [name] }, message)
}
