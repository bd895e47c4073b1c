/** First steps of a sampler that are seldom met, and that careless arithmetic fails at. */
import { randomStream } from "../math/random.ts"
import type { SamplerStep } from "../plugin/sampler.ts"
import { scorer, type Scores } from "./_sampler_steps.ts"

/** The steps, by what is unusual about them. */
export function unusualSteps(vocabularySize: number): Record<string, SamplerStep> {
  const usual = scorer({ vocabularySize }, "fresh")([])
  const last = vocabularySize - 1
  const only = (...ids: number[]): Scores => ({
    ...usual,
    scores: usual.scores.map((_, id) => ids.includes(id) ? -2 : -Infinity),
  })
  const scored = (map: (score: number, id: number) => number): Scores => ({
    ...usual,
    scores: usual.scores.map(map),
  })
  const steps: Record<string, Scores> = {
    "only the first id is possible": only(0),
    "only the last id is possible": only(last),
    "two ids are possible": only(7, last),
    "all scores are the same": scored(() => -3),
    "all scores are large": scored((score) => 1000 * score),
    "one score is far above all": scored((score, id) => id === 5 ? 2000 : score),
    "all scores are far below 0": scored((score) => score - 5000),
    "the rewards weigh much": { ...usual, weightSum: 40 },
    "the rewards weigh little": { ...usual, weightSum: 0.01 },
  }
  // The ends of what nextUniform gives, and then numbers between.
  const ends = { "begin with 0": 0, "begin with the greatest below 1": 1 - 2 ** -53 }
  return Object.fromEntries(
    Object.entries(steps).flatMap(([where, step]) =>
      Object.entries(ends).map(([begin, first]) => [
        `${where}, and the random numbers ${begin}`,
        { ...step, random: beginningWith(first) },
      ])
    ),
  )
}

function beginningWith(first: number): SamplerStep["random"] {
  const rest = randomStream(1)
  let isFirst = true
  return {
    nextUniform: () => {
      if (!isFirst) return rest.nextUniform()
      isFirst = false
      return first
    },
  }
}
