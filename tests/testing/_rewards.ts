/** Rewards that keep their contract, and what mutants of them are made with. */
import { Effect } from "effect"
import {
  type AnyPlugin,
  defineReward,
  type PluginNode,
  type RewardSource,
  type RewardState,
} from "genarm/plugin"

/** A state that scores ids by what was written; it hears of tokens, forks and rewinds. */
export type CountingState = Required<Pick<RewardState, "accept" | "fork" | "rewind" | "score">>

/** Ids cost half a nat for each time that they were written. */
export function counting(ids: number[] = []): CountingState {
  return {
    score(_, out) {
      out.fill(0)
      for (const id of ids) if (id < out.length) out[id] -= 0.5
    },
    accept: (id) => void ids.push(id),
    fork: () => counting([...ids]),
    rewind(count) {
      ids.length -= count
    },
  }
}

/** A reward whose states are what `change` makes of right ones. */
export function mutant(
  change: (state: CountingState) => RewardState,
  sources: Readonly<Record<string, RewardSource>> = {},
): AnyPlugin {
  return defineReward<string>({
    name: "mutant",
    sources: () => sources,
    open: () => change(counting()),
  })
}

/** Two models beside the base. */
export const twoSources: Readonly<Record<string, RewardSource>> = {
  one: { model: "./one" },
  two: { model: "./two" },
}

/** By what they are. */
export const right: Readonly<Record<string, AnyPlugin | PluginNode>> = {
  "a reward that counts": mutant((state) => state),
  "one that can neither fork nor rewind": mutant(({ score, accept }) => ({ score, accept })),
  "one with two models": mutant(() => ({
    score({ one, two }, out) {
      for (let id = 0; id < out.length; id++) {
        out[id] = one[id] === -Infinity ? -Infinity : Math.min(one[id] - two[id], 20)
      }
    },
  }), twoSources),
  "one of candidates": mutant(() => ({
    candidates: 6,
    scoreCandidates: ({ ids, written }) =>
      Promise.resolve(ids.map((id) => written.includes(id) ? -1 : 0)),
  })),
  "one of texts": mutant(() => ({ scoreText: ({ text }) => text.length })),
  "one that describes effects": mutant(() => ({
    candidates: 3,
    scoreCandidates: ({ ids }) => Effect.succeed(ids.map((id) => -id / 100)),
    scoreText: ({ ids }) => Effect.succeed(ids.length),
  })),
  "one that reads texts with a model of its own": defineReward({
    name: "reader",
    models: () => ({ judge: { model: "values:bad,good" } }),
    open(_, __, { judge }) {
      const { promptIds } = judge
      const open = (read: typeof judge.read): RewardState => ({
        candidates: 4,
        async scoreCandidates({ ids, written }) {
          const texts = ids.map((id) => [...promptIds, ...written, id])
          const rows = await read(texts, promptIds.length + written.length)
          return rows.map(([, [bad, good]]) => good - bad)
        },
        fork: ({ judge }) => open(judge.read),
      })
      return open(judge.read)
    },
  }),
}
