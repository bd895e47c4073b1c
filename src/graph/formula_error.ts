/** The error of a formula, with the place in it underlined. */
import { GenArmError } from "../errors.ts"

/** `what` went wrong at `position`, an index into `text`. */
export function formulaError(text: string, position: number, what: string): GenArmError {
  const start = text.lastIndexOf("\n", position - 1) + 1
  const end = text.indexOf("\n", position)
  const line = text.slice(start, end < 0 ? undefined : end)
  // As wide as the text before it: tabs stay tabs, and a character of two units is one.
  const space = [...text.slice(start, position)].map((c) => c === "\t" ? c : " ").join("")
  return new GenArmError(
    { _tag: "InvalidFormula", text, position },
    `${what}, at character ${[...text.slice(0, position)].length + 1} of the formula\n` +
      `  ${line}\n  ${space}^`,
  )
}
