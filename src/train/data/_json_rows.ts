/**
 * The objects of a JSON-lines file, one a line and streamed, or of a file that is one JSON array,
 * which is read whole. The first character tells them apart, whatever the file's name.
 */
import { messageOf } from "../../errors.ts"
import { printValue } from "../../plugin/options.ts"
import { invalidData } from "./_invalid_data.ts"
import { type Line, readLines } from "./_lines.ts"

/** One object of a file, and where it stands. */
export interface JsonRow {
  readonly file: string
  /** Its line, in a JSON-lines file. */
  readonly line: number | undefined
  /** `[16]` in a JSON array, empty in a JSON-lines file. */
  readonly path: string
  readonly value: Readonly<Record<string, unknown>>
}

/** Reads the rows of a file; blank lines are none. */
export async function* readJsonRows(path: string): AsyncGenerator<JsonRow, void, undefined> {
  const lines = readLines(path)
  for await (const { line, number } of lines) {
    const start = line.trimStart()
    if (start === "") continue
    // No row begins so: this one and what follows are the text of an array.
    if (start.startsWith("[")) {
      yield* rowsOfArray(path, [line, ...await restOf(lines)].join("\n"))
      return
    }
    yield rowOf(path, parse(path, line, number), number, "")
  }
}

async function restOf(lines: AsyncIterable<Line>): Promise<string[]> {
  const rest: string[] = []
  for await (const { line } of lines) rest.push(line)
  return rest
}

function* rowsOfArray(file: string, text: string): Generator<JsonRow, void, undefined> {
  const items = parse(file, text, undefined) as readonly unknown[]
  for (const [index, item] of items.entries()) yield rowOf(file, item, undefined, `[${index}]`)
}

function parse(file: string, text: string, line: number | undefined): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const expected = line === undefined ? "" : `; expected an object a line, such as ${example}`
    throw invalidData(file, `is not JSON: ${messageOf(error)}${expected}`, { line, cause: error })
  }
}

const example = '{"prompt": ..., "chosen": ..., "rejected": ...}'

function rowOf(file: string, value: unknown, line: number | undefined, path: string): JsonRow {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { file, line, path, value: value as JsonRow["value"] }
  }
  throw invalidData(
    file,
    `holds ${printValue(value)}${path && ` at ${path}`}: expected an object such as ${example}`,
    { line, ...path !== "" && { field: path } },
  )
}
