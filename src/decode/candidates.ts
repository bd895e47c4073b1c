/** Rewards that look at the likeliest tokens of a step: what they are given, and what they may give. */
import { GenArmError } from "../errors.ts"
import { guardAsync } from "../plugin/guard.ts"
import type { Candidates, RewardState } from "../plugin/reward.ts"
import { textAfter } from "./text_after.ts"
import type { Waits } from "./waits.ts"

/** What is asked of a term. */
interface CandidateTerm {
  readonly name: string
  readonly plugin: string
  readonly state: RewardState
}

/** What candidates are made of. */
interface CandidateParts {
  /** The ids before the text. */
  readonly prompt: readonly number[]
  /** The ids of the text so far. */
  readonly written: readonly number[]
  readonly decode: (ids: readonly number[]) => string
}

/** Candidates whose texts are decoded when they are looked at. */
export class CandidateList implements Candidates {
  readonly ids: readonly number[]
  readonly written: readonly number[]
  readonly #parts: CandidateParts
  #texts: readonly string[] | undefined

  constructor(ids: readonly number[], parts: CandidateParts) {
    this.ids = ids
    this.written = parts.written
    this.#parts = parts
  }

  get texts(): readonly string[] {
    const { prompt, written, decode } = this.#parts
    return this.#texts ??= this.ids.map((id) => textAfter(prompt, [...written, id], decode))
  }
}

/**
 * A number for each candidate; a reward is not asked about none.
 *
 * @param waits What the text waits for; it ends with the text.
 */
export async function scoreCandidates(
  { name, plugin, state }: CandidateTerm,
  candidates: Candidates,
  waits: Waits,
): Promise<ArrayLike<number>> {
  const { ids } = candidates
  if (ids.length === 0) return []
  const promiser = { plugin, term: name, limit: state.timeLimit }
  const ask = () => waits.until(state.scoreCandidates!(candidates), promiser)
  const given = await guardAsync(plugin, ask, name)
  if (given?.length !== ids.length) {
    throw new GenArmError(
      { _tag: "PluginFailed", plugin },
      `the reward "${name}" (${plugin}) gave ${given?.length ?? "no"} scores for ${ids.length} ` +
        "candidates: expected one for each, in their order",
    )
  }
  for (let i = 0; i < ids.length; i++) {
    if (typeof given[i] === "number" && Math.fround(given[i]) < Infinity) continue
    throw new GenArmError(
      { _tag: "NonFiniteScores", term: name },
      `the reward "${name}" gave ${given[i]} for the candidate ${ids[i]}: expected a float32 ` +
        "number, or -Infinity to rule it out",
    )
  }
  return given
}

/** A reward is of one grain, and what it says of itself can be. */
export function checkGrain({ name, plugin, state }: CandidateTerm): void {
  const { score, scoreCandidates, scoreText, candidates, timeLimit } = state
  const grains = [score, scoreCandidates].filter((method) => method !== undefined).length
  const refuse = (what: string) =>
    new GenArmError(
      { _tag: "PluginFailed", plugin },
      `the reward "${name}" (${plugin}) ${what}`,
    )
  if (grains > 1) throw refuse("has score and scoreCandidates: expected one of them")
  if (grains === 0 && scoreText === undefined) {
    throw refuse("scores nothing: expected score, scoreCandidates or scoreText")
  }
  if (timeLimit !== undefined && !(timeLimit > 0)) {
    throw refuse(`has a timeLimit of ${timeLimit}: expected milliseconds, above 0`)
  }
  if (scoreCandidates === undefined) {
    if (candidates === undefined) return
    throw refuse(`looks at ${candidates} candidates, and has no scoreCandidates to score them`)
  }
  if (Number.isInteger(candidates) && candidates! > 0) return
  throw refuse(`looks at ${candidates} candidates: expected a number of them, 1 at least`)
}
