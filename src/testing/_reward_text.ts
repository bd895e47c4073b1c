/** One text with one reward on it, driven step by step outside of a pipeline. */
import { CandidateList } from "../decode/candidates.ts"
import type { OpenGraph } from "../decode/open_graph.ts"
import type { Term } from "../decode/open_terms.ts"
import { Sequence } from "../decode/sequence.ts"
import { topIds } from "../decode/top_ids.ts"
import { Waits } from "../decode/waits.ts"
import { fastExp } from "../math/exp.ts"
import type { RandomStream } from "../math/random.ts"
import { closeQuietly } from "../plugin/close_all.ts"
import type { Candidates, Promised, RewardState } from "../plugin/reward.ts"
import { fail } from "./_suite.ts"

/** What a reward says of a text and its next token. */
export interface Said {
  /** `[vocabularySize]`, natural log: of each id, or of the candidates and `-Infinity` elsewhere. */
  readonly scores: Float32Array
  /** Of the text; none where the reward judges no texts. */
  readonly text: number | undefined
}

/** What steps are measured against; nothing here depends on it but schedules. */
const maxTokens = 64

/** A text under way, with the one reward of its graph. */
export class RewardText {
  readonly #graph: OpenGraph
  readonly sequence: Sequence

  private constructor(graph: OpenGraph, sequence: Sequence) {
    this.#graph = graph
    this.sequence = sequence
  }

  static open(graph: OpenGraph, prompt: string): RewardText {
    return new RewardText(graph, Sequence.open(graph, prompt))
  }

  get term(): Term {
    return this.sequence.terms[0]
  }

  get state(): RewardState {
    return this.term.state
  }

  /** Whether the state can follow a sequence that forks, or one that rewinds. */
  follows(move: "fork" | "rewind"): boolean {
    return this.state.accept === undefined || this.state[move] !== undefined
  }

  /** Brings the models to the end of the text. */
  async forward(): Promise<void> {
    await this.sequence.runs.forward(this.sequence.needed)
  }

  /** What the reward says now. */
  async ask(): Promise<Said> {
    await this.forward()
    await this.sequence.evaluate(maxTokens)
    const text = await this.sequence.scoreText(this.term)
    return { scores: this.term.scores.slice(), text }
  }

  /** What it says now, and after each of the ids. */
  async read(ids: readonly number[]): Promise<Said[]> {
    const said = [await this.ask()]
    for (const id of ids) {
      this.sequence.accept(id)
      said.push(await this.ask())
    }
    return said
  }

  /** An id by the guided distribution; after `ask`. None where every id is ruled out. */
  draw(random: RandomStream): number | undefined {
    const { scores } = this.sequence
    const most = scores.reduce((a, b) => Math.max(a, b), -Infinity)
    if (most === -Infinity) return undefined
    const weights = Float64Array.from(scores, (score) => fastExp(score - most))
    let left = random.nextUniform() * weights.reduce((a, b) => a + b, 0)
    let last = 0
    for (let id = 0; id < weights.length; id++) {
      if (weights[id] === 0) continue
      last = id
      left -= weights[id]
      if (left < 0) return id
    }
    return last
  }

  /** Appends up to `count` tokens by the guided distribution; what ends a text is left out. */
  async write(count: number, random: RandomStream): Promise<number[]> {
    const ids: number[] = []
    while (ids.length < count) {
      await this.ask()
      const id = this.draw(random)
      if (id === undefined || this.#graph.base.model.eos.includes(id)) break
      this.sequence.accept(id)
      ids.push(id)
    }
    return ids
  }

  /** The base's likeliest tokens, as many as the reward asks for; after `forward`. */
  candidates(count: number = this.state.candidates ?? 1): Candidates {
    const { runs: { base }, promptIds } = this.sequence
    const { tokenizer } = this.#graph.base.model
    const scores = base.rows[0].slice(0, this.term.scores.length)
    for (const id of [...this.#graph.unnamed, ...this.term.missing]) scores[id] = -Infinity
    return new CandidateList(topIds(scores, count), {
      prompt: promptIds,
      written: base.ids.slice(promptIds.length),
      decode: (ids) => tokenizer.decode(ids),
    })
  }

  /** What the reward promised. */
  settle<A>(given: Promised<A>): Promise<A> {
    const { name, plugin, state } = this.term
    const waits = new Waits(this.#graph.services)
    return waits.until(given, { plugin, term: name, limit: state.timeLimit })
  }

  fork(): RewardText {
    return new RewardText(this.#graph, this.sequence.fork().sequence)
  }

  /** Forgets the last ids, which are these. */
  rewind(removed: readonly number[]): void {
    this.sequence.rewind(removed)
  }

  /** Ends the text; that closing fails is the matter of one check only. */
  close(): void {
    closeQuietly(() => this.sequence.close())
  }
}

/** Steps at which single calls are looked at. */
const looks = 4

/** Looks at the beginning and after some tokens, which are the base's likeliest. */
export async function atSteps(text: RewardText, look: () => void | Promise<void>): Promise<void> {
  for (let step = 0; step < looks; step++) {
    await text.forward()
    const { rows: [base] } = text.sequence.runs.base
    for (const source in text.term.runs) {
      const row = text.term.runs[source].rows[0]
      text.term.rows[source] = row.subarray(0, text.term.scores.length)
    }
    await look()
    text.sequence.accept(base.indexOf(base.reduce((a, b) => Math.max(a, b))))
  }
}

/**
 * Fails unless the same was said twice, but for rounding.
 *
 * @param what What was done, and what came of it; `remedy` ends the message.
 * @param from Tokens before the first that is compared.
 */
export function checkSame(
  found: readonly Said[],
  expected: readonly Said[],
  what: string,
  remedy: string,
  from = 0,
): void {
  for (let step = 0; step < expected.length; step++) {
    const { scores, text } = expected[step]
    const id = scores.findIndex((score, id) => !isClose(found[step].scores[id], score))
    if (id >= 0) {
      fail(
        `${what}: after ${from + step} tokens id ${id} got ${found[step].scores[id]}, expected ` +
          `${scores[id]}. ${remedy}`,
      )
    }
    if (!isClose(found[step].text ?? 0, text ?? 0)) {
      fail(
        `${what}: the text of ${from + step} tokens got ${
          found[step].text
        }, expected ${text}. ${remedy}`,
      )
    }
  }
}

/** Whether two numbers are the same but for rounding: sums may be taken in another order. */
export function isClose(a: number, b: number): boolean {
  return Object.is(a, b) || Math.abs(a - b) <= 1e-4 * (1 + Math.abs(b))
}
