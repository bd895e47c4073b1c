/** @module Policies aligned for different ends, as one. */
import { Schema } from "effect"
import { defineReward, type RewardPlugin, type RewardSource, type RewardState } from "genarm/plugin"
import { type Combine, combineBy, type PolicyDivergence } from "./_divergences.ts"
import { PrefixRatios } from "./_prefix_ratios.ts"
import { type ContrastSide, sideFields, sourceOf } from "./_sides.ts"

export type { PolicyDivergence } from "./_divergences.ts"

/** A policy and its part in a mixture; the base itself where it names no model, adapter or prefix. */
export interface MixedPolicy extends ContrastSide {
  /** Its weight, from 0 on; one with the weight 0 is not run. */
  readonly weight: number
}

/** Options of `policyMixture`. */
export interface PolicyMixtureOptions {
  /** The policies by name; their weights sum to 1. */
  readonly of: Readonly<Record<string, MixedPolicy>>
  /**
   * The penalty for leaving the base that all of them were aligned under: `"reverseKL"` where absent,
   * that of PPO and DPO. `alpha` is above 0 and at most 1, where it is the forward KL.
   */
  readonly divergence?: PolicyDivergence
  /**
   * What probabilities are combined: of the text with each token added, as published, where absent; or
   * of the `"token"` alone. With the reverse KL it is the same.
   */
  readonly over?: "text" | "token"
}

/** How far from 1 a sum of weights may be. */
const tolerance = 1e-6

/** A policy that is run. */
interface Part {
  readonly name: string
  readonly weight: number
  readonly source: RewardSource
}

const partsOf = ({ of }: PolicyMixtureOptions): Part[] => {
  const sum = sumOf(of)
  return Object.entries(of).filter(([, { weight }]) => weight > 0)
    .map(([name, { weight, ...source }]) => ({
      name: `of.${name}`,
      weight: weight / sum,
      source: sourceOf(source),
    }))
}

const sumOf = (of: PolicyMixtureOptions["of"]): number =>
  Object.values(of).reduce((sum, { weight }) => sum + weight, 0)

/**
 * Multi-objective decoding (MOD, https://arxiv.org/abs/2406.18853): policies that were aligned from the
 * base, each for an end of its own, combined to the one that is best for the weighted sum of their
 * rewards. With the term's weight 1 the guided distribution is the paper's combination,
 * `pi_base * f'^-1(sum_i w_i f'(pi_i / pi_base))`, normalised for each token:
 *
 * - `"reverseKL"`: the weighted geometric mean `prod_i pi_i^w_i`
 * - `"forwardKL"`: the weighted harmonic mean `1 / sum_i (w_i / pi_i)`
 * - `{ alpha }`: `(sum_i w_i pi_i^-alpha)^(-1/alpha)`. The authors' code, https://github.com/srzer/MOD,
 *   leaves out the outer `1/alpha`: its distribution is the paper's to the power of `alpha`
 * - `"jensenShannon"`: `pi_base / (prod_i (1 + pi_base / pi_i)^w_i - 1)`, where their code takes the
 *   geometric mean
 *
 * Another weight of the term, `w`, gives the mixture to the power of `w` times `pi_base^(1 - w)`.
 *
 * The reward of a token is how much it adds to the log-ratio of the mixture to the base; over a text
 * these sum to the text's own. What one of the policies rules out, or the base, is ruled out. A step costs
 * a row of each policy; divergences but the reverse KL take an exponential or two of each id.
 *
 * @example
 * ```ts
 * import { defineGraph, policyMixture } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const aligned = policyMixture({
 *   of: {
 *     helpful: { adapter: "./adapters/helpful", weight: 0.7 },
 *     harmless: { adapter: "./adapters/harmless", weight: 0.3 },
 *   },
 * })
 * const graph = defineGraph({ base: "./models/base", rewards: { aligned: { reward: aligned, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*aligned")
 * ```
 */
export const policyMixture: RewardPlugin<PolicyMixtureOptions> = defineReward({
  name: "policyMixture",
  options: Schema.Struct({
    of: Schema.Record(
      Schema.String,
      Schema.Struct({
        ...sideFields,
        weight: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
      }),
    ),
    divergence: Schema.optionalKey(Schema.Union([
      Schema.Literals(["reverseKL", "forwardKL", "jensenShannon"]),
      Schema.Struct({
        alpha: Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1)),
      }),
    ])),
    over: Schema.optionalKey(Schema.Literals(["text", "token"])),
  }).check(Schema.makeFilter(({ of }) =>
    Math.abs(sumOf(of) - 1) <= tolerance || {
      path: ["of"],
      issue: `Expected weights that sum to 1, found the sum ${sumOf(of)}`,
    }
  )),
  sources: (options): Record<string, RewardSource> => ({
    base: {},
    ...Object.fromEntries(partsOf(options).map(({ name, source }) => [name, source])),
  }),
  open(options, sequence): RewardState {
    const { divergence = "reverseKL", over = "text" } = options
    const parts = partsOf(options)
    const rule: Rule = {
      names: parts.map(({ name }) => name),
      weights: Float64Array.from(parts, ({ weight }) => weight),
      combine: combineBy(divergence),
    }
    // In a geometric mean of products what is written is a factor that all ids share.
    return over === "token" || divergence === "reverseKL"
      ? overTokens(rule)
      : overTexts(rule, PrefixRatios.open(parts.length, sequence.vocabularySize))
  },
})

interface Rule {
  /** The policies' rows. */
  readonly names: readonly string[]
  readonly weights: Float64Array
  readonly combine: Combine
}

type Rows = Readonly<Record<string, Float32Array>>

function overTokens(rule: Rule): RewardState {
  const nothing = new Float64Array(rule.names.length)
  return {
    score: (rows, out) => mix(rule, rows, nothing, out),
  }
}

function overTexts(rule: Rule, written: PrefixRatios): RewardState {
  return {
    score(rows: Rows, out) {
      written.see(rows.base, rule.names.map((name) => rows[name]))
      mix(rule, rows, written.now, out)
    },
    accept: (id) => written.accept(id),
    rewind: (count) => written.rewind(count),
    fork: () => overTexts(rule, written.fork()),
  }
}

/** What each id adds to the log-ratio of the mixture to the base, which is at `before` for each policy. */
function mix(
  { names, weights, combine }: Rule,
  rows: Rows,
  before: Float64Array,
  out: Float32Array,
): void {
  const policies = names.map((name) => rows[name])
  const { base } = rows
  const ratios = before.slice()
  const start = combine(ratios, weights)
  for (let id = 0; id < out.length; id++) {
    let least = base[id]
    for (let i = 0; i < policies.length; i++) {
      const logProb = policies[i][id]
      if (logProb < least) least = logProb
      ratios[i] = before[i] + logProb - base[id]
    }
    out[id] = least === -Infinity ? -Infinity : combine(ratios, weights) - start
  }
}
