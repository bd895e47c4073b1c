/**
 * The suite of a reward. What it gives is looked at first, then what it keeps of a text, then what becomes
 * of it in pipelines. A reward that hears of tokens and has no `fork` or no `rewind` is as good as others:
 * strategies that need them refuse it, and the checks of what it lacks pass.
 */
import type { PluginNode } from "../plugin/node.ts"
import { RewardBench } from "./_reward_bench.ts"
import { inputChecks } from "./_reward_inputs.ts"
import { moveChecks } from "./_reward_moves.ts"
import { pipelineChecks } from "./_reward_pipelines.ts"
import { scoreChecks } from "./_reward_scores.ts"
import { makePlace } from "./_scope.ts"
import { testsOf } from "./_suite.ts"
import type { ConformanceOptions, ConformanceTest } from "./conformance.ts"

/** The checks of a reward. */
export function rewardSuite(
  node: PluginNode<"reward">,
  options: ConformanceOptions,
): ConformanceTest[] {
  const bench = new RewardBench(node, makePlace(options))
  const scores = scoreChecks(bench)
  const inputs = inputChecks(bench, scores)
  const moves = moveChecks(bench, scores, inputs)
  return testsOf(node.plugin, [
    ...Object.values(scores),
    ...Object.values(inputs),
    ...Object.values(moves),
    ...pipelineChecks(bench, scores, moves),
  ])
}
