/**
 * One text under way: a cache for each different model run, the state of each reward, and the step
 * that turns their rows into guided scores.
 *
 * `scores = log pi_base + sum_i w_i * reward_i` (GenARM, https://arxiv.org/abs/2410.08193)
 */
import { checkIds, type Engine, type EngineCache } from "../engine/engine.ts"
import { GenArmError, throwIfAborted } from "../errors.ts"
import type { Weight } from "../graph/graph.ts"
import { logSumExp } from "../math/log_sum_exp.ts"
import { mixInto } from "../math/mix.ts"
import type { RewardState } from "../plugin/reward.ts"
import { guard } from "./guard.ts"
import type { OpenGraph, OpenSource } from "./open_graph.ts"
import { encodePrompt } from "./prompt.ts"
import { type OpenWeight, openWeight, weightAt } from "./open_weight.ts"
import type { Prompt } from "./types.ts"

/** A model run: a prompt in the cache of one engine. Equal runs of several sources are one. */
interface ModelRun {
  readonly engine: Engine
  /** Whether the model has a token; what it lacks is left out of what it reads. */
  readonly has: (id: number) => boolean
  readonly cache: EngineCache
  /** Tokens the cache does not hold yet. */
  pending: readonly number[]
  /** `[vocabulary]` after the last token. */
  logProbs: Float32Array
}

/** A reward at work. */
interface Term {
  readonly name: string
  readonly plugin: string
  readonly state: RewardState
  readonly weight: OpenWeight
  readonly runs: Readonly<Record<string, ModelRun>>
  /** Filled anew each step: views of the runs' rows, as long as the shared vocabulary. */
  readonly rows: Record<string, Float32Array>
  /** `[shared vocabulary]` */
  readonly scores: Float32Array
  readonly missing: readonly number[]
}

/** Tokens of a prompt that run at once; between such pieces a request can be aborted. */
const prefillTokens = 512

/** One text under way. */
export class Sequence {
  /** `[vocabulary]`: the guided scores of the last `evaluate`, natural log, not normalised. */
  readonly scores: Float32Array
  /** In the order of the graph. */
  readonly terms: readonly Term[]
  /** The weights of the last `evaluate`, in the order of the terms. */
  readonly weights: Float64Array
  readonly promptIds: readonly number[]
  readonly #graph: OpenGraph
  readonly #runs: readonly ModelRun[]
  #position = 0
  #isClosed = false

  private constructor(
    graph: OpenGraph,
    promptIds: readonly number[],
    runs: readonly ModelRun[],
    terms: readonly Term[],
  ) {
    this.#graph = graph
    this.promptIds = promptIds
    this.#runs = runs
    this.terms = terms
    this.weights = new Float64Array(terms.length)
    this.scores = new Float32Array(graph.base.model.engine.vocabularySize)
  }

  /** Encodes the prompt for every model and opens the rewards; nothing is computed yet. */
  static open(
    graph: OpenGraph,
    prompt: Prompt,
    weights: Readonly<Record<string, Weight>> = {},
  ): Sequence {
    const runs = new Map<string, ModelRun>()
    const engines: Engine[] = []
    const runOf = ({ model, form }: OpenSource): ModelRun => {
      const ids = encodePrompt(model.tokenizer, form, prompt)
      if (!engines.includes(model.engine)) engines.push(model.engine)
      const key = `${engines.indexOf(model.engine)}:${ids}`
      const known = runs.get(key)
      if (known !== undefined) return known
      checkIds(ids, model.engine.vocabularySize, form.model)
      checkLength(ids, model.engine, form.model)
      const run: ModelRun = {
        engine: model.engine,
        has: model === graph.base.model
          ? () => true
          : (id) => model.tokenizer.token(id) !== undefined,
        cache: model.engine.openCache(),
        pending: ids,
        logProbs: new Float32Array(0),
      }
      runs.set(key, run)
      return run
    }
    const opened: Term[] = []
    try {
      const base = runOf(graph.base)
      const promptIds = base.pending
      for (const term of graph.terms) {
        const termRuns = Object.fromEntries(
          Object.entries(term.sources).map(([name, source]) => [name, runOf(source)]),
        )
        const { tokenizer } = graph.base.model
        const plugin = term.definition.name
        // Not every name of a reward is absent from an empty object: "constructor" is not.
        const given = Object.hasOwn(weights, term.name) ? weights[term.name] : term.weight
        const weight = openWeight(graph, given, term.name)
        const state = guard(plugin, () =>
          term.definition.open(term.options, {
            vocabularySize: term.shared.size,
            promptIds,
            token: (id) => tokenizer.token(id),
            decode: (ids) => tokenizer.decode(ids),
            encode: (text) => tokenizer.encodeContinuation(text),
          }), term.name)
        opened.push({
          name: term.name,
          plugin,
          state,
          weight,
          runs: termRuns,
          rows: {},
          scores: new Float32Array(term.shared.size),
          missing: term.shared.missing,
        })
      }
      return new Sequence(graph, promptIds, [...runs.values()], opened)
    } catch (error) {
      for (const { cache } of runs.values()) cache.close()
      closeRewards(opened)
      throw error
    }
  }

