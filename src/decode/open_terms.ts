/** The rewards of one text: their states and weights, what they read, and where their scores lie. */
import type { Weight } from "../graph/graph.ts"
import { TokenWorkspace } from "../math/token_workspace.ts"
import { closeAll, closeQuietly } from "../plugin/close_all.ts"
import { guard } from "../plugin/guard.ts"
import { mapValues } from "../plugin/map_values.ts"
import type { RewardState, SequenceInfo } from "../plugin/reward.ts"
import type { ScheduleState } from "../plugin/schedule.ts"
import { checkGrain } from "./candidates.ts"
import type { Keeper } from "./kept_state.ts"
import type { ModelRun } from "./model_runs.ts"
import type { OpenGraph, OpenTerm } from "./open_graph.ts"
import { type OpenWeight, openWeight } from "./open_weight.ts"
import { encodePrompt } from "./prompt.ts"
import { TextReader } from "./text_reader.ts"
import type { Prompt } from "./types.ts"
import { readsIdsOf } from "./vocabulary.ts"

/** A reward at work. */
export interface Term extends Keeper<RewardState> {
  readonly name: string
  readonly weight: OpenWeight
  readonly runs: Readonly<Record<string, ModelRun>>
  /** Filled anew each step: views of the runs' rows, as long as the shared vocabulary. */
  readonly rows: Record<string, Float32Array>
  /** `[shared vocabulary]` */
  readonly scores: Float32Array
  readonly missing: readonly number[]
  /** Models that the reward reads texts with by itself. */
  readonly readers: Readonly<Record<string, TextReader>>
}

/** Terms, and where their scores lie. */
export interface OpenTerms {
  readonly terms: readonly Term[]
  readonly workspace: TokenWorkspace
}

/** What terms are opened from: anew, or as copies. */
export interface TermParts {
  readonly promptIds: readonly number[]
  readonly weights: Readonly<Record<string, Weight>>
  readonly runsOf: (term: OpenTerm, index: number) => Readonly<Record<string, ModelRun>>
  readonly readersOf: (term: OpenTerm, index: number) => Readonly<Record<string, TextReader>>
  /** A state that is there already; the reward opens one where there is none. */
  readonly stateOf: (
    index: number,
    readers: Readonly<Record<string, TextReader>>,
  ) => RewardState | undefined
  readonly scheduleOf: (index: number) => ScheduleState | undefined
}

/** Opens the rewards of a text, or none of them. */
export function openTerms(graph: OpenGraph, parts: TermParts): OpenTerms {
  const { engine } = graph.base.model
  const opened: Term[] = []
  const workspace = TokenWorkspace.acquire(engine.vocabularySize, graph.terms.length)
  const undo: (() => void)[] = [() => workspace.release(), () => closeTerms(opened)]
  try {
    graph.terms.forEach((term, i) => {
      const readers = parts.readersOf(term, i)
      undo.push(() => closeAll(Object.values(readers).map((reader) => () => reader.close())))
      const scores = workspace.rows[i].subarray(0, term.shared.size)
      opened.push(openTerm(graph, parts, i, { scores, readers }))
      checkGrain(opened[i])
    })
    return { terms: opened, workspace }
  } catch (error) {
    closeQuietly(...undo)
    throw error
  }
}

/** The readers of a reward's own models; nothing is computed yet. */
export function openReaders(
  { base, prefixes }: OpenGraph,
  { name, definition, models }: OpenTerm,
  prompt: Prompt,
  promptIds: readonly number[],
): Record<string, TextReader> {
  return mapValues(models, (source) => {
    const { model, form } = source
    // Ids are the base's: a model with another tokenizer is given their text.
    const isForeign = Array.isArray(prompt) && typeof prompt[0] === "number" &&
      !readsIdsOf(base.model, model)
    const ids = encodePrompt(
      model.tokenizer,
      form,
      isForeign ? base.model.tokenizer.decode(promptIds) : prompt,
    )
    return new TextReader({
      source,
      promptIds: ids,
      prefixes,
      reward: name,
      plugin: definition.name,
    })
  })
}

function openTerm(
  graph: OpenGraph,
  { promptIds, weights, runsOf, stateOf, scheduleOf }: TermParts,
  index: number,
  { scores, readers }: Pick<Term, "scores" | "readers">,
): Term {
  const term = graph.terms[index]
  const { name, definition, options, shared } = term
  const plugin = definition.name
  const { tokenizer, eos } = graph.base.model
  // Not every name of a reward is absent from an empty object: "constructor" is not.
  const given = Object.hasOwn(weights, name) ? weights[name] : term.weight
  const info: SequenceInfo = {
    vocabularySize: shared.size,
    promptIds,
    eos,
    token: (id) => tokenizer.token(id),
    decode: (ids) => tokenizer.decode(ids),
    encode: (text) => tokenizer.encodeContinuation(text),
  }
  const weight = openWeight(graph, given, { term: name, info, state: scheduleOf(index) })
  const state = stateOf(index, readers) ??
    guard(plugin, () => definition.open(options, info, readers), name)
  const role = `reward "${name}" (${plugin})`
  const { missing } = shared
  const runs = runsOf(term, index)
  return { name, plugin, role, term: name, state, weight, runs, rows: {}, scores, missing, readers }
}

/** Closes all of them, and then fails if one did. */
export function closeTerms(terms: readonly Term[]): void {
  closeAll(terms.flatMap(({ name, plugin, state, readers }) => [
    () => guard(plugin, () => state.close?.(), name),
    ...Object.values(readers).map((reader) => () => reader.close()),
  ]))
}
