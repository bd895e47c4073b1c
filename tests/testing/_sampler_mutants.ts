/** Samplers that each break one promise of their contract, by the check that finds it. */
import { Schema } from "effect"
import { argmax, logSumExp } from "genarm/math"
import {
  type AnyPlugin,
  defineSampler,
  type PluginNode,
  type SamplerState,
  type SamplerStep,
} from "genarm/plugin"
import { mutant, pick, plain, remembering, softmax, warmth } from "./_samplers.ts"

/** Faults of one check, by what they are. */
type Faults = Readonly<Record<string, AnyPlugin | PluginNode>>

/** A sampler of which some methods are others. */
const changed = (change: (state: ReturnType<typeof plain>) => Partial<SamplerState>): AnyPlugin =>
  mutant(() => {
    const state = plain()
    return { ...state, ...change(state) }
  })

/** One that tells no probabilities. */
const silent = (
  change: (state: ReturnType<typeof plain>) => Pick<SamplerState, "sample" | "logProbability">,
): AnyPlugin => mutant(() => change(plain()))

/** One that takes what `choose` says for certain. */
const certain = (choose: SamplerState["sample"]): AnyPlugin =>
  mutant(() => ({ sample: choose, logProbability: () => 0 }))

const possible: Faults = {
  "chooses the least likely id": certain(({ scores }) => scores.indexOf(Math.min(...scores))),
  "chooses no id": certain(() => -1),
  "chooses an id beyond the last": certain(({ scores }) => scores.length),
  "chooses the text of an id": certain(
    (({ scores }: { scores: Float32Array }) => String(argmax(scores))) as never,
  ),
  "chooses an id of the prompt": mutant((_, { promptIds }) => ({
    sample: () => promptIds[0] + 0.5,
    logProbability: () => 0,
  })),
  "throws when it is opened": mutant(() => {
    throw new Error("no")
  }),
}

const unusual: Faults = {
  "chooses the first id for the random number 0, whatever its probability": silent(() => {
    let said = new Float64Array()
    return {
      sample({ scores, random }) {
        said = softmax(scores, 1)
        let left = random.nextUniform()
        return said.findIndex((p) => (left -= p) <= 0)
      },
      logProbability: (id) => Math.log(said[id]),
    }
  }),
  "takes exponentials without the greatest score": silent(() => {
    let said = new Float64Array()
    return {
      sample({ scores, random }) {
        const powers = Float64Array.from(scores, Math.exp)
        const sum = powers.reduce((a, b) => a + b)
        said = powers.map((power) => power / sum)
        let left = random.nextUniform()
        return said.findIndex((p) => (left -= p) < 0)
      },
      logProbability: (id) => Math.log(said[id]),
    }
  }),
  "counts on a second id": certain(({ scores }) => {
    const first = argmax(scores)
    const second = scores.map((score, id) => id === first ? -Infinity : score)
    return argmax(second)
  }),
}

const chance: Faults = {
  "draws from elsewhere": changed(({ sample }) => ({
    sample: (step) => sample({ ...step, random: { nextUniform: Math.random } }),
  })),
  "counts texts in the plugin": (() => {
    let texts = 0
    return mutant(() => {
      const text = texts++
      return plain(() => 1 + text / 10)
    })
  })(),
}

/** Makes the scores log-probabilities where they lie. */
function normalize(scores: Float32Array): void {
  const normalizer = logSumExp(scores)
  for (let id = 0; id < scores.length; id++) scores[id] -= normalizer
}

const scores: Faults = {
  "normalises them where they lie to sample": changed(({ sample }) => ({
    sample(step) {
      normalize(step.scores)
      return sample(step)
    },
  })),
  "normalises them where they lie for probabilities": changed(({ probabilities }) => ({
    probabilities(step, out) {
      normalize(step.scores)
      probabilities(step, out)
    },
  })),
}

const asked: Faults = {
  "skips a random number every other time": changed(({ sample }) => {
    let times = 0
    return {
      sample(step) {
        if (times++ % 5 === 4) step.random.nextUniform()
        return sample(step)
      },
    }
  }),
  "moves on when it is asked for probabilities": mutant(() => {
    let times = 0
    const { sample, probabilities, ...state } = plain()
    return {
      ...state,
      sample: (step) => {
        if (times % 2 === 1) step.random.nextUniform()
        return sample(step)
      },
      probabilities(step, out) {
        times++
        probabilities(step, out)
      },
    }
  }),
}

const drawing: Faults = {
  "draws a random number for probabilities": changed(({ sample, probabilities }) => {
    let random: SamplerStep["random"] | undefined
    return {
      sample(step) {
        random = step.random
        return sample(step)
      },
      probabilities(step, out) {
        random?.nextUniform()
        probabilities(step, out)
      },
    }
  }),
}

