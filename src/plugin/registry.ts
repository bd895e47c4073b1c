/** Plugins by name, for graphs that come as data. */
import { Context } from "effect"
import { GenArmError } from "../errors.ts"
import { definition, type PluginDefinition, type PluginKind } from "./node.ts"
import type { ObjectiveDefinition } from "./objective.ts"
import type { RewardDefinition } from "./reward.ts"
import type { SamplerDefinition } from "./sampler.ts"
import type { ScheduleDefinition } from "./schedule.ts"
import type { StrategyDefinition } from "./strategy.ts"

/** Definitions of each kind. */
export interface Plugins {
  /** Rewards. */
  readonly reward: readonly RewardDefinition[]
  /** Weight schedules. */
  readonly schedule: readonly ScheduleDefinition[]
  /** Samplers. */
  readonly sampler: readonly SamplerDefinition[]
  /** Strategies. */
  readonly strategy: readonly StrategyDefinition[]
  /** Training objectives. */
  readonly objective: readonly ObjectiveDefinition[]
}

/** The definition type of a kind. */
export type DefinitionOf<Kind extends PluginKind> = Plugins[Kind][number]

/** The plugins that graphs may name: none, until an entry or a program provides some. */
export const Registry: Context.Reference<Plugins> = Context.Reference<Plugins>("genarm/Registry", {
  defaultValue: () => ({ reward: [], schedule: [], sampler: [], strategy: [], objective: [] }),
})

/** The definition that a node carries or names. */
export function definitionOf<Kind extends PluginKind>(
  plugins: Plugins,
  kind: Kind,
  node: { readonly plugin: string; readonly [definition]?: PluginDefinition<PluginKind, unknown> },
): DefinitionOf<Kind> {
  const carried = node[definition]
  if (carried !== undefined) return carried as DefinitionOf<Kind>
  const known = plugins[kind] as readonly DefinitionOf<Kind>[]
  const found = known.find(({ name }) => name === node.plugin)
  if (found !== undefined) return found
  const names = known.map(({ name }) => name)
  throw new GenArmError(
    { _tag: "UnknownPlugin", kind, name: node.plugin, known: names },
    `there is no ${kind} plugin "${node.plugin}"; known are ${names.join(", ") || "none"}`,
  )
}
