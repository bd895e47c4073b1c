/** The weight of a reward in one text: a number, or a schedule that is asked at each token. */
import { GenArmError } from "../errors.ts"
import type { Weight } from "../graph/graph.ts"
import { guard } from "../plugin/guard.ts"
import { definitionOf } from "../plugin/registry.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import type { ScheduleDefinition, ScheduleState, ScheduleStep } from "../plugin/schedule.ts"
import type { Keeper } from "./kept_state.ts"
import type { OpenGraph } from "./open_graph.ts"

/** A weight at work. */
export type OpenWeight = number | Keeper<ScheduleState>

/** What a weight is opened for. */
export interface WeightPlace {
  /** The reward. */
  readonly term: string
  readonly info: SequenceInfo
  /** A state that is there already; the schedule opens one where there is none. */
  readonly state: ScheduleState | undefined
}

/** Begins a text. */
export function openWeight(
  graph: OpenGraph,
  weight: Weight,
  { term, info, state }: WeightPlace,
): OpenWeight {
  if (typeof weight === "number") return weight
  const schedule: ScheduleDefinition = definitionOf(graph.plugins, "schedule", weight)
  const plugin = schedule.name
  return {
    plugin,
    role: `schedule "${plugin}" of "${term}"`,
    term,
    state: state ?? guard(plugin, () => schedule.open(weight.options, info), term),
  }
}

/** The weight in force at a token. */
export function weightAt(
  { name, weight }: { readonly name: string; readonly weight: OpenWeight },
  step: ScheduleStep,
): number {
  if (typeof weight === "number") return weight
  const { plugin, state } = weight
  const value = guard(plugin, () => state.weight(step), name)
  if (Number.isFinite(value)) return value
  throw new GenArmError(
    { _tag: "PluginFailed", plugin },
    `the schedule "${plugin}" of "${name}" gave ${value} at token ${step.position}: expected a ` +
      "finite number",
  )
}
