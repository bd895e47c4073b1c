/** @module Training the gate of `gated` from preferences. */
import { Schema } from "effect"
import { fastExp } from "genarm/math"
import { GenArmError } from "genarm/plugin"
import { featuresOf, type Gate, sharesOf } from "./_gate.ts"

/** A preference, in numbers. */
export interface GatePair {
  /** The prompt that both answers go on from. */
  readonly prompt: string
  /** What each reward gave the better answer: `rewards` of `pipeline.score`, say. */
  readonly chosen: Readonly<Record<string, number>>
  /** What each gave the other one: the same rewards. */
  readonly rejected: Readonly<Record<string, number>>
}

/** Options of `trainGate`. */
export interface TrainGateOptions {
  /** Into how many features words are hashed; 128 where absent. */
  readonly buckets?: number
  /** Steps over all pairs; 300 where absent. */
  readonly steps?: number
  /** The step size of Adam; 0.05 where absent. */
  readonly rate?: number
  /** Draws all weights towards 0, and so all shares towards each other; 0.001 where absent. */
  readonly decay?: number
}

const positive = Schema.Finite.check(Schema.isGreaterThan(0))
const count = Schema.Int.check(Schema.isGreaterThan(0))
const isOptions = {
  buckets: Schema.is(count),
  steps: Schema.is(count),
  rate: Schema.is(positive),
  decay: Schema.is(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
}

/**
 * Trains a gate so that the rewards, weighed by its shares, tell which answer people preferred:
 * `-log sigmoid(sum_i share_i(prompt) * (chosen_i - rejected_i))`, averaged over the pairs, as ArmoRM
 * trains its gating layer (https://arxiv.org/abs/2406.12845). All rewards stay as they are. Nothing is
 * random: the gate begins with equal shares and takes each step over all pairs.
 *
 * @param pairs All with the scores of the same rewards, on scales that may be compared.
 * @returns Plain data, for the `gate` of `gated`.
 * @throws {GenArmError} `InvalidOption` with the path of the first problem.
 *
 * @example
 * ```ts
 * import { trainGate } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const gate = trainGate([
 *   { prompt: "Prove it", chosen: { exact: 1, kind: 0 }, rejected: { exact: 0, kind: 1 } },
 *   { prompt: "Comfort me", chosen: { exact: 0, kind: 1 }, rejected: { exact: 1, kind: 0 } },
 * ])
 * assertEquals(gate.terms, ["exact", "kind"])
 * ```
 */
export function trainGate(pairs: readonly GatePair[], options: TrainGateOptions = {}): Gate {
  checkOptions(options)
  const { buckets = 128, steps = 300, rate = 0.05, decay = 0.001 } = options
  const terms = checkPairs(pairs)
  const data = pairs.map(({ prompt, chosen, rejected }) => ({
    features: featuresOf(prompt, buckets),
    gains: terms.map((term) => chosen[term] - rejected[term]),
  }))
  const zeros = () => terms.map(() => new Float64Array(buckets + 1))
  const [weights, gradient, mean, square] = [zeros(), zeros(), zeros(), zeros()]
  // Products, since engines differ in the last bit of powers.
  let [meanLeft, squareLeft] = [1, 1]
  for (let step = 0; step < steps; step++) {
    weights.forEach((row, i) => row.forEach((weight, f) => gradient[i][f] = decay * weight))
    for (const { features, gains } of data) {
      const shares = sharesOf(weights, features)
      const margin = shares.reduce((sum, share, i) => sum + share * gains[i], 0)
      const pull = -1 / (1 + fastExp(margin)) / data.length
      shares.forEach((share, i) => {
        const slope = pull * share * (gains[i] - margin)
        features.forEach((value, f) => gradient[i][f] += slope * value)
      })
    }
    meanLeft *= 0.9
    squareLeft *= 0.999
    const warmth = [1 - meanLeft, 1 - squareLeft] as const
    descend({ weights, gradient, mean, square }, rate, warmth)
  }
  // Six digits are more than the pairs can tell, and keep the graph's file short.
  const short = (row: Float64Array) => Array.from(row, (weight) => Number(weight.toPrecision(6)))
  return { terms, buckets, weights: weights.map(short) }
}

/** The weights `[terms][features]` and what a step needs, all of one shape. */
interface Descent {
  readonly weights: readonly Float64Array[]
  readonly gradient: readonly Float64Array[]
  readonly mean: readonly Float64Array[]
  readonly square: readonly Float64Array[]
}

/** One step of Adam (https://arxiv.org/abs/1412.6980) with its usual constants. */
function descend(
  { weights, gradient, mean, square }: Descent,
  rate: number,
  [meanWarmth, squareWarmth]: readonly [number, number],
): void {
  gradient.forEach((row, i) =>
    row.forEach((slope, f) => {
      mean[i][f] = 0.9 * mean[i][f] + 0.1 * slope
      square[i][f] = 0.999 * square[i][f] + 0.001 * slope * slope
      const scale = Math.sqrt(square[i][f] / squareWarmth) + 1e-8
      weights[i][f] -= rate * (mean[i][f] / meanWarmth) / scale
    })
  )
}

function checkOptions(options: TrainGateOptions): void {
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const is = Object.hasOwn(isOptions, key) ? isOptions[key as keyof typeof isOptions] : undefined
    const expected = is === undefined
      ? `no option but ${Object.keys(isOptions).join(", ")}`
      : key === "decay"
      ? "a finite number of at least 0"
      : `a ${key === "rate" ? "finite number" : "whole number"} above 0`
    if (is === undefined || !is(value)) throw refused([key], `expected ${expected}, found ${value}`)
  }
}

/** The names of the rewards, which all pairs must have. */
function checkPairs(pairs: readonly GatePair[]): string[] {
  if (pairs.length === 0) throw refused(["pairs"], "expected at least one pair, found none")
  const terms = Object.keys(pairs[0].chosen)
  if (terms.length === 0) throw refused(["pairs", 0, "chosen"], "expected scores, found none")
  for (const [i, pair] of pairs.entries()) {
    for (const side of ["chosen", "rejected"] as const) {
      const other = Object.keys(pair[side]).find((term) => !terms.includes(term))
      if (other !== undefined) {
        throw refused(
          ["pairs", i, side, other],
          `expected ${terms.join(", ")} only, found ${other}`,
        )
      }
      for (const term of terms) {
        const score = Object.hasOwn(pair[side], term) ? pair[side][term] : undefined
        if (Number.isFinite(score)) continue
        throw refused(["pairs", i, side, term], `expected a finite score, found ${score}`)
      }
    }
  }
  return terms
}

function refused(path: readonly (string | number)[], problem: string): GenArmError {
  return new GenArmError(
    { _tag: "InvalidOption", path: [...path] },
    `trainGate: ${problem}, at ${path.join(".")}`,
  )
}
