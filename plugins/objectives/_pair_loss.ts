/** What preference objectives share: the loss of a margin between two rewards, and what is logged. */
import { add, divide, greater, negate, relu, scale, softplus, subtract, sum } from "genarm/onnx"
import type { ObjectiveLoss, ObjectiveRows, PairBatch } from "genarm/plugin"

type Tensor = ObjectiveRows["logProbs"]

/** How a margin becomes a loss. */
export interface MarginLoss {
  readonly loss: "sigmoid" | "hinge"
  /** The share of pairs taken to be labelled the wrong way round. */
  readonly labelSmoothing: number
}

/** The log-probability of each response: `[n, 1]`. */
export function responseLogProbs({ logProbs }: ObjectiveRows): Tensor {
  return sum(logProbs, [1])
}

/** The same for each token of the response. */
export function meanLogProbs(rows: ObjectiveRows): Tensor {
  return divide(responseLogProbs(rows), rows.counts)
}

/** The loss of `margin [n, 1]`, which is to be above 0. */
export function marginLoss(margin: Tensor, { loss, labelSmoothing }: MarginLoss): Tensor {
  if (loss === "hinge") return relu(subtract(margin.tape.scalar(1), margin))
  const right = softplus(negate(margin)) // -log sigmoid(margin)
  if (labelSmoothing === 0) return right
  return add(scale(right, 1 - labelSmoothing), scale(softplus(margin), labelSmoothing))
}

/** The loss with the quantities that TRL logs under the same names. */
export function pairLoss(
  { mean, chosen, rejected }: PairBatch,
  rewards: { readonly chosen: Tensor; readonly rejected: Tensor },
  loss: Tensor,
): ObjectiveLoss {
  return {
    loss: mean(loss),
    metrics: {
      "rewards/chosen": mean(rewards.chosen),
      "rewards/rejected": mean(rewards.rejected),
      "rewards/accuracies": mean(greater(rewards.chosen, rewards.rejected)),
      "rewards/margins": mean(subtract(rewards.chosen, rewards.rejected)),
      "logps/chosen": mean(responseLogProbs(chosen)),
      "logps/rejected": mean(responseLogProbs(rejected)),
    },
  }
}
