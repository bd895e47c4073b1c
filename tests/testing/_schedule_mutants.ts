/** Schedules that each break one promise of their contract, by the check that finds it. */
import { Schema } from "effect"
import {
  type AnyPlugin,
  defineSchedule,
  type PluginNode,
  type ScheduleState,
  type ScheduleStep,
} from "genarm/plugin"
import { blend, mutant, remembering } from "./_schedules.ts"

/** Faults of one check, by what they are. */
type Faults = Readonly<Record<string, AnyPlugin | PluginNode>>

/** A schedule without state. */
const weighing = (weight: ScheduleState["weight"]): AnyPlugin => mutant(() => ({ weight }))

const finite: Faults = {
  "gives NaN after some tokens": weighing(({ position }) => position > 9 ? NaN : 1),
  "gives more than float32 holds": weighing(() => 1e39),
  "gives nothing": weighing((() => {}) as never),
  "throws when it is opened": mutant(() => {
    throw new Error("no")
  }),
}

const unusual: Faults = {
  "divides by 0 where one token may be written": weighing(({ position, maxTokens }) =>
    position / (maxTokens - 1)
  ),
  "counts on a token before": weighing(({ lastId }) => Number(lastId!.toFixed(0)) % 3),
  "multiplies 0 by -Infinity": weighing(({ base }) =>
    base.reduce((sum, log) => sum - Math.exp(log) * log, 0)
  ),
  "takes the variance of infinities": weighing(({ scores }) => {
    const [least, most] = [Math.min(...scores), Math.max(...scores)]
    return least === -Infinity && most === least ? most - least : 1
  }),
  "divides by the range of the scores": weighing(({ scores }) => {
    const finite = scores.filter((score) => score > -Infinity)
    return 1 / (Math.max(...finite) - Math.min(...finite))
  }),
  "reads scores that are not there": weighing(({ base, scores }) =>
    Math.max(-9, scores[base.length - 1])
  ),
}

const chance: Faults = {
  "draws weights": weighing(() => Math.random()),
  "counts texts in the plugin": (() => {
    let texts = 0
    return mutant(() => {
      const text = texts++
      return { weight: () => text }
    })
  })(),
}

const steps: Faults = {
  "works in base": weighing(({ base }) => base[3] = 0.5),
  "works in the scores": weighing(({ scores }) => scores[3] = 0.5),
  "counts the position on": weighing((step) => {
    const own = step as { -readonly [Key in keyof ScheduleStep]: ScheduleStep[Key] }
    own.position++
    return 1
  }),
}

const asked: Faults = {
  "counts its calls": mutant(() => {
    let calls = 0
    return { weight: () => calls++ / 100 }
  }),
  "moves on when it is asked": mutant(() => {
    let smooth = 0
    return { weight: ({ base }) => smooth = 0.9 * smooth + Math.exp(base[7] / 9) }
  }),
}

const kept: Faults = {
  "compares with the base of the step before": mutant(() => {
    let before: Float32Array | undefined
    return {
      weight({ base }) {
        const change = before === undefined ? 0 : base[0] - before[0]
        before = base
        return change
      },
    }
  }),
}

const noted = defineSchedule({
  name: "noted",
  options: Schema.Struct({ seen: Schema.instanceOf(Float64Array) }),
  open: ({ seen }) => ({
    weight: () => 1,
    accept: () => void seen[0]++,
  }),
})

const inputs: Faults = {
  "writes to its options": noted({ seen: new Float64Array(1) }),
  "writes to the prompt": mutant((_, { promptIds }) => ({
    weight: () => 1,
    accept: (id) => void (promptIds as number[]).push(id),
  })),
}

const apart: Faults = {
  "keeps tokens in the plugin, and forgets them when a text begins": (() => {
    let ids: number[] = []
    return mutant(() => {
      ids = []
      return { weight: () => blend(ids), accept: (id) => void ids.push(id) }
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
  "gives a copy that cannot be copied": mutant(() => {
    const ids: number[] = []
    return {
      ...remembering(ids),
      fork: () => ({ ...remembering([...ids]), fork: () => remembering() }),
    }
  }),
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
    return mutant(() => ({
      weight: ({ position }) => {
        if (position === 20) long++
        return long / 10
      },
      accept() {},
    }))
  })(),
}

const aborts: Faults = {
  "is left spoilt by a text that ends early": (() => {
    let isSpoilt = false
    return weighing(({ position, maxTokens }) => {
      if (position === 15) isSpoilt = true
      if (position === maxTokens - 1) isSpoilt = false
      return isSpoilt && position < 5 ? 3 : 1
    })
  })(),
}

const numberOf = defineSchedule({
  name: "numberOf",
  options: Schema.Struct({ by: Schema.NumberFromString }),
  open: ({ by }) => ({ weight: () => by }),
})

const shortOf = defineSchedule({
  name: "shortOf",
  options: Schema.Struct({
    by: Schema.Finite,
    also: Schema.optionalKey(Schema.Undefined),
  }),
  open: ({ by }) => ({ weight: () => by }),
})

const secrets = new WeakMap<object, number>()
const secret = defineSchedule({
  name: "secret",
  options: Schema.Struct({ by: Schema.Finite }),
  open: (options) => ({ weight: () => secrets.get(options) ?? 0 }),
})
const withSecret = secret({ by: 3 })
secrets.set(withSecret.options as object, 5)

const files: Faults = {
  "does not take the options that it has given": numberOf({ by: "0.5" }),
  "loses an option": shortOf({ by: 1, also: undefined }),
  "does what its options do not say": withSecret,
}

/** By the check that they fail. */
export const mutants: Readonly<Record<string, Faults>> = {
  "gives a finite weight at each step": finite,
  "gives a finite weight at unusual steps too": unusual,
  "gives the same weights for the same text": chance,
  "leaves the step that it is given as it is": steps,
  "gives the same weight when it is asked again": asked,
  "keeps neither base nor scores beyond their step": kept,
  "leaves its options and the prompt as they are": inputs,
  "keeps two texts apart": apart,
  "goes on apart after a fork, in both texts": forks,
  "forgets the tokens that are taken back": rewinds,
  "changes nothing when no tokens are taken back": nothing,
  "weighs a reward in a pipeline": texts,
  "writes the same text after an abort as before it": aborts,
  "is read back from a file as it was, or says why it cannot be saved": files,
}
