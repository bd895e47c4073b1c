/**
 * The suite of an objective: the figures of its batches, then what a model learns by it. A small model
 * with made-up weights takes the steps of a training, in ONNX Runtime; a runtime and a base among the
 * options have no part in it. Checks that are about pairs pass for objectives on texts.
 */
import type { PluginNode } from "../plugin/node.ts"
import { ObjectiveBench } from "./_objective_bench.ts"
import { figureChecks } from "./_objective_figures.ts"
import { learningChecks } from "./_objective_learning.ts"
import { testsOf } from "./_suite.ts"
import type { ConformanceOptions, ConformanceTest } from "./conformance.ts"

/** The checks of an objective. */
export function objectiveSuite(
  node: PluginNode<"objective">,
  { seed = 1 }: ConformanceOptions,
): ConformanceTest[] {
  const bench = new ObjectiveBench(node, seed)
  const figures = figureChecks(bench)
  return testsOf(node.plugin, [
    ...Object.values(figures),
    ...Object.values(learningChecks(bench, figures)),
  ])
}
