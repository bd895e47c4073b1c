/**
 * One text under way: its model runs, the state of each reward, and the step that turns their rows
 * into guided scores.
 *
 * `scores = log pi_base + sum_i w_i * reward_i` (GenARM, https://arxiv.org/abs/2410.08193)
 */
import { closed } from "../engine/engine.ts"
import { GenArmError } from "../errors.ts"
import type { Weight } from "../graph/graph.ts"
import { areBelowInfinity } from "../math/are_below_infinity.ts"
import { logSumExp } from "../math/log_sum_exp.ts"
import { mixInto } from "../math/mix.ts"
import type { TokenWorkspace } from "../math/token_workspace.ts"
import { guard, guardAsync } from "../plugin/guard.ts"
import { mapValues } from "../plugin/map_values.ts"
import type { ScheduleStep } from "../plugin/schedule.ts"
import { CandidateList, scoreCandidates } from "./candidates.ts"
import { acceptToken, checkRewinds, forkState, type Keeper, rewindState } from "./kept_state.ts"
import { type ModelRun, ModelRuns } from "./model_runs.ts"
import type { OpenGraph } from "./open_graph.ts"
import {
  closeTerms,
  openReaders,
  type OpenTerms,
  openTerms,
  type Term,
  type TermParts,
} from "./open_terms.ts"
import { weightAt } from "./open_weight.ts"
import { textAfter } from "./text_after.ts"
import { topIds } from "./top_ids.ts"
import type { Prompt } from "./types.ts"
import { Waits } from "./waits.ts"

/** One text under way. */
export class Sequence {
  /** `[vocabulary]`: the guided scores of the last `evaluate`, natural log, not normalised. */
  readonly scores: Float32Array
  /** In the order of the graph. */
  readonly terms: readonly Term[]
  /** The weights of the last `evaluate`, in the order of the terms. */
  readonly weights: Float64Array
  /** What the models have read, and what they expect next. */
  readonly runs: ModelRuns
  readonly promptIds: readonly number[]
  /** The runs that scores are made of. */
  readonly needed: readonly ModelRun[]
  /** What hears of the tokens: rewards and schedules. */
  readonly #keepers: readonly Keeper[]
  readonly #graph: OpenGraph
  readonly #workspace: TokenWorkspace
  /** The scores of each term. */
  readonly #rows: readonly Float32Array[]
  readonly #given: Readonly<Record<string, Weight>>
  /** What rewards have promised. */
  readonly #waits: Waits
  #position = 0
  #isClosed = false

