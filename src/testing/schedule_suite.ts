/**
 * The suite of a schedule: the weights that it gives, then what it keeps of a text, then what becomes of
 * it in pipelines. A schedule that hears of tokens and has no `fork` or no `rewind` is as good as others:
 * strategies that need them refuse it, and the checks of what it lacks pass.
 */
import type { PluginNode } from "../plugin/node.ts"
import { defineReward, type RewardState } from "../plugin/reward.ts"
import { madeUpScores, seedOf } from "./_made_up.ts"
import { scheduleKind } from "./_schedule_steps.ts"
import { weightChecks } from "./_schedule_weights.ts"
import { makePlace } from "./_scope.ts"
import { StateBench } from "./_state_bench.ts"
import { stateInputs } from "./_state_inputs.ts"
import { stateMoves } from "./_state_moves.ts"
import { goesOn, statePipelines } from "./_state_pipelines.ts"
import { testsOf } from "./_suite.ts"
import type { ConformanceOptions, ConformanceTest } from "./conformance.ts"

/** Something to weigh: other scores at each token. */
const madeUp = defineReward({
  name: "madeUp",
  open: (_, { vocabularySize }): RewardState => {
    let last = -1
    return {
      score: (_, out) => out.set(madeUpScores(seedOf("weighed", [last]), vocabularySize, 0)),
      accept: (id) => last = id,
    }
  },
})

/** The checks of a schedule. */
export function scheduleSuite(
  node: PluginNode<"schedule">,
  options: ConformanceOptions,
): ConformanceTest[] {
  const bench = new StateBench(node, makePlace(options), scheduleKind)
  const weights = weightChecks(bench)
  const moves = stateMoves(bench, weights.again)
  const pipelines = statePipelines(
    bench,
    {
      kind: "schedule",
      does: "weighs a reward in a pipeline",
      parts: (weight) => ({
        rewards: {
          goesOn: { reward: goesOn(), weight: 1 },
          reward: { reward: madeUp(), weight },
        },
      }),
      path: "rewards.reward.weight",
    },
    [moves.apart, weights.buffers],
  )
  return testsOf(node.plugin, [
    ...Object.values(weights),
    stateInputs(bench, [weights.finite]),
    ...Object.values(moves),
    ...Object.values(pipelines),
  ])
}
