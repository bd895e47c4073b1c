/**
 * Dividing the machine's threads among models that step at the same time. A step ends with the last
 * of them, so that each should take as long as the others.
 */
import { openModelFolder } from "../files/model_folder.ts"
import { isLlamaFamily, readLlamaConfig } from "../llama/config.ts"
import { parameterGroups, sizeOf } from "../llama/parameters.ts"
import type { Precision } from "../llama/weights.ts"

/** Threads for each model, one at least: every further one goes to the model that is slowest yet. */
export function divideThreads(costs: readonly number[], threads: number): number[] {
  const shares = costs.map(() => 1)
  for (let left = threads - costs.length; left > 0; left--) {
    const slowest = costs.reduce(
      (worst, cost, i) => cost / shares[i] > costs[worst] / shares[worst] ? i : worst,
      0,
    )
    shares[slowest]++
  }
  return shares
}

/** What a weight costs in a step of one row, relative to one of 32 bits: measured at 135M weights. */
const costOfWeight: Record<Precision, number> = { f32: 1, q8: 0.53, q4: 0.43 }

/** What a step costs beside its weights: calls, messages between threads, what is small in a graph. */
const overhead = 2_000_000

/** What each further row costs, relative to the first: weights are read once for all. */
const costOfRow = 0.15

/**
 * What a step of a model costs, in reads of one float32 weight: estimated from its configuration and
 * not from the clock, since what it decides may change a text: the last bit of a result, the length
 * of a draft. Nothing is known of a ready export.
 */
export async function stepCost(
  folder: string,
  precision: Precision,
  rows = 1,
): Promise<number | undefined> {
  try {
    const { config: json } = await openModelFolder(folder)
    if (!isLlamaFamily(json)) return undefined
    const groups = parameterGroups(readLlamaConfig(json, folder))
    const weights = groups.reduce((sum, group) => sum + sizeOf(group), 0)
    return (overhead + weights * costOfWeight[precision]) * (1 + costOfRow * (rows - 1))
  } catch {
    return undefined // opening it will say what is wrong
  }
}