  /** Tokens that can still be written before a model's context is full. */
  get room(): number {
    return this.#runs.reduce(
      (least, { engine, cache, pending }) =>
        Math.min(least, engine.contextLength - cache.length - pending.length + 1),
      Infinity,
    )
  }

  /** Tokens written. */
  get position(): number {
    return this.#position
  }

  /** Runs all models up to the last token. */
  async forward(signal?: AbortSignal): Promise<void> {
    while (this.#runs.some(({ pending }) => pending.length > 0)) {
      throwIfAborted(signal)
      await this.#forwardOnce("last", prefillTokens)
    }
    throwIfAborted(signal)
  }

  /**
   * Runs all models over tokens that are given, and gives what makes the distribution before each
   * of them current. The text must have been run up to its last token.
   */
  async forwardAll(tokens: readonly number[]): Promise<(index: number) => void> {
    const before = this.#runs.map(({ logProbs }) => logProbs)
    for (const run of this.#runs) run.pending = tokens.filter(run.has)
    await this.#forwardOnce("all", tokens.length)
    const after = this.#runs.map(({ logProbs }) => logProbs)
    return (index) => {
      const read = tokens.slice(0, index)
      this.#runs.forEach((run, i) => {
        const size = run.engine.vocabularySize
        const rows = read.filter(run.has).length
        run.logProbs = rows === 0 ? before[i] : after[i].subarray((rows - 1) * size, rows * size)
      })
    }
  }

  /** Mixes the rows of the last token into `scores`, with the weights of this step. */
  evaluate(maxTokens: number): void {
    const step = { position: this.#position, maxTokens }
    const { terms, weights, scores } = this
    const base = this.#runs[0].logProbs
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i]
      weights[i] = weightAt(term, step)
      for (const name in term.runs) {
        term.rows[name] = term.runs[name].logProbs.subarray(0, term.scores.length)
      }
      guard(term.plugin, () => term.state.score(term.rows, term.scores), term.name)
      for (const id of term.missing) term.scores[id] = -Infinity
    }
    mixInto(base, terms.map((term) => term.scores), weights, scores)
    for (const id of this.#graph.unnamed) scores[id] = -Infinity
  }

  /** The log of the sum of exp(scores); fails when no id is left, or a reward gave NaN. */
  normalize(): number {
    const normalizer = logSumExp(this.scores)
    if (Number.isFinite(normalizer)) return normalizer
    throw this.brokenScores()
  }

  /** Fails when a score is no number: what `normalize` finds too, for those who need no sum. */
  checkNumbers(): void {
    const { scores } = this
    for (let id = 0; id < scores.length; id++) {
      if (!(scores[id] < Infinity)) throw this.brokenScores()
    }
  }

  /** What is wrong with scores that cannot be sampled from. */
  brokenScores(): GenArmError {
    const { terms, weights, scores } = this
    for (let i = 0; i < terms.length; i++) {
      const id = weights[i] === 0 ? -1 : terms[i].scores.findIndex(isNoScore)
      if (id < 0) continue
      const { name, scores: given } = terms[i]
      return new GenArmError(
        { _tag: "NonFiniteScores", term: name },
        `the reward "${name}" gave ${given[id]} for id ${id}: expected a number, or -Infinity to ` +
          "rule a token out",
      )
    }
    return new GenArmError(
      { _tag: "NonFiniteScores", term: "base" },
      scores.some(isNoScore)
        ? `the weighted sum overflows float32 with the weights ${
          weights.join(", ")
        }: make them smaller`
        : "no token is left to choose: the rewards in force rule out every token",
    )
  }

  /** The base's log-probability of an id. */
  baseLogProb(id: number): number {
    return this.#runs[0].logProbs[id]
  }

  /**
   * The guided log-probability of an id. Where no reward is in force it is the base's, exactly.
   */
  guidedLogProb(id: number, normalizer: number): number {
    return this.weights.every((weight) => weight === 0)
      ? this.baseLogProb(id)
      : this.scores[id] - normalizer
  }

  /** Each reward's score of an id, before its weight. */
  rewardsOf(id: number): Record<string, number> {
    const rewards: Record<string, number> = {}
    for (const { name, scores } of this.terms) {
      rewards[name] = id < scores.length ? scores[id] : -Infinity
    }
    return rewards
  }

  /** The weights in force, by name. */
  namedWeights(): Record<string, number> {
    const named: Record<string, number> = {}
    for (let i = 0; i < this.terms.length; i++) named[this.terms[i].name] = this.weights[i]
    return named
  }

  /** Appends a token to the text; the models run it at the next `forward`. */
  accept(id: number): void {
    for (const run of this.#runs) run.pending = run.has(id) ? [id] : []
    this.advance(id)
  }

  /** Tells the rewards of a token that the models have run already. */
  advance(id: number): void {
    this.#position++
    for (const { name, plugin, state } of this.terms) {
      if (state.accept !== undefined) guard(plugin, () => state.accept!(id), name)
    }
  }

  /** Frees the caches. Idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { cache } of this.#runs) cache.close()
    closeRewards(this.terms)
  }

  async #forwardOnce(want: "last" | "all", most: number): Promise<void> {
    const groups = new Map<Engine, ModelRun[]>()
    for (const run of this.#runs) {
      if (run.pending.length === 0) continue
      const group = groups.get(run.engine)
      if (group === undefined) groups.set(run.engine, [run])
      else group.push(run)
    }
    // The base's engine blocks this thread while it runs: others must have been asked before.
    const inOrder = [...groups].reverse()
    await Promise.all(inOrder.map(async ([engine, runs]) => {
      const rows = runs.map(({ cache, pending }) => ({
        cache,
        tokens: pending.length > most ? pending.slice(0, most) : pending,
        want,
      }))
      const results = await engine.forward(rows)
      runs.forEach((run, i) => {
        run.logProbs = results[i]
        run.pending = run.pending.slice(rows[i].tokens.length)
      })
    }))
  }
}

/** Ends a sequence whose request fails anyway: what a reward throws at its end adds nothing. */
export function closeQuietly(sequence: Sequence): void {
  try {
    sequence.close()
  } catch {
    // The request fails with the reason for which it ends.
  }
}

/** NaN, or an infinity that only broken arithmetic gives. */
function isNoScore(score: number): boolean {
  return Number.isNaN(score) || score === Infinity
}

/** Closes all of them, and then fails if one did. */
function closeRewards(terms: readonly Term[]): void {
  const errors: unknown[] = []
  for (const { name, plugin, state } of terms) {
    try {
      guard(plugin, () => state.close?.(), name)
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

function checkLength(ids: readonly number[], engine: Engine, model: string): void {
  if (ids.length <= engine.contextLength) return
  throw new GenArmError(
    { _tag: "InvalidPrompt" },
    `the prompt is ${ids.length} tokens long for ${model}, and its context holds ` +
      `${engine.contextLength}: shorten it`,
  )
}
