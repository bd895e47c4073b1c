/** A gate: from a prompt's words to shares of several rewards, as plain data and a few lines. */
import { Schema } from "effect"
import { fastExp } from "genarm/math"

/** A trained gate, as `trainGate` gives it; plain data. */
export interface Gate {
  /** The rewards it weighs against each other. */
  readonly terms: readonly string[]
  /** Into how many features words are hashed. */
  readonly buckets: number
  /** `[terms][buckets + 1]`: a linear map of the features; the last column is for every prompt. */
  readonly weights: readonly (readonly number[])[]
}

/** The schema of a `Gate`. */
export const gateSchema: Schema.Codec<Gate> = Schema.Struct({
  terms: Schema.Array(Schema.NonEmptyString).check(Schema.isMinLength(1)),
  buckets: Schema.Int.check(Schema.isGreaterThan(0)),
  weights: Schema.Array(Schema.Array(Schema.Finite)),
}).check(
  Schema.makeFilter(({ terms, buckets, weights }) =>
    weights.length === terms.length && weights.every(({ length }) => length === buckets + 1) ||
    {
      path: ["weights"],
      issue: `Expected ${terms.length} rows of ${buckets + 1} numbers, as trainGate gives them`,
    }
  ),
)

/** `[buckets + 1]`: how often each hashed word is there, of Euclidean length 1, and at the end a 1. */
export function featuresOf(text: string, buckets: number): Float64Array {
  const features = new Float64Array(buckets + 1)
  for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)) {
    features[hashOf(word) % buckets]++
  }
  const length = Math.sqrt(features.reduce((sum, count) => sum + count * count, 0))
  if (length > 0) { for (let i = 0; i < buckets; i++) features[i] /= length }
  features[buckets] = 1
  return features
}

/** `[terms]`: the softmax of the linear map of the features; adds up to 1. */
export function sharesOf(
  weights: readonly ArrayLike<number>[],
  features: Float64Array,
): number[] {
  const outputs = weights.map((row) => features.reduce((sum, value, i) => sum + value * row[i], 0))
  const max = Math.max(...outputs)
  const powers = outputs.map((output) => fastExp(output - max))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map((power) => power / sum)
}

/** FNV-1a over UTF-16 units. */
function hashOf(word: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
