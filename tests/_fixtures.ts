/** Small models made with Hugging Face transformers, and the numbers it computed from them. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** What transformers computed for a folder, in float32. */
export interface Expected {
  /** Forty ids. */
  readonly ids: readonly number[]
  /** Rows of logits by position. */
  readonly logits_at: Readonly<Record<string, readonly number[]>>
  /** The twelve greedy ids that follow. */
  readonly greedy: readonly number[]
}

/** The path of a model folder. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`./fixtures/models/${name}`, import.meta.url))
}

/** The golden numbers of all folders. */
export const expected: Readonly<Record<string, Expected>> = JSON.parse(
  readFileSync(new URL("./fixtures/expected.json", import.meta.url), "utf8"),
)

/** Natural-log softmax, the obvious way. */
export function logSoftmax(logits: readonly number[]): number[] {
  const max = Math.max(...logits)
  const log = max + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - max), 0))
  return logits.map((x) => x - log)
}

/** The largest absolute difference. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i])
    if (!(difference <= worst)) worst = difference
  }
  return worst
}
