/**
 * JSON data as YAML, in the few forms that every reader knows: indented mappings and sequences, and
 * what is not plainly a word in double quotes. (Reading is done by Effect's own parser, a port of the
 * npm package `yaml`, so that the SDK needs no further package.)
 */

/** The text of JSON data as one YAML document. */
export function writeYaml(data: unknown): string {
  return isBlock(data) ? `${blockLines(data).join("\n")}\n` : `${flow(data)}\n`
}

type Block = Readonly<Record<string, unknown>> | readonly unknown[]

/** Whether a value is written over several lines; lists of scalars stand in one. */
function isBlock(value: unknown): value is Block {
  if (typeof value !== "object" || value === null) return false
  const items = Object.values(value)
  return Array.isArray(value)
    ? items.some((item) => typeof item === "object" && item !== null)
    : items.length > 0
}

function blockLines(value: Block): string[] {
  return Array.isArray(value) ? value.flatMap(itemLines) : Object.entries(value).flatMap(entryLines)
}

function entryLines([key, value]: [string, unknown]): string[] {
  if (!isBlock(value)) return [`${scalar(key)}: ${flow(value)}`]
  return [`${scalar(key)}:`, ...blockLines(value).map((line) => `  ${line}`)]
}

function itemLines(item: unknown): string[] {
  // A list in a list would begin with two dashes in one line, which not every reader takes.
  if (!isBlock(item) || Array.isArray(item)) return [`- ${flow(item)}`]
  return blockLines(item).map((line, i) => `${i === 0 ? "-" : " "} ${line}`)
}

function flow(value: unknown): string {
  if (typeof value === "string") return scalar(value)
  // YAML 1.1 takes 1e-7 for a text, and 1.0e-7 for the number.
  if (typeof value === "number") return String(value).replace(/^(-?\d)e/, "$1.0e")
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`
  const entries = Object.entries(value).map(([key, inner]) =>
    `${JSON.stringify(key)}: ${flow(inner)}`
  )
  return `{${entries.join(", ")}}`
}

/** A word or a path stands as it is; all else in quotes, as numbers, dates and `no` are no texts. */
function scalar(text: string): string {
  const isWord = /^(?:[A-Za-z_]|\.{1,2}\/)[\w./@-]*$/.test(text)
  const isKeyword = /^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text)
  return isWord && !isKeyword ? text : JSON.stringify(text).replace(
    // To YAML 1.1 these end a line.
    /[\x85\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
}
