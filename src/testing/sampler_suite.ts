/**
 * The suite of a sampler: what it chooses and what it says of that, then what it keeps of a text, then
 * what becomes of it in pipelines. A sampler without `probabilities`, or one that hears of tokens and has
 * no `fork` or no `rewind`, is as good as others: strategies that need them refuse it, and the checks of
 * what it lacks pass.
 */
import type { PluginNode } from "../plugin/node.ts"
import { choiceChecks } from "./_sampler_choices.ts"
import { probabilityChecks } from "./_sampler_probabilities.ts"
import { samplerKind } from "./_sampler_steps.ts"
import { makePlace } from "./_scope.ts"
import { StateBench } from "./_state_bench.ts"
import { stateInputs } from "./_state_inputs.ts"
import { stateMoves } from "./_state_moves.ts"
import { goesOn, statePipelines } from "./_state_pipelines.ts"
import { testsOf } from "./_suite.ts"
import type { ConformanceOptions, ConformanceTest } from "./conformance.ts"

/** The checks of a sampler. */
export function samplerSuite(
  node: PluginNode<"sampler">,
  options: ConformanceOptions,
): ConformanceTest[] {
  const bench = new StateBench(node, makePlace(options), samplerKind)
  const choices = choiceChecks(bench)
  const probabilities = probabilityChecks(bench, choices)
  const moves = stateMoves(bench, choices.again)
  const pipelines = statePipelines(
    bench,
    {
      kind: "sampler",
      does: "writes texts in a pipeline",
      parts: (sampler) => ({ rewards: { goesOn: { reward: goesOn(), weight: 1 } }, sampler }),
      path: "sampler",
    },
    [moves.apart, choices.buffers],
  )
  return testsOf(node.plugin, [
    ...Object.values(choices),
    ...Object.values(probabilities),
    stateInputs(bench, [choices.possible]),
    ...Object.values(moves),
    ...Object.values(pipelines),
  ])
}
