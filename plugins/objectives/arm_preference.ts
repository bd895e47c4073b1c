/** GenARM's objective: an autoregressive reward model from preferences. */
import { Schema } from "effect"
import { scale, subtract } from "genarm/onnx"
import { defineObjective, type ObjectivePlugin } from "genarm/plugin"
import { marginLoss, meanLogProbs, pairLoss, responseLogProbs } from "./_pair_loss.ts"

/** Options of `armPreference`. */
export interface ArmPreferenceOptions {
  /** The scale of the reward, `beta_r`; 0.05 (the paper's for HH-RLHF) where absent. */
  readonly beta?: number
  /** A margin that the rewards should differ by, with the sigmoid loss only; 0 where absent. */
  readonly gamma?: number
  /** `-log sigmoid(margin)` (the default), or `max(0, 1 - margin)`. */
  readonly loss?: "sigmoid" | "hinge"
  /** The share of pairs taken to be labelled the wrong way round, in `[0, 0.5)`; 0 where absent. */
  readonly labelSmoothing?: number
  /** Whether a response's reward is divided by its tokens; false where absent, as in the paper. */
  readonly lengthNormalization?: boolean
}

const options = Schema.Struct({
  beta: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
  gamma: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
  loss: Schema.optionalKey(Schema.Literals(["sigmoid", "hinge"])),
  labelSmoothing: Schema.optionalKey(
    Schema.Finite.check(
      Schema.isBetween({ minimum: 0, maximum: 0.5, exclusiveMaximum: true }),
    ),
  ),
  lengthNormalization: Schema.optionalKey(Schema.Boolean),
}).check(
  Schema.makeFilter((o) =>
    o.loss === "hinge" && ((o.gamma ?? 0) !== 0 || (o.labelSmoothing ?? 0) !== 0)
      ? "Expected gamma and labelSmoothing with the sigmoid loss only: a hinge has no place for them"
      : undefined
  ),
)

/**
 * Trains an autoregressive reward model on preference pairs (GenARM, arXiv 2410.08193, equation 5):
 * `-log sigmoid(beta * (log pi_r(chosen) - log pi_r(rejected)) - gamma)`, where the log-probability of
 * a response is the sum over its tokens, EOS included; those of the prompt do not count. There is no
 * reference model.
 *
 * Logged: `rewards/chosen` and `rewards/rejected` (`beta * log pi_r`, in nats), `rewards/accuracies`,
 * `rewards/margins`, `logps/chosen`, `logps/rejected` (`log pi_r`, not divided by the tokens even
 * where rewards are).
 *
 * @example
 * ```ts
 * import { armPreference } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(armPreference({ beta: 0.1 }).options, { beta: 0.1 })
 * ```
 */
export const armPreference: ObjectivePlugin<ArmPreferenceOptions> = defineObjective({
  name: "armPreference",
  options,
  data: "pairs",
  loss: (o, batch) => {
    const { beta = 0.05, gamma = 0, loss = "sigmoid", labelSmoothing = 0 } = o
    const of = o.lengthNormalization === true ? meanLogProbs : responseLogProbs
    const rewards = {
      chosen: scale(of(batch.chosen), beta),
      rejected: scale(of(batch.rejected), beta),
    }
    const difference = subtract(rewards.chosen, rewards.rejected)
    const margin = gamma === 0 ? difference : subtract(difference, difference.tape.scalar(gamma))
    return pairLoss(batch, rewards, marginLoss(margin, { loss, labelSmoothing }))
  },
})
