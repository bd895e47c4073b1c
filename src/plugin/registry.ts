/** Plugins by name, for graphs that come as data. */
import { Context } from "effect"
import { GenArmError } from "../errors.ts"
import { hint } from "./nearest.ts"
import { definition, type PluginDefinition, type PluginKind } from "./node.ts"
import type { ObjectiveDefinition } from "./objective.ts"
import { type Path, printPath } from "./options.ts"
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

/** The definition that a node carries or names; `path` is where it stands, for the error. */
export function definitionOf<Kind extends PluginKind>(
  plugins: Plugins,
  kind: Kind,
  node: { readonly plugin: string; readonly [definition]?: PluginDefinition<PluginKind, unknown> },
  path: Path = [],
): DefinitionOf<Kind> {
  const carried = node[definition]
  if (carried !== undefined) return carried as DefinitionOf<Kind>
  const known = plugins[kind] as readonly DefinitionOf<Kind>[]
  const found = known.find(({ name }) => name === node.plugin)
  if (found !== undefined) return found
  const names = known.map(({ name }) => name)
  const place = path.length === 0 ? "" : `, at ${printPath(path)}`
  throw new GenArmError(
    { _tag: "UnknownPlugin", kind, name: node.plugin, known: names },
    `there is no ${kind} plugin "${node.plugin}"${hint(node.plugin, names, ": ", "")}${place}; ` +
      `known are ${names.join(", ") || "none"}`,
  )
}

/** What a call of `defineReward`, `defineSchedule` ... gives, whatever its options are. */
export interface AnyPlugin {
  /** What was defined. */
  readonly definition: PluginDefinition<PluginKind, unknown>
}

/**
 * A registry with more plugins. Fails with `InvalidOption` for what is no plugin, and for a second
 * plugin of one name, which could stand for another than the graph's author meant.
 */
export function withPlugins(plugins: Plugins, more: readonly AnyPlugin[]): Plugins {
  const all: Record<PluginKind, PluginDefinition<PluginKind, unknown>[]> = {
    reward: [...plugins.reward],
    schedule: [...plugins.schedule],
    sampler: [...plugins.sampler],
    strategy: [...plugins.strategy],
    objective: [...plugins.objective],
  }
  for (const [i, plugin] of more.entries()) {
    const refuse = (message: string) =>
      new GenArmError(
        { _tag: "InvalidOption", path: ["plugins", i] },
        `${message}, at plugins[${i}]`,
      )
    if (!isAnyPlugin(plugin)) {
      throw refuse("expected a plugin, such as defineReward gives, not a node made by calling it")
    }
    const { kind, name } = plugin.definition
    const same = all[kind!].find((other) => other.name === name)
    if (same === plugin.definition) continue
    if (same !== undefined) throw refuse(`there is a ${kind} plugin "${name}" already: rename one`)
    all[kind!].push(plugin.definition)
  }
  return all as unknown as Plugins
}

/** Whether a value, such as an export of a module, is a plugin. */
export function isAnyPlugin(value: unknown): value is AnyPlugin {
  if (typeof value !== "function" || !("definition" in value)) return false
  const { name, kind } = (value.definition ?? {}) as { name?: unknown; kind?: unknown }
  return typeof name === "string" && typeof kind === "string" &&
    ["reward", "schedule", "sampler", "strategy", "objective"].includes(kind)
}
