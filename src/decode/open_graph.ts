/** Opening what a graph names: its models once each, and what its terms share with the base. */
import { type Context, Effect, type Scope } from "effect"
import { GenArmError } from "../errors.ts"
import type { ModelRef } from "../files/model_ref.ts"
import { TokenWorkspace } from "../math/token_workspace.ts"
import type { OnProgress } from "../files/progress.ts"
import type { Graph, Weight } from "../graph/graph.ts"
import {
  adaptersByWeights,
  modelKey,
  type PromptForm,
  type ResolvedSource,
  resolveStrategy,
  resolveTerms,
  weightsKey,
} from "../graph/resolve_graph.ts"
import { mapValues } from "../plugin/map_values.ts"
import { definitionOf, type Plugins, Registry } from "../plugin/registry.ts"
import type { RewardDefinition } from "../plugin/reward.ts"
import type { SamplerDefinition } from "../plugin/sampler.ts"
import type { StrategyDefinition } from "../plugin/strategy.ts"
import { type Companion, type OpenModel, Runtime } from "../runtime/runtime.ts"
import { PrefixCache } from "./prefix_cache.ts"
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
  /** Models that the reward reads texts with by itself. */
  readonly models: Readonly<Record<string, OpenSource>>
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
  /** What effects of its plugins may use. */
  readonly services: Context.Context<never>
}

/** Opens a graph in the scope of the caller. */
export const openGraph: (
  graph: Graph,
  options?: { readonly threads?: number; readonly onProgress?: OnProgress },
) => Effect.Effect<OpenGraph, GenArmError, Runtime | Scope.Scope> = Effect.fn("genarm.openGraph")(
  function* (graph, options = {}) {
    const plugins = yield* Registry
    const runtime = yield* Runtime
    const services = yield* Effect.context<never>()
    const terms = yield* attempt(() => resolveTerms(graph, plugins))
    const sampler = yield* attempt(() => definitionOf(plugins, "sampler", graph.sampler))
    const resolved = yield* attempt(() => resolveStrategy(graph, plugins))

    const refs = new Map<string, ModelRef>([[modelKey(graph.base), graph.base]])
    const asked = [...terms.flatMap(({ sources, models }) => [sources, models]), resolved?.sources]
    for (const { ref } of asked.flatMap((sources = {}) => Object.values(sources))) {
      refs.set(modelKey(ref), ref)
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

    const opened = ({ ref, form }: ResolvedSource): OpenSource => ({
      model: models.get(modelKey(ref))!,
      form,
    })
    const writing = (source: ResolvedSource): OpenSource => {
      checkWrites(source, opened(source).model)
      return opened(source)
    }
    const base = yield* attempt(() =>
      writing({
        ref: graph.base,
        form: { model: "base", template: graph.base.template, prefix: undefined },
      })
    )
    const openTerms = yield* attempt(() =>
      terms.map((term): OpenTerm => {
        const sources = mapValues(term.sources, writing)
        const used = Object.values(sources).map(({ model }) => model)
        return {
          ...term,
          sources,
          models: mapValues(term.models, opened),
          shared: shareVocabulary(base.model, used, term.name),
        }
      })
    )
    const strategy = yield* attempt((): OpenStrategy | undefined =>
      resolved && {
        ...resolved,
        sources: mapValues(resolved.sources, (resolvedSource) => {
          const source = writing(resolvedSource)
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
    return {
      ...{ graph, plugins, base, terms: openTerms, sampler, strategy },
      ...{ prefixes, unnamed, services },
    }
  },
)

/** A runtime that knows no adapters must not run the model without. */
function checkAdapted({ model, adapter }: ModelRef, opened: OpenModel, runtime: string): void {
  if (adapter === undefined || opened.adapter !== undefined) return
  throw new GenArmError(
    { _tag: "UnsupportedModel", model },
    `the runtime ${runtime} opened ${model} without the adapter "${adapter}": it has to support ` +
      "adapters, or the graph to name a model with the adapter merged in",
  )
}

/** What gives values of labels cannot stand where probabilities of tokens are needed. */
function checkWrites({ ref: { model }, form }: ResolvedSource, { labels }: OpenModel): void {
  if (labels === undefined) return
  const names = labels.join(", ")
  const needed = form.model === "base" ? "as the base" : `for "${form.model}"`
  throw new GenArmError(
    { _tag: "UnsupportedModel", model },
    `${model} has a value head (${names}): expected a language model ${needed}; a reward model scores ` +
      "what a language model writes, as valueHead({ model }) among the rewards",
  )
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
