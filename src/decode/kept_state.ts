/**
 * What plugins keep of a text's tokens: they hear of each, and the state is copied and taken back with
 * the text. One that hears of tokens and cannot follow such a move fails, rather than mix up texts.
 */
import { GenArmError } from "../errors.ts"
import { guard } from "../plugin/guard.ts"
import type { TextModel } from "../plugin/reward.ts"

type Models = Readonly<Record<string, TextModel>>

/** What a state may do with tokens; a part of the states of rewards, schedules and samplers. */
export interface KeptState {
  accept?(id: number): void
  fork?(models: Models): unknown
  rewind?(count: number): void
}

/** A state, and whose it is. */
export interface Keeper<State extends KeptState = KeptState> {
  readonly plugin: string
  /** As messages call it: `reward "helpful" (arm)`. */
  readonly role: string
  /** The reward on whose behalf it is there, where there is one. */
  readonly term: string | undefined
  readonly state: State
}

/** Tells a state of a token. */
export function acceptToken({ plugin, term, state }: Keeper, id: number): void {
  if (state.accept !== undefined) guard(plugin, () => state.accept!(id), term)
}

/**
 * The state for a copy of its text; none where it keeps nothing of the tokens.
 *
 * @param models Those that a reward reads the copy with.
 */
export function forkState<State extends Omit<KeptState, "fork"> & { fork?(models: Models): State }>(
  keeper: Keeper<State>,
  models: Models = {},
): State | undefined {
  const { plugin, term, state } = keeper
  if (state.fork !== undefined) return guard(plugin, () => state.fork!(models), term)
  if (state.accept === undefined) return undefined
  throw incapable(keeper, "forks", "fork()")
}

/** Fails where a state cannot forget tokens; asked of all before any forgets. */
export function checkRewinds(keeper: Keeper): void {
  const { state } = keeper
  if (state.accept !== undefined && state.rewind === undefined) {
    throw incapable(keeper, "rewinds", "rewind(count)")
  }
}

/** Lets a state forget the last `count` tokens. */
export function rewindState({ plugin, term, state }: Keeper, count: number): void {
  if (state.rewind !== undefined) guard(plugin, () => state.rewind!(count), term)
}

function incapable({ plugin, role }: Keeper, does: string, method: string): GenArmError {
  return new GenArmError(
    { _tag: "PluginFailed", plugin },
    `the strategy ${does} sequences, and the ${role} keeps state in accept and has no ${method}: ` +
      "give it one, or take another strategy",
  )
}
