/**
 * Rewards made of rewards. A composed reward asks for the model runs of all its parts, under the
 * names `0.model`, `1.expert` ..., opens its parts with itself, and hands on what it hears. Equal
 * runs of several parts are one row of the engine, as those of several terms are.
 */
import { GenArmError } from "../errors.ts"
import { closeAll, closeQuietly } from "./close_all.ts"
import { guard } from "./guard.ts"
import { definition, type PluginNode } from "./node.ts"
import type { RewardDefinition, RewardSource, RewardState, SequenceInfo } from "./reward.ts"

/** Parts of a reward that have not been opened. */
export interface RewardParts {
  /** The model runs of all parts; the `sources` of the whole. */
  readonly sources: Readonly<Record<string, RewardSource>>
  /** Begins a sequence. */
  open(sequence: SequenceInfo): OpenRewardParts
}

/** Parts of a reward at work on one sequence. */
export interface OpenRewardParts {
  /**
   * Scores every id by one of the parts; within a `score` of the state only.
   *
   * @param part Its place among the parts.
   * @param out `[vocabularySize]`, filled in whole.
   */
  score(part: number, out: Float32Array): void
  /**
   * The state of the whole: `score` as given, all else passed on to the parts.
   *
   * @param score Fills `out`, `[vocabularySize]`, by what `parts.score` gives. A copy of the sequence
   * calls it with parts of its own.
   */
  state(score: (out: Float32Array, parts: OpenRewardParts) => void): RewardState
}

/**
 * The parts of a composed reward: see `nodeSchema`, whose example is a whole one. Parts must score
 * every id; rewards of candidates and of texts stand as terms of their own.
 *
 * @param nodes Rewards as they stand in checked options.
 * @throws {GenArmError} `PluginFailed` with the name of a part that throws, or cannot be one.
 *
 * @example
 * ```ts
 * import { defineReward, rewardParts } from "genarm/plugin"
 * import { assertEquals } from "@std/assert"
 *
 * const two = defineReward({
 *   name: "two",
 *   sources: () => ({ model: { model: "./two" } }),
 *   open: () => ({ score: ({ model }, out) => out.set(model) }),
 * })
 * assertEquals(rewardParts([two(), two()]).sources, {
 *   "0.model": { model: "./two" },
 *   "1.model": { model: "./two" },
 * })
 * ```
 */
export function rewardParts(nodes: readonly PluginNode<"reward">[]): RewardParts {
  const parts = nodes.map(({ plugin, options, [definition]: found }): Part => {
    if (found === undefined) throw new TypeError(`internal: the reward "${plugin}" is unchecked`)
    const { sources, models, open } = found as RewardDefinition
    const declared = guard(plugin, () => sources?.(options)) ?? {}
    if (models !== undefined) throw unscored(plugin)
    return { plugin, sources: declared, open: (sequence) => open(options, sequence, {}) }
  })
  const sources = parts.flatMap((part, i) =>
    Object.entries(part.sources).map(([name, source]) => [`${i}.${name}`, source] as const)
  )
  return {
    sources: Object.fromEntries(sources),
    open: (sequence) => OpenParts.open(parts, sequence),
  }
}

interface Part {
  readonly plugin: string
  readonly sources: Readonly<Record<string, RewardSource>>
  readonly open: (sequence: SequenceInfo) => RewardState
}

interface OpenPart {
  readonly plugin: string
  readonly state: RewardState
  /** The names of its model runs, its own and those of the whole. */
  readonly names: readonly (readonly [own: string, whole: string])[]
  /** Filled anew each step. */
  readonly rows: Record<string, Float32Array>
}

class OpenParts implements OpenRewardParts {
  readonly #parts: readonly Part[]
  readonly #sequence: SequenceInfo
  readonly #open: readonly OpenPart[]

  private constructor(
    parts: readonly Part[],
    sequence: SequenceInfo,
    states: readonly RewardState[],
  ) {
    this.#parts = parts
    this.#sequence = sequence
    this.#open = parts.map(({ plugin, sources }, i) => ({
      plugin,
      state: states[i],
      names: Object.keys(sources).map((name) => [name, `${i}.${name}`] as const),
      rows: {},
    }))
  }

  /** Opens all parts, or none. */
  static open(
    parts: readonly Part[],
    sequence: SequenceInfo,
    stateOf: (part: number) => RewardState | undefined = () => undefined,
  ): OpenParts {
    const states: RewardState[] = []
    try {
      parts.forEach(({ plugin, open }, i) => {
        const state = guard(plugin, () => stateOf(i) ?? open(sequence))
        states.push(state)
        if (state.score === undefined) throw unscored(plugin)
      })
    } catch (error) {
      closeQuietly(...states.map((state) => () => state.close?.()))
      throw error
    }
    return new OpenParts(parts, sequence, states)
  }

  score(part: number, out: Float32Array): void {
    const { plugin, state, rows } = this.#open[part]
    guard(plugin, () => state.score!(rows, out))
  }

  state(score: (out: Float32Array, parts: OpenRewardParts) => void): RewardState {
    const states = this.#open.map(({ state }) => state)
    const hearing = states.filter(({ accept }) => accept !== undefined)
    const everyHearing = (method: "fork" | "rewind") =>
      hearing.every((state) => state[method] !== undefined)
    const has = (method: "fork" | "rewind") => states.some((state) => state[method] !== undefined)
    // What a part that keeps state cannot do, the whole cannot: it lacks the method, as the part does.
    return {
      score: (rows, out) => {
        for (const part of this.#open) {
          for (const [own, whole] of part.names) {
            part.rows[own] = (rows as Record<string, Float32Array>)[whole]
          }
        }
        score(out, this)
      },
      ...hearing.length > 0 && { accept: (id) => this.#each((state) => state.accept?.(id)) },
      ...has("rewind") && everyHearing("rewind") &&
        { rewind: (count) => this.#each((state) => state.rewind?.(count)) },
      ...(has("fork") || hearing.length > 0) && everyHearing("fork") && {
        fork: () =>
          OpenParts.open(this.#parts, this.#sequence, (i) => states[i].fork?.({})).state(score),
      },
      close: () => this.#close(),
    }
  }

  #each(run: (state: RewardState) => void): void {
    for (const { plugin, state } of this.#open) guard(plugin, () => run(state))
  }

  /** Closes all of them, and then fails if one did. */
  #close(): void {
    closeAll(this.#open.map(({ plugin, state }) => () => guard(plugin, () => state.close?.())))
  }
}

/** What is computed from parts is computed for every id. */
function unscored(plugin: string): GenArmError {
  return new GenArmError(
    { _tag: "PluginFailed", plugin },
    `the reward "${plugin}" scores candidates or texts, and stands inside of another, which needs a ` +
      "score of every id: make it a reward of its own in the graph",
  )
}
