/**
 * One guided text as strategies drive it: the sequence of its models, its sampler and random numbers,
 * and what is told of its tokens.
 */
import { GenArmError } from "../errors.ts"
import { randomStream } from "../math/random.ts"
import { closeAll, closeQuietly } from "../plugin/close_all.ts"
import { guard } from "../plugin/guard.ts"
import { mapValues } from "../plugin/map_values.ts"
import type { SamplerState } from "../plugin/sampler.ts"
import type { GuidedSequence, PreviewModels, SequenceModel } from "../plugin/strategy.ts"
import { acceptToken, checkRewinds, forkState, type Keeper, rewindState } from "./kept_state.ts"
import type { ModelRun } from "./model_runs.ts"
import type { OpenGraph } from "./open_graph.ts"
import type { Request } from "./request.ts"
import { RunView } from "./run_view.ts"
import { Sequence } from "./sequence.ts"
import { topTokens } from "./top_tokens.ts"
import type { Prompt, TokenEvent } from "./types.ts"
import { WrittenText } from "./written_text.ts"

/** What all sequences of one request share. */
interface Shared {
  readonly graph: OpenGraph
  readonly request: Request
  /** Throws when the request has been aborted, or the pipeline closed. */
  readonly checkCancelled: () => void
  /** Every sequence that has not been closed. */
  readonly open: Set<GuidedText>
}

/** What a text begins with. */
interface GuidedTextState {
  readonly seed: number
  /** Tokens that are yet to be told. */
  readonly events: readonly TokenEvent[]
  /** Each reward's total over the tokens before those. */
  readonly rewards: Readonly<Record<string, number>>
  /** The sampler's; it opens one where there is none. */
  readonly state: SamplerState | undefined
}

/** A text under way. */
export class GuidedText implements GuidedSequence {
  readonly vocabularySize: number
  readonly base: RunView
  readonly models: Readonly<Record<string, RunView>>
  readonly random: { nextUint32(): number; nextUniform(): number }
  readonly #shared: Shared
  readonly #sequence: Sequence
  readonly #sampler: SamplerState
  /** The sampler, as one that may keep state of the tokens. */
  readonly #keeper: Keeper<SamplerState>
  readonly #text: WrittenText
  /** Each reward's total over tokens that have been told. */
  readonly #settledRewards: Record<string, number>
  /** Told when the strategy says that they are final. */
  #events: TokenEvent[]
  /** The guided scores are those of the next token. */
  #isEvaluated = false
  /** The sampler's last question was about the guided scores. */
  #isSampled = false

  private constructor(
    shared: Shared,
    sequence: Sequence,
    models: Readonly<Record<string, RunView>>,
    text: WrittenText,
    { seed, events, state, rewards }: GuidedTextState,
  ) {
    const { sampler, graph: { sampler: { options } } } = shared.graph
    this.#shared = shared
    this.#sequence = sequence
    this.#text = text
    this.#events = [...events]
    this.#settledRewards = { ...rewards }
    this.vocabularySize = sequence.scores.length
    this.base = new RunView(sequence, sequence.runs.base)
    this.models = models
    this.random = randomStream(seed)
    const plugin = sampler.name
    const { vocabularySize, promptIds } = this
    this.#sampler = state ??
      guard(plugin, () => sampler.open(options, { vocabularySize, promptIds }))
    const role = `sampler "${plugin}"`
    this.#keeper = { plugin, role, term: undefined, state: this.#sampler }
    shared.open.add(this)
  }

  /** Opens the text of a request; nothing is computed yet. */
  static open(
    graph: OpenGraph,
    prompt: Prompt,
    request: Request,
    checkCancelled: () => void,
  ): GuidedText {
    const sequence = Sequence.open(graph, prompt, request.weights)
    try {
      // Before the strategy's own models: how much those can read ends no text.
      const limit = Math.min(request.maxTokens, sequence.runs.room)
      const models = mapValues(
        graph.strategy?.sources ?? {},
        (source) => new RunView(sequence, sequence.runs.open(source), source.shared),
      )
      const { tokenizer, eos } = graph.base.model
      const { promptIds } = sequence
      const text = new WrittenText({ tokenizer, promptIds, eos, stop: request.stop, limit })
      const shared = { graph, request, checkCancelled, open: new Set<GuidedText>() }
      const rewards = Object.fromEntries(graph.terms.map(({ name }) => [name, 0]))
      const fresh = { seed: request.seed, events: [], state: undefined, rewards }
      return new GuidedText(shared, sequence, models, text, fresh)
    } catch (error) {
      closeQuietly(() => sequence.close())
      throw error
    }
  }

