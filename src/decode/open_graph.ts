/** Opening what a graph names: its models once each, and what its terms share with the base. */
import { Effect, type Scope } from "effect"
import { GenArmError } from "../errors.ts"
import type { ModelRef } from "../files/model_ref.ts"
import { TokenWorkspace } from "../math/token_workspace.ts"
import type { OnProgress } from "../files/progress.ts"
import type { Graph, Weight } from "../graph/graph.ts"
import { definitionOf, type Plugins, Registry } from "../plugin/registry.ts"
import type { RewardDefinition, RewardSource } from "../plugin/reward.ts"
import type { SamplerDefinition } from "../plugin/sampler.ts"
import type { StrategyDefinition } from "../plugin/strategy.ts"
import { type Companion, type OpenModel, Runtime } from "../runtime/runtime.ts"
import { guard } from "./guard.ts"
import { PrefixCache } from "./prefix_cache.ts"
import type { PromptForm } from "./prompt.ts"
import { type SharedVocabulary, shareVocabulary, unnamedIds } from "./vocabulary.ts"

/** A model run, ready to be given a prompt. */
export interface OpenSource {
  readonly model: OpenModel
  readonly form: PromptForm
}

/** A reward term with its models. */
export interface OpenTerm {
  readonly name: string
  readonly definition: RewardDefinition
  readonly options: unknown
  readonly weight: Weight
  readonly sources: Readonly<Record<string, OpenSource>>
  readonly shared: SharedVocabulary
}

/** A strategy with its models. */
export interface OpenStrategy {
  readonly definition: StrategyDefinition
  readonly options: unknown
  readonly sources: Readonly<Record<string, OpenSource & { readonly shared: SharedVocabulary }>>
}

/** A graph whose models are open. */
export interface OpenGraph {
  readonly graph: Graph
  readonly plugins: Plugins
  readonly base: OpenSource
  readonly terms: readonly OpenTerm[]
  readonly sampler: SamplerDefinition
  /** Plain decoding where absent. */
  readonly strategy: OpenStrategy | undefined
  /** Beginnings that its texts share. */
  readonly prefixes: PrefixCache
  /** Ids that must never be chosen. */
  readonly unnamed: readonly number[]
}

/** Opens a graph in the scope of the caller. */
export const openGraph: (
  graph: Graph,
  options?: { readonly threads?: number; readonly onProgress?: OnProgress },
) => Effect.Effect<OpenGraph, GenArmError, Runtime | Scope.Scope> = Effect.fn("genarm.openGraph")(
  function* (graph, options = {}) {
    const plugins = yield* Registry
    const runtime = yield* Runtime
    const terms = yield* attempt(() => resolveTerms(graph, plugins))
    const sampler = yield* attempt(() => definitionOf(plugins, "sampler", graph.sampler))
    const resolved = yield* attempt(() => resolveStrategy(graph, plugins))

    const refs = new Map<string, ModelRef>([[modelKey(graph.base), graph.base]])
    for (const { sources } of resolved === undefined ? terms : [...terms, resolved]) {
      for (const { ref } of Object.values(sources)) refs.set(modelKey(ref), ref)
    }
    const adapters = adaptersByWeights([...refs.values()])
    const [first] = adapters.keys()
    const companions = [...adapters].map(([key, beside]): Companion => {
      const sharing = [...refs.values()].filter((ref) => weightsKey(ref) === key)
      const hasPlainRow = sharing.some(({ adapter }) => adapter === undefined)
      return { ref: sharing[0], rows: beside.length + (hasPlainRow ? 1 : 0) }
    })
    const models = new Map<string, OpenModel>()
    for (const [key, ref] of refs) {
      const { threads, onProgress } = options
      const beside = adapters.get(weightsKey(ref))!
      const model = yield* runtime.open({
        ref,
        companions,
        beside: weightsKey(ref) !== first,
        ...beside.length > 0 && { adapters: beside },
        ...threads !== undefined && { threads },
        ...onProgress && { onProgress },
      })
      yield* attempt(() => checkAdapted(ref, model, runtime.name))
      models.set(key, model)
    }

    const base: OpenSource = {
      model: models.get(modelKey(graph.base))!,
      form: { model: "base", template: graph.base.template, prefix: undefined },
    }
    const opened = ({ ref, form }: ResolvedSource): OpenSource => ({
      model: models.get(modelKey(ref))!,
      form,
    })
    const openTerms = yield* attempt(() =>
      terms.map((term): OpenTerm => {
        const sources = mapValues(term.sources, opened)
        const used = Object.values(sources).map(({ model }) => model)
        return { ...term, sources, shared: shareVocabulary(base.model, used, term.name) }
      })
    )
    const strategy = yield* attempt((): OpenStrategy | undefined =>
      resolved && {
        ...resolved,
        sources: mapValues(resolved.sources, (resolvedSource) => {
          const source = opened(resolvedSource)
          const shared = shareVocabulary(base.model, [source.model], resolved.definition.name)
          return { ...source, shared }
        }),
      }
    )
    const unnamed = unnamedIds(base.model)
    // The first use compiles the kernels, which no first token should wait for.
    TokenWorkspace.acquire(base.model.engine.vocabularySize, terms.length).release()
    const prefixes = yield* Effect.acquireRelease(
      Effect.sync(() => new PrefixCache()),
      (prefixes) => Effect.sync(() => prefixes.close()),
    )
    return { graph, plugins, base, terms: openTerms, sampler, strategy, prefixes, unnamed }
  },
)