  private constructor(
    graph: OpenGraph,
    runs: ModelRuns,
    { promptIds, weights }: TermParts,
    { terms, workspace }: OpenTerms,
  ) {
    this.#graph = graph
    this.#waits = new Waits(graph.services)
    this.#workspace = workspace
    this.#rows = terms.map(({ scores }) => scores)
    this.#given = weights
    this.promptIds = promptIds
    this.runs = runs
    this.terms = terms
    this.#keepers = terms.flatMap((term) =>
      typeof term.weight === "number" ? [term] : [term, term.weight]
    )
    this.needed = [...new Set([runs.base, ...terms.flatMap((term) => Object.values(term.runs))])]
    this.weights = new Float64Array(terms.length)
    this.scores = workspace.scores
  }

  static #with(graph: OpenGraph, runs: ModelRuns, parts: TermParts): Sequence {
    try {
      return new Sequence(graph, runs, parts, openTerms(graph, parts))
    } catch (error) {
      runs.close(false)
      throw error
    }
  }

  /** Encodes the prompt for every model and opens the rewards; nothing is computed yet. */
  static open(
    graph: OpenGraph,
    prompt: Prompt,
    weights: Readonly<Record<string, Weight>> = {},
  ): Sequence {
    const runs = new ModelRuns(graph, prompt)
    const promptIds = [...runs.base.ids]
    return Sequence.#with(graph, runs, {
      promptIds,
      weights,
      runsOf: ({ sources }) => mapValues(sources, (source) => runs.open(source)),
      readersOf: (term) => openReaders(graph, term, prompt, promptIds),
      stateOf: () => undefined,
      scheduleOf: () => undefined,
    })
  }

  /** A second sequence with the same tokens, and what became of each run in it. */
  fork(): { readonly sequence: Sequence; readonly runOf: (run: ModelRun) => ModelRun } {
    const { runs, copyOf } = this.runs.fork()
    const sequence = Sequence.#with(this.#graph, runs, {
      promptIds: this.promptIds,
      weights: this.#given,
      runsOf: (_, i) => mapValues(this.terms[i].runs, copyOf),
      readersOf: (_, i) => mapValues(this.terms[i].readers, (reader) => reader.fork()),
      stateOf: (i, readers) => forkState(this.terms[i], readers),
      scheduleOf: (i) => {
        const { weight } = this.terms[i]
        return typeof weight === "number" ? undefined : forkState(weight)
      },
    })
    sequence.#position = this.#position
    return { sequence, runOf: copyOf }
  }

  /** What a step costs, as far as it is known: the slowest engine's, as they run side by side. */
  get stepCost(): number {
    return this.needed.reduce((most, { stepCost = 0 }) => Math.max(most, stepCost), 0)
  }

  /** Tokens written. */
  get position(): number {
    return this.#position
  }

  /** Mixes what rows and candidates are worth into `scores`, with the weights of this step. */
  async evaluate(maxTokens: number): Promise<void> {
    const { terms, weights, scores } = this
    const { rows: [base], ids } = this.runs.base
    const step = { position: this.#position, maxTokens, base, lastId: ids[ids.length - 1] }
    this.#evaluateRows(step)
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i]
      if (term.state.scoreCandidates === undefined) continue
      // The likeliest without the reward that is asked.
      const best = topIds(scores, Math.min(term.state.candidates ?? 1, term.scores.length))
      const given = await this.#askAbout(term, best)
      term.scores.fill(-Infinity)
      best.forEach((id, i) => term.scores[id] = given[i])
      weights[i] = weightAt(term, { ...step, scores: term.scores })
      if (!Number.isFinite(Math.fround(weights[i]))) throw this.#overflow()
      if (weights[i] !== 0) {
        mixInto(scores, [term.scores], [weights[i]], scores)
      } else {
        // Nothing is ruled out: of others it is not known what the reward would give them.
        term.scores.fill(NaN)
        best.forEach((id, i) => term.scores[id] = given[i])
      }
    }
  }

  /** Asks rewards about a token that is none of the candidates, and that no weight ruled out. */
  async completeScores(id: number): Promise<void> {
    for (const term of this.terms) {
      if (term.state.scoreCandidates === undefined || !Number.isNaN(term.scores[id])) continue
      term.scores[id] = (await this.#askAbout(term, [id]))[0]
    }
  }

  async #askAbout(term: Term, ids: readonly number[]): Promise<ArrayLike<number>> {
    const { tokenizer } = this.#graph.base.model
    const candidates = new CandidateList(ids, {
      prompt: this.promptIds,
      written: this.runs.base.ids.slice(this.promptIds.length),
      decode: (ids) => tokenizer.decode(ids),
    })
    const given = await scoreCandidates(term, candidates, this.#waits)
    if (this.#isClosed) throw closed("this text")
    return given
  }

  /** The reward of the text so far, of terms that judge texts; none of the others. */
  async scoreText(term: Term): Promise<number | undefined> {
    const { state, plugin, name } = term
    if (state.scoreText === undefined) return undefined
    const ids = this.runs.base.ids.slice(this.promptIds.length)
    const { tokenizer } = this.#graph.base.model
    const text = textAfter(this.promptIds, ids, (ids) => tokenizer.decode(ids))
    const promiser = { plugin, term: name, limit: state.timeLimit }
    const ask = () => this.#waits.until(state.scoreText!({ ids, text }), promiser)
    const reward = await guardAsync(plugin, ask, name)
    if (Number.isFinite(reward)) return reward
    throw new GenArmError(
      { _tag: "NonFiniteScores", term: name },
      `the reward "${name}" gave ${reward} for a text: expected a finite number`,
    )
  }

  #evaluateRows(step: Omit<ScheduleStep, "scores">): void {
    const { terms, weights, scores } = this
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i]
      for (const name in term.runs) {
        term.rows[name] = term.runs[name].rows[0].subarray(0, term.scores.length)
      }
      // A text is judged as a whole, not its tokens; candidates are when the likeliest are known.
      if (term.state.score === undefined) term.scores.fill(0)
      else guard(term.plugin, () => term.state.score!(term.rows, term.scores), term.name)
      weights[i] = 0
      if (term.state.scoreCandidates !== undefined) continue
      for (const id of term.missing) term.scores[id] = -Infinity
      weights[i] = typeof term.weight === "number"
        ? term.weight
        : weightAt(term, { ...step, scores: term.scores })
    }
    for (const weight of weights) if (!Number.isFinite(Math.fround(weight))) throw this.#overflow()
    mixInto(step.base, this.#rows, weights, scores)
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
    if (!areBelowInfinity(this.scores)) throw this.brokenScores()
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
    if (scores.some(isNoScore)) return this.#overflow()
    return new GenArmError(
      { _tag: "NonFiniteScores", term: "base" },
      "no token is left to choose: the rewards in force rule out every token",
    )
  }

  #overflow(): GenArmError {
    return new GenArmError(
      { _tag: "NonFiniteScores", term: "base" },
      `the weighted sum overflows float32 with the weights ${
        this.weights.join(", ")
      }: make them smaller`,
    )
  }

  /** The base's log-probability of an id. */
  baseLogProb(id: number): number {
    return this.runs.base.rows[0][id]
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
    this.runs.accept(id)
    this.#position++
    for (const keeper of this.#keepers) acceptToken(keeper, id)
  }

  /** Forgets tokens at the end of the text; `removed` are all those, in order. */
  rewind(removed: readonly number[]): void {
    for (const keeper of this.#keepers) checkRewinds(keeper)
    this.runs.rewind(removed)
    this.#position -= removed.length
    for (const keeper of this.#keepers) rewindState(keeper, removed.length)
  }

  /**
   * Frees the caches. Idempotent.
   *
   * @param keep Whether later texts may go on from this one.
   */
  close(keep = false): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waits.end()
    this.runs.close(keep)
    this.#workspace.release()
    closeTerms(this.terms)
  }
}

/** NaN, or an infinity that only broken arithmetic gives. */
function isNoScore(score: number): boolean {
  return Number.isNaN(score) || score === Infinity
}
