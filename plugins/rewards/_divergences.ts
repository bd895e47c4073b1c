/**
 * Policies combined as MOD does (https://arxiv.org/abs/2406.18853). Each was aligned under a penalty
 * `I_f(pi_i || pi_base)` with the same `f`; the policy that is best for the mixed reward is
 * `pi_base * f'^-1(sum_i w_i f'(pi_i / pi_base))`. Below all is in logarithms of ratios to the base:
 * `u_i = log(pi_i / pi_base)` in, `log(pi / pi_base)`, not normalised, out.
 *
 * - reverse KL, `f' = log x + 1`: `sum_i w_i u_i`, the weighted geometric mean of the policies
 * - forward KL, `f' = -1 / x`: `-log sum_i w_i e^-u_i`, the weighted harmonic mean
 * - alpha, `f' = (1 - x^-alpha) / alpha`: `-1/alpha log sum_i w_i e^(-alpha u_i)`, the power mean
 * - Jensen-Shannon, `f' = log(2x / (1 + x))`: `-log(e^S - 1)`, `S = sum_i w_i log(1 + e^-u_i)`
 */
import { fastExp, fastLog } from "genarm/math"

/** The divergence from the base that policies were aligned under. */
export type PolicyDivergence =
  | "reverseKL"
  | "forwardKL"
  | "jensenShannon"
  | { readonly alpha: number }

/**
 * The log-ratio of a combination to the base.
 *
 * @param ratios Log-ratios of the policies, finite.
 * @param weights Above 0, with the sum 1.
 */
export type Combine = (ratios: Float64Array, weights: Float64Array) => number

/** How policies are combined that were aligned under a divergence. */
export function combineBy(divergence: PolicyDivergence): Combine {
  switch (divergence) {
    case "reverseKL":
      return weightedMean
    case "forwardKL":
      return powerMean(1)
    case "jensenShannon":
      return jensenShannon
    default:
      return powerMean(divergence.alpha)
  }
}

const weightedMean: Combine = (ratios, weights) => {
  let sum = 0
  for (let i = 0; i < ratios.length; i++) sum += weights[i] * ratios[i]
  return sum
}

function powerMean(alpha: number): Combine {
  return (ratios, weights) => {
    // The least has the greatest part in the sum.
    let least = ratios[0]
    for (let i = 1; i < ratios.length; i++) if (ratios[i] < least) least = ratios[i]
    let sum = 0
    for (let i = 0; i < ratios.length; i++) {
      sum += weights[i] * fastExp(-alpha * (ratios[i] - least))
    }
    return least - fastLog(sum) / alpha
  }
}

const harmonicMean = powerMean(1)

const jensenShannon: Combine = (ratios, weights) => {
  let sum = 0
  for (let i = 0; i < ratios.length; i++) sum += weights[i] * logOnePlusExp(-ratios[i])
  // log(e^S - 1). For a small S that is log S, and S a mean of e^-u up to a share of the size of S.
  if (sum < 1e-10) return harmonicMean(ratios, weights)
  return -(sum > 0.1 ? sum + fastLog(1 - fastExp(-sum)) : fastLog(exponentialLessOne(sum)))
}

/** `log(1 + e^x)`. */
function logOnePlusExp(x: number): number {
  const small = fastExp(x < 0 ? x : -x)
  // Kahan's: what 1 + small has lost, the factor puts back.
  const one = 1 + small
  const log = one === 1 ? small : fastLog(one) * (small / (one - 1))
  return x > 0 ? x + log : log
}

/** `e^x - 1` from 0 to 0.1, by its series. */
function exponentialLessOne(x: number): number {
  let sum = 0
  for (let n = 9; n > 0; n--) sum = (1 + sum) * x / n
  return sum
}
