/**
 * Texts, rows and scores made up from seeds: equal seeds give equal values. Suites give them to plugins
 * where no model has to run.
 */
import { fastExp } from "../math/exp.ts"
import { logSoftmaxInto } from "../math/log_softmax.ts"
import { type RandomStream, randomStream } from "../math/random.ts"

/** A uint32 that differs where names or ids do: FNV-1a over their characters and numbers. */
export function seedOf(name: string, ids: readonly number[] = []): number {
  let hash = 0x811c9dc5
  const add = (value: number) => hash = Math.imul(hash ^ value, 0x01000193)
  for (let i = 0; i < name.length; i++) add(name.charCodeAt(i))
  for (const id of ids) {
    add(id + 1)
    hash ^= hash >>> 15
  }
  return hash >>> 0
}

/** Peaked as a model's are: a few likely ids, and a long tail within some 16 nats. */
function logits(stream: RandomStream, size: number): Float32Array {
  return Float32Array.from({ length: size }, () => {
    const uniform = stream.nextUniform()
    return 10 * uniform * uniform * uniform + 2 * stream.nextUniform()
  })
}

/** Probabilities, not normalised, as a made-up model of this name gives them after `ids`. */
export function madeUpProbabilities(
  name: string,
  ids: readonly number[],
  size: number,
): Float64Array {
  return Float64Array.from(logits(randomStream(seedOf(name, ids)), size), fastExp)
}

/** Values of labels, from -2 to 2, as a made-up value head of this name gives them after `ids`. */
export function madeUpValues(name: string, ids: readonly number[], count: number): Float64Array {
  const stream = randomStream(seedOf(name, ids))
  return Float64Array.from({ length: count }, () => 4 * stream.nextUniform() - 2)
}

/** Natural-log probabilities of a next token, `[size]`. */
export function madeUpRow(seed: number, size: number): Float32Array {
  const row = logits(randomStream(seed), size)
  logSoftmaxInto(row, row)
  return row
}

/** Scores of no particular sum, from -6 to 6, of which some are `-Infinity`: `[size]`. */
export function madeUpScores(seed: number, size: number, ruledOut = 0.05): Float32Array {
  const stream = randomStream(seed)
  return Float32Array.from({ length: size }, () => {
    const score = 12 * stream.nextUniform() - 6
    return stream.nextUniform() < ruledOut ? -Infinity : score
  })
}

/** Ids of a text, drawn from `from` on and below `to`. */
export function madeUpIds(seed: number, length: number, from: number, to: number): number[] {
  const stream = randomStream(seed)
  return Array.from({ length }, () => from + Math.floor(stream.nextUniform() * (to - from)))
}