const kept: Faults = {
  "mixes in the scores of the step before": mutant(() => {
    const { sample, logProbability } = plain()
    let now: Float32Array | undefined
    let before: Float32Array | undefined
    return {
      sample(step) {
        now = step.scores
        if (before === undefined || before === now) return sample(step)
        const old = before
        const mixed = step.scores.map((score, id) => score + Math.max(-9, old[id]))
        return sample({ ...step, scores: mixed })
      },
      logProbability,
      accept() {
        before = now
      },
    }
  }),
}

const zero: Faults = {
  "leaves out ids below a score": silent(({ sample, logProbability }) => {
    const cut = (scores: Float32Array) => {
      const left = scores.map((score) => score > 2 ? score : -Infinity)
      return left.some((score) => score > -Infinity) ? left : scores
    }
    return {
      sample: (step) => sample({ ...step, scores: cut(step.scores) }),
      logProbability,
    }
  }),
}

const noted = defineSampler({
  name: "noted",
  options: Schema.Struct({ seen: Schema.instanceOf(Float64Array) }),
  open: ({ seen }) => ({ ...plain(), accept: () => void seen[0]++ }),
})

const inputs: Faults = {
  "writes to its options": noted({ seen: new Float64Array(1) }),
  "writes to the prompt": mutant((_, { promptIds }) => ({
    ...plain(),
    accept: (id) => void (promptIds as number[]).push(id),
  })),
}

const logs: Faults = {
  "gives the probability": silent(({ sample, logProbability }) => ({
    sample,
    logProbability: (id) => Math.exp(logProbability(id)),
  })),
  "gives how many bits it is": changed(({ logProbability }) => ({
    logProbability: (id) => -logProbability(id) / Math.LN2,
  })),
  "gives -Infinity where the score is far below 0": changed(({ sample }) => {
    let said: Float32Array = new Float32Array()
    return {
      sample(step) {
        said = step.scores
        return sample(step)
      },
      logProbability: (id) => Math.log(Math.exp(Math.min(0, said[id] - 20))),
    }
  }),
  "gives -Infinity": changed(() => ({ logProbability: () => -Infinity })),
  "gives NaN": changed(() => ({ logProbability: () => NaN })),
}

const often: Faults = {
  "draws at another temperature than it says": changed(({ probabilities }) => ({
    sample(step) {
      const out = new Float32Array(step.scores.length)
      probabilities(step, out)
      return pick(softmax(step.scores, 1.5), step.random)
    },
  })),
  "is certain of what it draws": mutant(() => {
    const { sample } = plain()
    return { sample, logProbability: () => 0 }
  }),
}

const all: Faults = {
  "leaves out what is impossible": changed(({ probabilities }) => ({
    probabilities(step, out) {
      const whole = new Float32Array(out.length)
      probabilities(step, whole)
      for (let id = 0; id < out.length; id++) if (whole[id] > 0) out[id] = whole[id]
    },
  })),
  "gives numbers that do not add up": changed(({ probabilities }) => ({
    probabilities(step, out) {
      probabilities(step, out)
      for (let id = 0; id < out.length; id++) out[id] *= 0.9
    },
  })),
  "gives NaN where scores are large": changed(() => ({
    probabilities({ scores }, out) {
      const sum = scores.reduce((sum, score) => sum + Math.exp(score), 0)
      for (let id = 0; id < out.length; id++) out[id] = Math.exp(scores[id]) / sum
    },
  })),
  "gives logs": changed(({ probabilities }) => ({
    probabilities(step, out) {
      probabilities(step, out)
      for (let id = 0; id < out.length; id++) out[id] = Math.log(out[id])
    },
  })),
  "gives what is impossible some": changed(({ probabilities }) => ({
    probabilities(step, out) {
      probabilities(step, out)
      for (let id = 0; id < out.length; id++) out[id] = 0.9 * out[id] + 0.1 / out.length
    },
  })),
}

const agree: Faults = {
  "has another temperature in each": mutant(() => {
    const { probabilities } = plain(() => 2)
    return { ...plain(), probabilities }
  }),
  "has another temperature in sample": mutant(() => {
    const [one, two] = [plain(), plain(() => 2)]
    let last = one
    return {
      sample: (step) => (last = two).sample(step),
      probabilities: (step, out) => (last = one).probabilities(step, out),
      logProbability: (id) => last.logProbability(id),
    }
  }),
  "answers for the sample before": changed(({ sample, logProbability }) => ({
    sample,
    probabilities: plain().probabilities,
    logProbability,
  })),
}