  get promptIds(): readonly number[] {
    return this.#sequence.promptIds
  }

  get ids(): readonly number[] {
    return this.#text.ids
  }

  get ended(): GuidedSequence["ended"] {
    return this.#text.ended
  }

  get room(): number {
    return this.#text.limit - this.#text.ids.length
  }

  get weights(): Record<string, number> {
    return this.#sequence.namedWeights()
  }

  get weightSum(): number {
    return this.#sequence.weights.reduce((sum, weight) => sum + weight, 1)
  }

  async evaluate(): Promise<Float32Array> {
    const sequence = this.#sequence
    this.#checkOpen()
    if (!this.#isEvaluated) {
      this.#checkGoesOn()
      await this.#run(async () => {
        await sequence.runs.forward(sequence.needed)
        this.#shared.checkCancelled()
        await sequence.evaluate(this.#shared.request.maxTokens)
      })
      this.#isEvaluated = true
      this.#isSampled = false
    }
    return sequence.scores
  }

  probabilities(scores: Float32Array, out: Float32Array): void {
    const { name } = this.#shared.graph.sampler
    const { weightSum } = this
    const sampler = this.#sampler
    if (sampler.probabilities === undefined) {
      throw new GenArmError(
        { _tag: "PluginFailed", plugin: name },
        `the strategy asks for the probabilities of the sampler "${name}", which has no ` +
          "probabilities(step, out): give it one, or take another strategy",
      )
    }
    const isGuided = scores === this.#sequence.scores
    try {
      guard(name, () => sampler.probabilities!({ scores, weightSum }, out))
    } catch (error) {
      if (isGuided) this.#sequence.normalize() // names a reward that gave NaN, or ruled out all
      throw error
    }
    this.#isSampled = isGuided
  }

  async step(): Promise<number> {
    await this.evaluate()
    const id = this.#choose()
    await this.#run(() => this.#sequence.completeScores(id))
    this.#append(id, guard(this.#shared.graph.sampler.name, () => this.#sampler.logProbability(id)))
    return id
  }

  accept(id: number, logProbability: number): void {
    this.#checkOpen()
    this.#checkEvaluated()
    this.#checkGoesOn()
    const { scores } = this.#sequence
    if (!(scores[id] > -Infinity)) {
      this.#sequence.normalize() // there may have been nothing to choose from
      throw this.#misused(
        `accepted the id ${id}, whose guided score is ${scores[id]}: expected one above -Infinity`,
      )
    }
    if (!(logProbability <= 0)) {
      throw this.#misused(
        `accepted the id ${id} with the log-probability ${logProbability}: expected at most 0`,
      )
    }
    this.#append(id, logProbability)
  }

  async preview(ids: readonly number[], models: PreviewModels = {}): Promise<void> {
    this.#checkOpen()
    if (ids.length > Math.max(0, this.room - 1)) {
      throw this.#misused(
        `previewed ${ids.length} tokens, and ${this.room} may be written: expected one less at most`,
      )
    }
    const none = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabularySize))
    if (none !== undefined) {
      throw this.#misused(`previewed ${none}: expected ids from 0 to ${this.vocabularySize - 1}`)
    }
    const { runs, needed } = this.#sequence
    const { only, except } = models
    const left = except && this.#runOf(except)
    const chosen = only !== undefined ? [this.#runOf(only)] : needed.filter((run) => run !== left)
    await this.#run(() => runs.preview(ids, chosen))
  }

  fork(): GuidedText {
    this.#checkOpen()
    const { sequence, runOf } = this.#sequence.fork()
    try {
      const models = mapValues(
        this.models,
        ({ run, shared }) => new RunView(sequence, runOf(run), shared),
      )
      return new GuidedText(this.#shared, sequence, models, this.#text.fork(), {
        seed: this.random.nextUint32(),
        events: this.#events,
        rewards: this.#settledRewards,
        state: forkState(this.#keeper),
      })
    } catch (error) {
      closeQuietly(() => sequence.close())
      throw error
    }
  }

  rewind(count: number): void {
    this.#checkOpen()
    if (!(Number.isInteger(count) && count >= 0 && count <= this.#events.length)) {
      throw this.#misused(
        `rewound ${count} tokens: expected 0 to ${this.#events.length}, which have not been yielded`,
      )
    }
    if (count === 0) return
    checkRewinds(this.#keeper)
    this.#sequence.rewind(this.ids.slice(-count))
    rewindState(this.#keeper, count)
    this.#text.rewind(count)
    this.#events.length -= count
    this.#isEvaluated = false
  }

  /** Whether both are sequences of one request. */
  isBeside(other: GuidedText): boolean {
    return this.#shared === other.#shared
  }

  /** How many of its tokens have been told. */
  get settled(): number {
    return this.ids.length - this.#events.length
  }

  /** Tokens after the first `told`, which another sequence may have told; all are final now. */
  settle(told: number): TokenEvent[] {
    const events = this.#events.slice(told - this.settled)
    for (const event of this.#events) addTo(this.#settledRewards, event.rewards)
    this.#events = []
    return events
  }

  async rewards(): Promise<Record<string, number>> {
    this.#checkOpen()
    const totals = { ...this.#settledRewards }
    for (const event of this.#events) addTo(totals, event.rewards)
    for (const term of this.#sequence.terms) {
      await this.#run(async () => {
        const reward = await this.#sequence.scoreText(term)
        if (reward !== undefined) totals[term.name] = reward
      })
    }
    return totals
  }

  close(): void {
    if (this.#shared.open.delete(this)) this.#sequence.close(this.ended !== undefined)
  }

  /** Closes all sequences of the request; then fails if a reward did. */
  closeAll(): void {
    closeAll([...this.#shared.open].map((text) => () => text.close()))
  }

  /** Asks the sampler for an id, and holds it to what it may choose. */
  #choose(): number {
    const { name } = this.#shared.graph.sampler
    const sequence = this.#sequence
    const { scores } = sequence
    const { weightSum, random } = this
    let id: number
    try {
      id = guard(name, () => this.#sampler.sample({ scores, weightSum, random }))
    } catch (error) {
      sequence.normalize() // names a reward that gave NaN, or says that no token is left
      throw error
    }
    this.#isSampled = true
    if (Number.isInteger(id) && scores[id] > -Infinity) return id
    sequence.normalize() // it may have had nothing to choose from
    throw new GenArmError(
      { _tag: "PluginFailed", plugin: name },
      `the sampler "${name}" chose ${id}: expected an id from 0 to ${scores.length - 1} whose ` +
        "score is above -Infinity",
    )
  }

  #append(id: number, sampled: number): void {
    const measured = this.#measure(id, sampled)
    this.#events.push({ id, text: this.#text.push(id), ...measured })
    this.#sequence.accept(id)
    acceptToken(this.#keeper, id)
    this.#isEvaluated = false
  }

  /** What is told of a chosen token. */
  #measure(id: number, sampled: number): Omit<TokenEvent, "id" | "text"> {
    const { graph, request: { trace } } = this.#shared
    const sequence = this.#sequence
    const known = this.#isSampled ? this.#sampler.logNormalizer : undefined
    // A greedy choice passes over NaN, and nothing else looks at all the scores.
    if (trace === "none" && known === undefined) sequence.checkNumbers()
    const normalizer = trace === "none" ? NaN : known ?? sequence.normalize()
    return {
      logprob: {
        base: sequence.baseLogProb(id),
        guided: trace === "none" ? NaN : sequence.guidedLogProb(id, normalizer),
        sampled,
      },
      rewards: sequence.rewardsOf(id),
      weights: sequence.namedWeights(),
      ...typeof trace === "object" && {
        top: topTokens(sequence, trace.top, normalizer, graph.base.model.tokenizer),
      },
    }
  }

  async #run(forward: () => Promise<void>): Promise<void> {
    const { checkCancelled } = this.#shared
    checkCancelled()
    try {
      await forward()
    } finally {
      checkCancelled()
    }
  }

  #runOf(model: SequenceModel): ModelRun {
    const own = [this.base, ...Object.values(this.models)].find((view) => view === model)
    if (own !== undefined) return own.run
    throw this.#misused(
      "named a model of another sequence: expected its base, or one of its models",
    )
  }

  #checkOpen(): void {
    this.#shared.checkCancelled()
    if (!this.#shared.open.has(this)) throw this.#misused("used a sequence that it has closed")
  }

  #checkGoesOn(): void {
    if (this.ended === undefined) return
    throw this.#misused(`went on with a sequence that has ended (${this.ended})`)
  }

  #checkEvaluated(): void {
    if (!this.#isEvaluated) throw this.#misused("used the scores before it called evaluate")
  }

  #misused(what: string): GenArmError {
    const plugin = this.#shared.graph.strategy?.definition.name ?? "plain"
    return new GenArmError({ _tag: "PluginFailed", plugin }, `the strategy "${plugin}" ${what}`)
  }
}

function addTo(totals: Record<string, number>, rewards: Readonly<Record<string, number>>): void {
  for (const name in rewards) totals[name] += rewards[name]
}
