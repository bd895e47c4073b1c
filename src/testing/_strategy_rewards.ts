/** Rewards and a sampler that strategies meet in their checks: good ones, and ones that make trouble. */
import { Schema } from "effect"
import { argmax } from "../math/argmax.ts"
import { defineReward, type RewardPlugin, type RewardState } from "../plugin/reward.ts"
import { defineSampler, type SamplerPlugin } from "../plugin/sampler.ts"
import { madeUpScores, seedOf } from "./_made_up.ts"

/** A state that hears of tokens; `score` is told how many, and the last. */
function keeping(
  score: (out: Float32Array, heard: number, last: number) => void,
  ids: readonly number[] = [],
): Required<Pick<RewardState, "score" | "accept" | "fork" | "rewind">> {
  const heard = [...ids]
  return {
    score: (_, out) => score(out, heard.length, heard.at(-1) ?? -1),
    accept: (id) => void heard.push(id),
    fork: () => keeping(score, heard),
    rewind: (count) => void heard.splice(heard.length - count),
  }
}

const salted = Schema.Struct({ salt: Schema.String })

/** Scores of -1 to 1, other ones after each token, and by other salts. */
export const madeUp: RewardPlugin<{ readonly salt: string }> = defineReward({
  name: "madeUp",
  options: salted,
  open: ({ salt }, { vocabularySize }) =>
    keeping((out, _, last) => {
      const scores = madeUpScores(seedOf(salt, [last]), vocabularySize, 0)
      for (let id = 0; id < out.length; id++) out[id] = scores[id] / 6
    }),
})

/** Makes tokens that end a text likelier. */
export const ending: RewardPlugin = defineReward({
  name: "ending",
  open: (_, { eos }) => ({
    score(_, out) {
      out.fill(0)
      for (const id of eos) out[id] = 4
    },
  }),
})

/** Leaves as many tokens possible; which ones goes by the token before. */
export const narrow: RewardPlugin<{ readonly possible: number }> = defineReward({
  name: "narrow",
  options: Schema.Struct({ possible: Schema.Int }),
  open: ({ possible }, { vocabularySize, eos, token }) =>
    keeping((out, _, last) => {
      out.fill(-Infinity)
      let left = possible
      for (let i = 1; i <= vocabularySize && left > 0; i++) {
        const id = (last + 7 * i) % vocabularySize
        if (eos.includes(id) || token(id) === undefined) continue
        out[id] = 0
        left--
      }
    }),
})

/** How a reward fails. */
export type Failure = "throws" | "gives NaN" | "rules everything out"

/** Fails once it has heard of so many tokens; until then no text ends. */
export const brittle: RewardPlugin<{ readonly after: number; readonly failure: Failure }> =
  defineReward({
    name: "brittle",
    options: Schema.Struct({
      after: Schema.Int,
      failure: Schema.Literals(["throws", "gives NaN", "rules everything out"]),
    }),
    open: ({ after, failure }, { eos }) =>
      keeping((out, heard) => {
        const isBroken = heard >= after
        if (isBroken && failure === "throws") throw new Error("to see what becomes of it")
        out.fill(isBroken ? -Infinity : 0)
        if (isBroken && failure === "gives NaN") out[0] = NaN
        for (const id of eos) out[id] = -Infinity
      }),
  })

/** What a plugin's state cannot do. */
export type Lack = "fork" | "rewind"

/** Hears of tokens, and cannot follow a copy or a text that is taken back. */
export const stuck: RewardPlugin<{ readonly lacks: Lack }> = defineReward({
  name: "stuck",
  options: Schema.Struct({ lacks: Schema.Literals(["fork", "rewind"]) }),
  open: ({ lacks }) => {
    const { [lacks]: _, ...state } = keeping((out) => out.fill(0))
    return state
  },
})

/** Turns of the queue that a promise of `slow` takes. */
const turns = 30

/** Promises scores, some turns later; all together the question with the number `failing` fails at once. */
export function slow(failing: number): RewardPlugin {
  let asked = 0
  return defineReward({
    name: "slow",
    open: (): RewardState => ({
      candidates: 3,
      async scoreCandidates({ ids }) {
        if (++asked === failing) throw new Error("to see what becomes of the others")
        for (let turn = 0; turn < turns; turn++) await undefined
        return ids.map(() => 0)
      },
    }),
  })
}

/** Always the likeliest token; it tells no probabilities. */
export const silent: SamplerPlugin = defineSampler({
  name: "silent",
  open: () => ({ sample: ({ scores }) => argmax(scores), logProbability: () => 0 }),
})
