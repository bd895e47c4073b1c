/** Direct preference optimisation: the baseline that autoregressive reward models are compared with. */
import { Schema } from "effect"
import { scale, subtract } from "genarm/onnx"
import { defineObjective, type ObjectivePlugin, type PairRows } from "genarm/plugin"
import { marginLoss, pairLoss, responseLogProbs } from "./_pair_loss.ts"

/** Options of `dpo`. */
export interface DpoOptions {
  /** How strongly the model is held to the reference; 0.1 where absent. */
  readonly beta?: number
  /** The share of pairs taken to be labelled the wrong way round, in `[0, 0.5)`; 0 where absent. */
  readonly labelSmoothing?: number
}

/**
 * Trains a policy on preference pairs (DPO, arXiv 2305.18290): `-log sigmoid(beta * (log pi/pi_ref
 * (chosen) - log pi/pi_ref(rejected)))`. The frozen reference `pi_ref` is the model as it was before
 * training; its log-probabilities are computed once.
 *
 * Logged as by `armPreference`; rewards are `beta * log pi/pi_ref`.
 *
 * @example
 * ```ts
 * import { dpo } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(dpo({ beta: 0.2 }).options, { beta: 0.2 })
 * ```
 */
export const dpo: ObjectivePlugin<DpoOptions> = defineObjective({
  name: "dpo",
  options: Schema.Struct({
    beta: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
    labelSmoothing: Schema.optionalKey(
      Schema.Finite.check(
        Schema.isBetween({ minimum: 0, maximum: 0.5, exclusiveMaximum: true }),
      ),
    ),
  }),
  data: "pairs",
  reference: true,
  loss: ({ beta = 0.1, labelSmoothing = 0 }, batch) => {
    const reward = (rows: PairRows) =>
      scale(subtract(responseLogProbs(rows), rows.reference!), beta)
    const rewards = { chosen: reward(batch.chosen), rejected: reward(batch.rejected) }
    const margin = subtract(rewards.chosen, rewards.rejected)
    return pairLoss(batch, rewards, marginLoss(margin, { loss: "sigmoid", labelSmoothing }))
  },
})
