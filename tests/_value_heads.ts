/** Small models with value heads made with Hugging Face transformers, and what it computed from them. */
import { readFileSync } from "node:fs"

/** What transformers computed for a folder, in float32. */
export interface ExpectedValues {
  /** Forty ids. */
  readonly ids: readonly number[]
  readonly labels: readonly string[]
  /** What the head gives after each of the ids: `[ids, labels]`. */
  readonly values: readonly (readonly number[])[]
  /** The same with the adapter `attention`. */
  readonly adapted?: readonly (readonly number[])[]
}

/** The golden numbers of all folders. */
export const expectedValues: Readonly<Record<string, ExpectedValues>> = JSON.parse(
  readFileSync(new URL("./fixtures/value_heads_expected.json", import.meta.url), "utf8"),
)

/** A folder by the name that `fixture`, `altered` and `tensorsOf` take. */
export function valueHead(name: string): string {
  return `../value_heads/${name}`
}
