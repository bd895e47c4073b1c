/**
 * The suite of a strategy: the texts that it writes, then how it treats its sequences, then what becomes
 * of it where something fails. It runs in whole pipelines, among the rewards that it asks for. A strategy
 * that forks or rewinds may refuse plugins that cannot follow, and one that asks for probabilities
 * samplers that do not tell them, by the error that the sequence throws.
 */
import type { PluginNode } from "../plugin/node.ts"
import { makePlace } from "./_scope.ts"
import { StrategyBench } from "./_strategy_bench.ts"
import { conductChecks } from "./_strategy_conduct.ts"
import { failureChecks } from "./_strategy_failures.ts"
import { textChecks } from "./_strategy_texts.ts"
import { testsOf } from "./_suite.ts"
import type { ConformanceOptions, ConformanceTest } from "./conformance.ts"

/** The checks of a strategy. */
export function strategySuite(
  node: PluginNode<"strategy">,
  options: ConformanceOptions,
): ConformanceTest[] {
  const bench = new StrategyBench(node, makePlace(options))
  const texts = textChecks(bench)
  return testsOf(node.plugin, [
    ...Object.values(texts),
    ...Object.values(conductChecks(bench, texts)),
    ...Object.values(failureChecks(bench, texts)),
  ])
}
