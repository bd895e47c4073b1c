/** Samplers at work on made-up scores: how states are opened, asked for ids, and compared. */
import { randomStream } from "../math/random.ts"
import { definition, type PluginNode } from "../plugin/node.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import type { SamplerDefinition, SamplerState, SamplerStep } from "../plugin/sampler.ts"
import { madeUpScores, seedOf } from "./_made_up.ts"
import type { StateBench } from "./_state_bench.ts"
import type { Buffers, StateKind } from "./_state_text.ts"

/** Ids that are drawn at each step, with other random numbers each. */
const draws = 6

/** What a sampler says of a step. */
export interface Choices {
  readonly ids: readonly number[]
  /** Of each of them, natural log. */
  readonly logs: readonly number[]
  /** `[vocabulary]`; none where the sampler does not tell them. */
  readonly probabilities: Float32Array | undefined
}

/** A sampler, and where it is checked. */
export type SamplerBench = StateBench<"sampler", SamplerState, Choices>

/** A step without its random numbers. */
export type Scores = Omit<SamplerStep, "random">

/** Makes the scores of a text's steps, `[vocabulary]`: equal ids, equal scores. */
export function scorer(
  { vocabularySize }: Pick<SequenceInfo, "vocabularySize">,
  buffers: Buffers = "reused",
): (ids: readonly number[]) => Scores {
  let scores = new Float32Array(vocabularySize)
  return (ids) => {
    if (buffers === "fresh") scores = scores.slice()
    scores.set(madeUpScores(seedOf(`scores ${ids.length}`, ids.slice(-3)), vocabularySize))
    // Of a small vocabulary all ids may have been ruled out.
    if (scores.every((score) => score === -Infinity)) scores[ids.length % vocabularySize] = 0
    return { scores, weightSum: 1 + ids.length % 3 / 2 }
  }
}

/** Random numbers of a draw after some ids. */
export function randomAfter(ids: readonly number[], draw: number): SamplerStep["random"] {
  return randomStream(seedOf(`draw ${draw} ${ids.length}`, ids.slice(-3)))
}

/** The states of a sampler. */
export function samplerKind(node: PluginNode<"sampler">): StateKind<SamplerState, Choices> {
  const { open } = node[definition] as SamplerDefinition
  return {
    open: ({ vocabularySize, promptIds }) => open(node.options, { vocabularySize, promptIds }),
    asker: (info, buffers) => {
      const scoresAfter = scorer(info, buffers)
      return (state, ids) => {
        const step = scoresAfter(ids)
        const drawn = Array.from({ length: draws }, (_, draw) => {
          const id = state.sample({ ...step, random: randomAfter(ids, draw) })
          return { id, log: state.logProbability(id) }
        })
        let probabilities: Float32Array | undefined
        if (state.probabilities !== undefined) {
          probabilities = new Float32Array(info.vocabularySize)
          state.probabilities(step, probabilities)
        }
        return {
          ids: drawn.map(({ id }) => id),
          logs: drawn.map(({ log }) => log),
          probabilities,
        }
      }
    },
    difference,
  }
}

function difference(found: Choices, expected: Choices): string | undefined {
  const { probabilities: given } = found
  const id = expected.probabilities?.findIndex((p, id) => !isClose(given?.[id] ?? NaN, p)) ?? -1
  if (id >= 0) {
    return `id ${id} had the probability ${given?.[id]}, expected ${expected.probabilities?.[id]}`
  }
  for (const [draw, id] of expected.ids.entries()) {
    if (found.ids[draw] !== id) return `it chose id ${found.ids[draw]}, expected ${id}`
    if (isClose(found.logs[draw], expected.logs[draw])) continue
    return `the log-probability of id ${id} was ${found.logs[draw]}, expected ${
      expected.logs[draw]
    }`
  }
  return undefined
}

/** Whether numbers are the same but for rounding, however small they are. */
export function isClose(a: number, b: number, share = 1e-4): boolean {
  return Object.is(a, b) || Math.abs(a - b) <= share * Math.max(Math.abs(b), 1e-30)
}