/** A model run before its model is open. */
interface ResolvedSource {
  readonly ref: ModelRef
  readonly form: PromptForm
}

/** A term before its models are open. */
interface ResolvedTerm extends Omit<OpenTerm, "sources" | "shared"> {
  readonly sources: Readonly<Record<string, ResolvedSource>>
}

/** A strategy before its models are open. */
interface ResolvedStrategy extends Omit<OpenStrategy, "sources"> {
  readonly sources: Readonly<Record<string, ResolvedSource>>
}

function resolveTerms(graph: Graph, plugins: Plugins): ResolvedTerm[] {
  return Object.entries(graph.rewards).map(([name, term]) => {
    const plugin = definitionOf(plugins, "reward", term.reward)
    const declared = guard(plugin.name, () => plugin.sources?.(term.reward.options), name) ?? {}
    return {
      name,
      definition: plugin,
      options: term.reward.options,
      weight: term.weight,
      sources: mapValues(
        declared,
        (source) => resolveSource(source, graph.base, name, term.template),
      ),
    }
  })
}

function resolveStrategy(graph: Graph, plugins: Plugins): ResolvedStrategy | undefined {
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
function weightsKey({ model, revision, weights = "f32" }: ModelRef): string {
  return JSON.stringify([model, revision, weights])
}

/** What makes two references the same model. */
function modelKey(ref: ModelRef): string {
  return JSON.stringify([weightsKey(ref), ref.adapter])
}

/** All weights of a graph in order, with the adapters that are to run beside them. */
function adaptersByWeights(refs: readonly ModelRef[]): Map<string, string[]> {
  const adapters = new Map<string, string[]>()
  for (const ref of refs) {
    const key = weightsKey(ref)
    const beside = adapters.get(key) ?? []
    adapters.set(key, beside)
    if (ref.adapter !== undefined) beside.push(ref.adapter)
  }
  return adapters
}

/** A runtime that knows no adapters must not run the model without. */
function checkAdapted({ model, adapter }: ModelRef, opened: OpenModel, runtime: string): void {
  if (adapter === undefined || opened.adapter !== undefined) return
  throw new GenArmError(
    { _tag: "UnsupportedModel", model },
    `the runtime ${runtime} opened ${model} without the adapter "${adapter}": it has to support ` +
      "adapters, or the graph to name a model with the adapter merged in",
  )
}

function mapValues<A, B>(
  record: Readonly<Record<string, A>>,
  map: (value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
}

/** Plain code whose only errors are `GenArmError`. */
function attempt<A>(run: () => A): Effect.Effect<A, GenArmError> {
  return Effect.try({
    try: run,
    catch: (error) => {
      if (error instanceof GenArmError) return error
      throw error
    },
  })
}
