/**
 * The base tilted by a reward, `q_w = base * e^(w * score) / Z(w)`, and how far it is from the base:
 *
 * `KL(q_w || base) = w * E[score] - log Z(w)`, whose slope in w is `w * Var[score]`, both under q_w. So it
 * grows with w from 0 on, and its square root is nearly a straight line, on which Newton steps land.
 */
import { argmax, fastExp, fastLog } from "genarm/math"

/** Ids so many nats under the likeliest one add nothing to a float64. */
const NEGLIGIBLE = -45
/** How near to the budget is near enough, as a share of it. */
const TOLERANCE = 1e-4
/** Halving alone takes a weight to its last bit in so many steps. */
const STEPS = 60

/** A weight, and what it costs. */
export interface Spent {
  readonly weight: number
  /** KL(guided || base) in nats. */
  readonly nats: number
}

/** A weight's cost, and how fast its square root grows. */
interface Cost {
  readonly nats: number
  readonly slope: number
}

/**
 * The largest weight in `[0, most]` whose divergence is within the budget, to one part in 10,000 of the
 * budget, from below. Bisection, with Newton steps where they fall between the ends.
 *
 * @param base `[vocab]`, natural log.
 * @param scores `[vocab]` or fewer; ids beyond are ruled out by any weight but 0.
 * @param guess Where to begin: the weight of the token before.
 */
export function largestWeight(
  base: Float32Array,
  scores: Float32Array,
  { budget, most, guess }: {
    readonly budget: number
    readonly most: number
    readonly guess: number
  },
): Spent {
  let low: Spent = { weight: 0, nats: 0 }
  if (!(budget > 0)) return low
  const normalizer = normalizerOf(base)
  // What is ruled out costs the same at any weight above 0.
  const isExcluding = scores.length < base.length || scores.includes(-Infinity)
  if (isExcluding && costOf(base, scores, 1e-30, normalizer).nats > budget) return low
  let high = most
  let isHighOver = false
  let weight = guess > 0 && guess <= most ? guess : most
  for (let step = 0; step < STEPS; step++) {
    const { nats, slope } = costOf(base, scores, weight, normalizer)
    if (nats <= budget) {
      low = { weight, nats }
      if (weight === most || nats >= budget * (1 - TOLERANCE)) return low
    } else {
      high = weight
      isHighOver = true
    }
    // Between the tolerance and the budget.
    const aim = Math.sqrt(budget * (1 - TOLERANCE / 2))
    const next = weight + (aim - Math.sqrt(Math.max(0, nats))) / slope
    if (next > low.weight && next < high) weight = next
    else weight = isHighOver ? (low.weight + high) / 2 : most
    if (isHighOver && !(weight > low.weight && weight < high)) return low
  }
  return low
}

/** The log of the sum of exp(base): 0 but for the model's rounding, which small budgets would feel. */
function normalizerOf(base: Float32Array): number {
  const max = base[argmax(base)]
  let sum = 0
  for (let id = 0; id < base.length; id++) {
    if (base[id] - max > NEGLIGIBLE) sum += fastExp(base[id] - max)
  }
  return max + fastLog(sum)
}

/** What a weight above 0 costs. */
function costOf(
  base: Float32Array,
  scores: Float32Array,
  weight: number,
  normalizer: number,
): Cost {
  let max = -Infinity
  for (let id = 0; id < scores.length; id++) {
    const tilted = base[id] + weight * scores[id]
    if (tilted > max) max = tilted
  }
  // Where nothing is left, no weight is within any budget.
  if (!(max > -Infinity && max < Infinity)) return { nats: Infinity, slope: NaN }
  let sum = 0
  let first = 0
  let second = 0
  for (let id = 0; id < scores.length; id++) {
    const under = base[id] + weight * scores[id] - max
    if (!(under > NEGLIGIBLE)) continue
    const share = fastExp(under)
    const score = scores[id]
    sum += share
    first += share * score
    second += share * score * score
  }
  const mean = first / sum
  const variance = Math.max(0, second / sum - mean * mean)
  const nats = weight * mean - (max + fastLog(sum) - normalizer)
  return { nats, slope: weight * variance / (2 * Math.sqrt(Math.max(nats, 1e-300))) }
}
