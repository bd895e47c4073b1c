/** One text with the state of a schedule or a sampler on it, driven step by step outside of a pipeline. */
import { AssertionError } from "node:assert"
import { messageOf } from "../errors.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import { fail } from "./_suite.ts"

/** A state that may keep something of the tokens. */
export interface Kept<State> {
  accept?(id: number): void
  fork?(): State
  rewind?(count: number): void
}

/** How the states of a kind are opened, asked and compared. */
export interface StateKind<State, Said> {
  readonly open: (info: SequenceInfo) => State
  /** Makes what asks about one text, whose buffers it holds. */
  readonly asker: (info: SequenceInfo, buffers: Buffers) => Asker<State, Said>
  /** What is not the same, `the weight is 2, expected 1`; nothing where all is, but for rounding. */
  readonly difference: (found: Said, expected: Said) => string | undefined
}

/** Asks a state about the next token after `ids`. */
export type Asker<State, Said> = (state: State, ids: readonly number[]) => Said

/** Whether a step's rows lie where those of the step before did, as in a pipeline. */
export type Buffers = "reused" | "fresh"

/** A text under way. */
export class StateText<State extends Kept<State>, Said> {
  readonly ids: number[]
  readonly state: State
  /** What the plugin was told of the sequence; the prompt is a copy, for it to spoil. */
  readonly info: SequenceInfo
  readonly #kind: StateKind<State, Said>
  readonly #ask: Asker<State, Said>

  constructor(
    kind: StateKind<State, Said>,
    info: SequenceInfo,
    { buffers = "reused", state = kind.open(info), ids = [] }: {
      readonly buffers?: Buffers
      readonly state?: State
      readonly ids?: readonly number[]
    } = {},
  ) {
    this.#kind = kind
    this.info = info
    this.#ask = kind.asker(info, buffers)
    this.state = state
    this.ids = [...ids]
  }

  /** Whether the state can follow a sequence that forks, or one that rewinds. */
  follows(move: "fork" | "rewind"): boolean {
    return this.state.accept === undefined || this.state[move] !== undefined
  }

  /** What the state says of the next token. */
  ask(): Said {
    return this.#ask(this.state, this.ids)
  }

  accept(id: number): void {
    this.ids.push(id)
    this.state.accept?.(id)
  }

  /** What it says now, and after each of the ids. */
  read(ids: readonly number[]): Said[] {
    const said = [this.ask()]
    for (const id of ids) {
      this.accept(id)
      said.push(this.ask())
    }
    return said
  }

  fork(): StateText<State, Said> {
    const state = this.state.fork?.() ?? this.#kind.open(this.info)
    return new StateText(this.#kind, this.info, { state, ids: this.ids })
  }

  rewind(count: number): void {
    this.ids.length -= count
    this.state.rewind?.(count)
  }
}

/** How a failure is told. */
export interface Telling {
  /** What was done. */
  readonly what: string
  /** What to do about it. */
  readonly remedy: string
  /** The token that the first answer is about; 0 where absent. */
  readonly from?: number
}

/** Fails unless the same was said twice. */
export function checkSaid<Said>(
  { difference }: Pick<StateKind<never, Said>, "difference">,
  found: readonly Said[],
  expected: readonly Said[],
  { what, remedy, from = 0 }: Telling,
): void {
  for (let step = 0; step < expected.length; step++) {
    const differing = difference(found[step], expected[step])
    if (differing !== undefined) fail(`${what}: at token ${from + step} ${differing}. ${remedy}`)
  }
}

/** Runs what a check is about; what a plugin throws is told with the place. */
export function failingAt(name: string, where: string, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (error instanceof AssertionError) throw error
    fail(`${name} failed ${where}: ${messageOf(error)}`)
  }
}
