/** The error of a file of training data: where it is wrong, and how. */
import { GenArmError } from "../../errors.ts"

/** The place in a file, where there is one smaller than the file. */
export interface Place {
  readonly line?: number | undefined
  /** Dotted, as in `chosen[1].content`; `[16].chosen` in a file that is one JSON array. */
  readonly field?: string | undefined
}

/** The error of a data file; `what` goes on from where it is wrong. */
export function invalidData(
  file: string,
  what: string,
  at: Place & { readonly cause?: unknown } = {},
): GenArmError {
  const { line, field, cause } = at
  const place = line === undefined ? file : `${file}:${line}`
  return new GenArmError(
    {
      _tag: "InvalidDataFile",
      file,
      ...line !== undefined && { line },
      ...field !== undefined && { field },
    },
    `${place} ${what}`,
    { cause },
  )
}
