/**
 * What a graph asks to be run, before anything is opened: which weights, which adapters on them, and how
 * the prompt is put to each.
 */
import type { ModelRef } from "../files/model_ref.ts"
import { guard } from "../plugin/guard.ts"
import { mapValues } from "../plugin/map_values.ts"
import { definitionOf, type Plugins } from "../plugin/registry.ts"
import type { RewardDefinition, RewardSource } from "../plugin/reward.ts"
import type { StrategyDefinition } from "../plugin/strategy.ts"
import type { Graph, Weight } from "./graph.ts"

/** How a prompt is put to one model. */
export interface PromptForm {
  /** The model, for errors. */
  readonly model: string
  readonly template: string | undefined
  readonly prefix: string | undefined
}

/** A model run before its model is open. */
export interface ResolvedSource {
  readonly ref: ModelRef
  readonly form: PromptForm
}

/** A term before its models are open. */
export interface ResolvedTerm {
  readonly name: string
  readonly definition: RewardDefinition
  readonly options: unknown
  readonly weight: Weight
  readonly sources: Readonly<Record<string, ResolvedSource>>
  /** Models that the reward reads texts with by itself. */
  readonly models: Readonly<Record<string, ResolvedSource>>
}

/** A strategy before its models are open. */
export interface ResolvedStrategy {
  readonly definition: StrategyDefinition
  readonly options: unknown
  readonly sources: Readonly<Record<string, ResolvedSource>>
}

/** The rewards of a graph, in its order. */
export function resolveTerms(graph: Graph, plugins: Plugins): ResolvedTerm[] {
  return Object.entries(graph.rewards).map(([name, term]) => {
    const plugin = definitionOf(plugins, "reward", term.reward)
    const { options } = term.reward
    const resolved = (declare: RewardDefinition["sources"]) =>
      mapValues(
        guard(plugin.name, () => declare?.(options), name) ?? {},
        (source) => resolveSource(source, graph.base, name, term.template),
      )
    return {
      name,
      definition: plugin,
      options,
      weight: term.weight,
      sources: resolved(plugin.sources),
      models: resolved(plugin.models),
    }
  })
}

/** The strategy of a graph, where it has one. */
export function resolveStrategy(graph: Graph, plugins: Plugins): ResolvedStrategy | undefined {
  if (graph.strategy === undefined) return undefined
  const plugin = definitionOf(plugins, "strategy", graph.strategy)
  const { options } = graph.strategy
  const declared = guard(plugin.name, () => plugin.sources?.(options)) ?? {}
  return {
    definition: plugin,
    options,
    sources: mapValues(declared, (source) => resolveSource(source, graph.base, plugin.name)),
  }
}

/** `name` is the reward or strategy that asks for the model, for errors. */
function resolveSource(
  source: RewardSource,
  base: ModelRef,
  name: string,
  termTemplate?: string,
): ResolvedSource {
  const template = source.template ?? termTemplate ?? base.template
  return { ref: refOf(source, base), form: { model: name, template, prefix: source.prefix } }
}

/**
 * The model of a source: the base where it names none, and as the base holds it where it is the same.
 * The base's adapter goes with the base, not with its weights: a source that names the model gets it
 * without.
 */
function refOf(source: RewardSource, base: ModelRef): ModelRef {
  const { model = base.model, revision, weights, adapter } = source
  const { adapter: adapterOfBase, ...baseWeights } = base
  const inherited = model === base.model && revision === undefined ? baseWeights : { model }
  const isBase = source.model === undefined && revision === undefined
  const chosen = adapter ?? (isBase ? adapterOfBase : undefined)
  return {
    ...inherited,
    ...revision !== undefined && { revision },
    ...weights !== undefined && { weights },
    ...chosen !== undefined && { adapter: chosen },
  }
}

/** What makes two references the same loaded weights. */
export function weightsKey({ model, revision, weights = "f32" }: ModelRef): string {
  return JSON.stringify([model, revision, weights])
}

/** What makes two references the same model. */
export function modelKey(ref: ModelRef): string {
  return JSON.stringify([weightsKey(ref), ref.adapter])
}

/** All weights of a graph in order, with the adapters that are to run beside them. */
export function adaptersByWeights(refs: readonly ModelRef[]): Map<string, string[]> {
  const adapters = new Map<string, string[]>()
  for (const ref of refs) {
    const key = weightsKey(ref)
    const beside = adapters.get(key) ?? []
    adapters.set(key, beside)
    if (ref.adapter !== undefined) beside.push(ref.adapter)
  }
  return adapters
}
