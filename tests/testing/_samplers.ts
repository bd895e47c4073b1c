/** Samplers that keep their contract, and what mutants of them are made with. */
import { Schema } from "effect"
import { greedy, sampling } from "genarm"
import { argmax, logSumExp } from "genarm/math"
import {
  type AnyPlugin,
  defineSampler,
  type PluginNode,
  type SamplerDefinition,
  type SamplerState,
  type SamplerStep,
} from "genarm/plugin"
import { blend } from "./_schedules.ts"

/** What is drawn from: by what scores are divided, from the ids that were written. */
export type Temperature = (ids: readonly number[]) => number

/** The probabilities `[vocabulary]` of scores at a temperature. */
export function softmax(scores: Float32Array, temperature: number): Float64Array<ArrayBuffer> {
  const most = scores.reduce((a, b) => Math.max(a, b))
  const out = Float64Array.from(scores)
  let sum = 0
  for (let id = 0; id < out.length; id++) {
    out[id] = Math.exp((out[id] - most) / temperature)
    sum += out[id]
  }
  for (let id = 0; id < out.length; id++) out[id] /= sum
  return out
}

/** The first id whose cumulative probability exceeds a uniform number. */
export function pick(probabilities: Float64Array, random: SamplerStep["random"]): number {
  let left = random.nextUniform() * probabilities.reduce((a, b) => a + b)
  let last = -1
  for (let id = 0; id < probabilities.length; id++) {
    if (probabilities[id] === 0) continue
    last = id
    left -= probabilities[id]
    if (left < 0) break
  }
  return last
}

/** A state that draws at a temperature, which may go by what was written. */
export function drawing(
  temperature: Temperature = () => 1,
  ids: number[] = [],
): Required<Omit<SamplerState, "logNormalizer">> {
  let said = new Float64Array()
  return {
    sample({ scores, random }) {
      said = softmax(scores, temperature(ids))
      return pick(said, random)
    },
    probabilities({ scores }, out) {
      said = softmax(scores, temperature(ids))
      out.set(said)
    },
    logProbability: (id) => Math.log(said[id]),
    accept: (id) => void ids.push(id),
    fork: () => drawing(temperature, [...ids]),
    rewind(count) {
      ids.length -= count
    },
  }
}

/** One that hears of no tokens. */
export function plain(
  temperature?: Temperature,
): Required<Pick<SamplerState, "sample" | "probabilities" | "logProbability">> {
  const { sample, probabilities, logProbability } = drawing(temperature)
  return { sample, probabilities, logProbability }
}

/** A temperature that tells texts from each other. */
export const warmth: Temperature = (ids) => 0.5 + blend(ids)

/** A state that remembers the text. */
export const remembering = (ids: number[] = []): ReturnType<typeof drawing> => drawing(warmth, ids)

/** A sampler whose states are what `open` gives. */
export function mutant(open: SamplerDefinition["open"]): AnyPlugin {
  return defineSampler({ name: "mutant", open })
}

/** Methods that look at their state through `this`. */
class Drawing implements SamplerState {
  #said = new Float64Array()

  sample({ scores, random }: SamplerStep): number {
    this.#said = softmax(scores, 0.8)
    return pick(this.#said, random)
  }

  logProbability(id: number): number {
    return Math.log(this.#said[id])
  }
}

const withFunction = defineSampler({
  name: "withFunction",
  options: Schema.Struct({ of: Schema.Any }),
  open: ({ of }) => drawing(of),
})

/** By what they are. */
export const right: Readonly<Record<string, AnyPlugin | PluginNode>> = {
  "a sampler that comes with the SDK": sampling({ temperature: 0.7, topP: 0.9 }),
  "one that takes the likeliest": greedy(),
  "one of the least that a sampler has": mutant(() => ({
    sample: ({ scores }) => argmax(scores),
    logProbability: () => 0,
  })),
  "one that remembers the text": mutant(() => remembering()),
  "one that can neither fork nor rewind": mutant(() => {
    const { sample, logProbability, accept } = remembering()
    return { sample, logProbability, accept }
  }),
  "one with a class, which tells no probabilities": mutant(() => new Drawing()),
  "one that draws a number of times": mutant(() => {
    const { probabilities, logProbability } = plain()
    const uniform = Float64Array.from({ length: 1000 }, () => 1)
    return {
      sample({ scores, weightSum, random }) {
        const out = new Float32Array(scores.length)
        probabilities({ scores, weightSum }, out)
        const most = Math.max(...out)
        while (true) {
          const id = pick(uniform.subarray(0, out.length), random)
          if (out[id] > 0 && random.nextUniform() * most < out[id]) return id
        }
      },
      logProbability,
    }
  }),
  "one that tells the normalizer": mutant(() => {
    let logNormalizer: number | undefined
    const { sample, logProbability } = plain()
    return {
      sample(step) {
        logNormalizer = logSumExp(step.scores)
        return sample(step)
      },
      logProbability,
      get logNormalizer() {
        return logNormalizer
      },
    }
  }),
  "one that holds a function, which no file can": withFunction({ of: warmth }),
}
