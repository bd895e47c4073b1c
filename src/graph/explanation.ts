/** What a graph will run, as data. */
import type { ModelRef } from "../files/model_ref.ts"
import { mapValues } from "../plugin/map_values.ts"
import { printCall, printNumber, printPlugin } from "./formula_terms.ts"
import { formula, type Graph } from "./graph.ts"
import {
  modelKey,
  type ResolvedSource,
  type ResolvedStrategy,
  type ResolvedTerm,
  weightsKey,
} from "./resolve_graph.ts"

/** One row of an engine: a prompt that it reads, and each token after it. */
export interface ExplainedRow {
  /** The adapter that the row runs with. */
  readonly adapter?: string
  /** How the prompt is put to it: see `ModelRef.template`. */
  readonly template?: string
  /** Text before the prompt. */
  readonly prefix?: string
  /** Who reads it: `base`, a reward with its source (`mood.expert`), the strategy (`speculative.draft`). */
  readonly readBy: readonly string[]
  /** Whether each step needs it; one that only the strategy reads is run as that decides. */
  readonly isInEveryStep: boolean
  /** A reward reads candidates with it, so that a step runs several of them, side by side. */
  readonly readsCandidates?: true
}

/** Weights that are loaded once, with all that is run on them. */
export interface ExplainedEngine {
  /** The model as the graph names it. */
  readonly model: string
  /** A branch, tag or commit of a hub model. */
  readonly revision?: string
  /** How the weights are held. */
  readonly weights: "f32" | "q8" | "q4"
  /** Where the model is, if it is on this machine as a folder. */
  readonly folder?: string
  /** Bytes of the files of its weights and adapters, where they are there. */
  readonly fileBytes?: number
  /** How many weights it has, without adapters, where its configuration tells. */
  readonly parameters?: number
  /** What it computes with: the runtime, in the program's own thread or in a worker beside it. */
  readonly runsIn: "main thread" | "worker"
  /** CPU threads that it gets. */
  readonly threads?: number
  /** What a step of all its rows costs, in steps of the base alone; an estimate from sizes. */
  readonly cost?: number
  /** What it reads. */
  readonly rows: readonly ExplainedRow[]
}

/** A reward in force. */
export interface ExplainedTerm {
  /** Its name in the graph. */
  readonly name: string
  /** A number, or a schedule. */
  readonly weight: string
  /** The plugin with its options. */
  readonly reward: string
  /** The engines and rows that it reads, by source, counted from 1: `{ expert: "1.2" }`. */
  readonly rows: Readonly<Record<string, string>>
}

/** What a graph will run; `String` gives it as a text. */
export interface Explanation {
  /** As `String(graph)` has it. */
  readonly formula: string
  /** `cpu`, `webgpu` or `cuda`. */
  readonly runtime: string
  /** Loaded weights, the base's first. */
  readonly engines: readonly ExplainedEngine[]
  /** Rows in each step of one text. */
  readonly rowsPerStep: number
  /**
   * What a step costs, in steps of the base alone: an estimate, where sizes are known and no candidates
   * are read.
   */
  readonly cost?: number
  /** The rewards, in the order of the formula. */
  readonly terms: readonly ExplainedTerm[]
  /** The sampler with its options. */
  readonly sampler: string
  /** How a text is put together. */
  readonly strategy: string
}

/** What is known before files are looked at. */
export type Plan =
  & Omit<Explanation, "engines" | "runtime" | "cost">
  & { readonly engines: readonly PlannedEngine[] }

/** An engine with the references it is opened by. */
export interface PlannedEngine {
  readonly ref: ModelRef
  readonly adapters: readonly string[]
  readonly rows: readonly ExplainedRow[]
}

/** What a graph asks for, each run of a model once. */
export function planGraph(
  graph: Graph,
  terms: readonly ResolvedTerm[],
  strategy: ResolvedStrategy | undefined,
): Plan {
  const engines = new Map<string, { ref: ModelRef; rows: Map<string, MutableRow> }>()
  const read = (
    { ref, form }: ResolvedSource,
    readBy: string,
    { isInEveryStep = false, readsCandidates = false },
  ): string => {
    const key = weightsKey(ref)
    const engine = engines.get(key) ?? { ref, rows: new Map() }
    engines.set(key, engine)
    const { template = null, prefix = null } = form
    const rowKey = JSON.stringify([modelKey(ref), template, prefix, readsCandidates])
    const row = engine.rows.get(rowKey) ?? {
      ...ref.adapter !== undefined && { adapter: ref.adapter },
      ...form.template !== undefined && { template: form.template },
      ...form.prefix !== undefined && { prefix: form.prefix },
      readBy: [],
      isInEveryStep: false,
      ...readsCandidates && { readsCandidates },
    }
    engine.rows.set(rowKey, row)
    row.readBy.push(readBy)
    row.isInEveryStep ||= isInEveryStep
    return `${[...engines.keys()].indexOf(key) + 1}.${[...engine.rows.keys()].indexOf(rowKey) + 1}`
  }
  const form = { model: "base", template: graph.base.template, prefix: undefined }
  read({ ref: graph.base, form }, "base", { isInEveryStep: true })
  const explained = terms.map(({ name, sources, models }): ExplainedTerm => {
    const { weight, reward } = graph.rewards[name]
    const readAll = (asked: typeof sources, readsCandidates: boolean) =>
      mapValues(
        asked,
        (resolved, source) =>
          read(resolved, `${name}.${source}`, { isInEveryStep: true, readsCandidates }),
      )
    const rows = { ...readAll(sources, false), ...readAll(models, true) }
    return {
      name,
      weight: typeof weight === "number"
        ? printNumber(weight)
        : printCall(weight.plugin, weight.options),
      reward: printPlugin(reward),
      rows,
    }
  })
  for (const [source, resolved] of Object.entries(strategy?.sources ?? {})) {
    read(resolved, `${strategy!.definition.name}.${source}`, {})
  }
  const planned = [...engines.values()].map(({ ref, rows }): PlannedEngine => {
    const list = [...rows.values()]
    const adapters = list.flatMap(({ adapter }) => adapter === undefined ? [] : [adapter])
    return { ref, adapters: [...new Set(adapters)], rows: list }
  })
  return {
    formula: formula(graph),
    engines: planned,
    rowsPerStep: planned.flatMap(({ rows }) => rows).filter((row) => row.isInEveryStep).length,
    terms: explained,
    sampler: printPlugin(graph.sampler),
    strategy: graph.strategy === undefined ? "token after token" : printPlugin(graph.strategy),
  }
}

/** A row to which readers are added. */
interface MutableRow extends Omit<ExplainedRow, "readBy" | "isInEveryStep"> {
  readonly readBy: string[]
  isInEveryStep: boolean
}