/** One that tells the normalizer, as its methods note it. */
const normalizing = (
  change: (
    state: ReturnType<typeof plain>,
    note: (value: number | undefined) => void,
  ) => Partial<SamplerState>,
): AnyPlugin =>
  mutant(() => {
    let logNormalizer: number | undefined
    const state = plain()
    return {
      ...state,
      ...change(state, (value) => logNormalizer = value),
      get logNormalizer() {
        return logNormalizer
      },
    }
  })

const normalizer: Faults = {
  "gives that of divided scores": normalizing(({ sample, probabilities }, note) => ({
    sample(step) {
      note(logSumExp(step.scores.map((score) => score / 2)))
      return sample(step)
    },
    probabilities(step, out) {
      note(undefined)
      probabilities(step, out)
    },
  })),
  "keeps that of the sample before": normalizing(({ sample }, note) => ({
    sample(step) {
      note(logSumExp(step.scores))
      return sample(step)
    },
  })),
}

const apart: Faults = {
  "keeps tokens in the plugin, and forgets them when a text begins": (() => {
    let ids: number[] = []
    return mutant(() => {
      ids = []
      return { ...plain(() => warmth(ids)), accept: (id) => void ids.push(id) }
    })
  })(),
}

const forks: Faults = {
  "gives itself": mutant(() => {
    const state = remembering()
    return { ...state, fork: () => state }
  }),
  "shares its tokens with the copy": mutant(() => {
    const ids: number[] = []
    return { ...remembering(ids), fork: () => remembering(ids) }
  }),
  "gives a copy that has heard of nothing": mutant(() => ({
    ...remembering(),
    fork: () => remembering(),
  })),
  "throws": mutant(() => ({
    ...remembering(),
    fork() {
      throw new Error("no")
    },
  })),
}

const rewinds: Faults = {
  "forgets one token only": mutant(() => {
    const state = remembering()
    return { ...state, rewind: (count) => state.rewind(Math.min(count, 1)) }
  }),
  "forgets nothing": mutant(() => ({ ...remembering(), rewind: () => {} })),
}

const nothing: Faults = {
  "cuts at -0": mutant(() => {
    const ids: number[] = []
    return { ...remembering(ids), rewind: (count) => void ids.splice(-count) }
  }),
}

const texts: Faults = {
  "changes with every long text": (() => {
    let long = 0
    return mutant(() => {
      let length = 0
      return {
        ...plain(() => 1 + long),
        accept() {
          if (++length === 20) long++
        },
      }
    })
  })(),
}

const aborts: Faults = {
  "is left spoilt by a text that ends early": (() => {
    let isSpoilt = false
    return mutant(() => {
      let length = 0
      return {
        ...plain(() => isSpoilt && length < 5 ? 9 : 1),
        accept() {
          length++
          if (length === 15) isSpoilt = true
          if (length === 24) isSpoilt = false
        },
      }
    })
  })(),
}

const numberOf = defineSampler({
  name: "numberOf",
  options: Schema.Struct({ temperature: Schema.NumberFromString }),
  open: ({ temperature }) => plain(() => temperature),
})

const secrets = new WeakMap<object, number>()
const secret = defineSampler({
  name: "secret",
  options: Schema.Struct({ temperature: Schema.Finite }),
  open: (options) => plain(() => secrets.get(options) ?? 1),
})
const withSecret = secret({ temperature: 3 })
secrets.set(withSecret.options as object, 5)

const files: Faults = {
  "does not take the options that it has given": numberOf({ temperature: "0.5" }),
  "does what its options do not say": withSecret,
}

/** By the check that they fail. */
export const mutants: Readonly<Record<string, Faults>> = {
  "chooses an id that is possible, at each step": possible,
  "chooses an id that is possible at unusual steps too": unusual,
  "chooses the same ids by the same random numbers": chance,
  "leaves the scores as they are": scores,
  "chooses the same whatever it was asked before": { ...asked, ...drawing },
  "keeps no scores beyond their step": kept,
  "chooses the same where all scores are higher by the same": zero,
  "leaves its options and the prompt as they are": inputs,
  "gives the log of a probability for what it has chosen": logs,
  "chooses as often as it says": often,
  "writes the probability of every id, where it tells them": all,
  "says the same by probabilities and by logProbability, where it has both": agree,
  "tells the log of the sum of exp(scores), or nothing": normalizer,
  "keeps two texts apart": apart,
  "goes on apart after a fork, in both texts": forks,
  "forgets the tokens that are taken back": rewinds,
  "changes nothing when no tokens are taken back": nothing,
  "writes texts in a pipeline": texts,
  "writes the same text after an abort as before it": aborts,
  "is read back from a file as it was, or says why it cannot be saved": files,
}
