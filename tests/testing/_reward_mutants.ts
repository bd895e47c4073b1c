/** Rewards that each break one promise of their contract, by the check that finds it. */
import { Schema } from "effect"
import {
  type AnyPlugin,
  defineReward,
  nodeSchema,
  type PluginNode,
  rewardParts,
} from "genarm/plugin"
import { counting, mutant, twoSources } from "./_rewards.ts"

/** Faults of one check, by what they are. */
type Faults = Readonly<Record<string, AnyPlugin | PluginNode>>

const shape: Faults = {
  "leaves the last ids out": mutant((state) => ({
    ...state,
    score: (rows, out) => state.score(rows, out.subarray(0, out.length - 3)),
  })),
  "adds to what is there": mutant(() => ({
    score(_, out) {
      for (let id = 0; id < out.length; id++) out[id] += id % 3
    },
  })),
  "gives a score for each candidate but one": mutant(() => ({
    candidates: 5,
    scoreCandidates: ({ ids }) => ids.slice(1).map(() => 0),
  })),
  "gives five scores, however many candidates there are": mutant(() => ({
    candidates: 5,
    scoreCandidates: () => [1, 2, 3, 4, 5],
  })),
  "scores nothing": mutant(() => ({})),
  "throws when it is opened": mutant(() => {
    throw new Error("no")
  }),
}

const numbers: Faults = {
  "gives NaN after some tokens": mutant((state) => {
    let length = 0
    return {
      score(rows, out) {
        state.score(rows, out)
        if (length > 6) out[9] = NaN
      },
      accept: () => void length++,
    }
  }),
  "gives infinity": mutant(() => ({ score: (_, out) => out.fill(0).fill(Infinity, 5, 6) })),
  "gives NaN for a text": mutant(() => ({ scoreText: ({ text }) => text === "" ? 0 : NaN })),
  "promises NaN for a candidate": mutant(() => ({
    candidates: 4,
    scoreCandidates: ({ ids, written }) =>
      Promise.resolve(ids.map(() => written.length < 6 ? 0 : NaN)),
  })),
}

const chance: Faults = {
  "draws scores": mutant(() => ({
    score(_, out) {
      for (let id = 0; id < out.length; id++) out[id] = Math.random()
    },
  })),
  "draws the score of a text": mutant(() => ({ scoreText: () => Math.random() })),
  "keeps the tokens of all texts in the plugin": (() => {
    const state = counting()
    return mutant(() => state)
  })(),
}

const counter = defineReward({
  name: "counter",
  options: Schema.Struct({ seen: Schema.instanceOf(Float64Array) }),
  open: ({ seen }) => ({
    score(_, out) {
      out.fill(0)
      seen[0]++
    },
  }),
})

const inputs: Faults = {
  "writes to its options": counter({ seen: new Float64Array(1) }),
  "writes to the prompt": defineReward({
    name: "prompt",
    open: (_, { promptIds }) => ({
      score: (_, out) => out.fill(0),
      accept: (id) => void (promptIds as number[]).push(id),
    }),
  }),
}

const apart: Faults = {
  "keeps tokens in the plugin, and forgets them when a text begins": (() => {
    let ids: number[] = []
    return mutant(() => {
      ids = []
      return {
        score: (rows, out) => counting(ids).score(rows, out),
        accept: (id) => void ids.push(id),
      }
    })
  })(),
}

const forks: Faults = {
  "shares its tokens with the copy": mutant((state) => ({ ...state, fork: () => state })),
  "gives a copy that has heard of nothing": mutant((state) => ({
    ...state,
    fork: () => counting(),
  })),
  "throws": mutant((state) => ({
    ...state,
    fork() {
      throw new Error("no")
    },
  })),
}

const rewinds: Faults = {
  "forgets one token only": mutant((state) => ({
    ...state,
    rewind: (count) => state.rewind(Math.min(count, 1)),
  })),
  "forgets nothing": mutant((state) => ({ ...state, rewind: () => {} })),
}

const nothing: Faults = {
  "cuts at -0": mutant(() => {
    let ids: number[] = []
    return {
      score: (rows, out) => counting(ids).score(rows, out),
      accept: (id) => void ids.push(id),
      rewind: (count) => void (ids = ids.slice(0, -count)),
    }
  }),
}

/** Takes the parts that it was given wrongly; their sum does not matter. */
function careless(open: typeof openTwice): PluginNode {
  const plugin = defineReward<never, Parts, Parts>({
    name: "careless",
    options: Schema.Struct({ of: Schema.Array(nodeSchema("reward")) }),
    open: ({ of }, sequence) => open(of, sequence),
  })
  const part = defineReward({ name: "part", open: () => ({ score: (_, out) => out.fill(1) }) })
  return plugin({ of: [part(), part()] })
}

interface Parts {
  readonly of: readonly PluginNode<"reward">[]
}

type Sequence = Parameters<ReturnType<typeof rewardParts>["open"]>[0]

function openTwice(of: Parts["of"], sequence: Sequence) {
  return rewardParts(of).open(sequence).state((out, parts) => parts.score(0, out))
}

const parts: Faults = {
  "never closes them": careless((of, sequence) => {
    const { score } = openTwice(of, sequence)
    return { score: score! }
  }),
  "closes them twice": careless((of, sequence) => {
    const state = openTwice(of, sequence)
    const close = () => {
      state.close!()
      state.close!()
    }
    return { ...state, close }
  }),
  "leaves one open when the other cannot be": careless((of, sequence) => {
    const states = of.map((node) => openTwice([node], sequence))
    return { score: states[0].score!, close: () => states.forEach((state) => state.close!()) }
  }),
}

const numberOf = defineReward({
  name: "numberOf",
  options: Schema.Struct({ by: Schema.NumberFromString }),
  open: ({ by }) => ({ score: (_, out) => out.fill(by) }),
})

const secrets = new WeakMap<object, number>()
const secret = defineReward({
  name: "secret",
  options: Schema.Struct({ by: Schema.Finite }),
  open: (options) => ({ score: (_, out) => out.fill(secrets.get(options) ?? 0) }),
})
const withSecret = secret({ by: 3 })
secrets.set(withSecret.options as object, 5)

const files: Faults = {
  "does not take the options that it has given": numberOf({ by: "0.5" }),
  "does what its options do not say": withSecret,
}

const aborts: Faults = {
  "is left spoilt by a text that ends early": (() => {
    let isSpoilt = false
    return mutant((state) => {
      let length = 0
      return {
        score(rows, out) {
          state.score(rows, out)
          if (isSpoilt) out.fill(-9, 10, 200)
        },
        accept: () => void length++,
        close: () => void (isSpoilt ||= length === 2 || length === 3),
      }
    })
  })(),
}

/** By the check that they fail. */
export const mutants: Readonly<Record<string, Faults>> = {
  "scores every id, or every candidate that it is given": shape,
  "gives numbers, and no infinity but -Infinity": numbers,
  "leaves an id to choose at each step": {
    "rules out all": mutant(() => ({ score: (_, out) => out.fill(-Infinity) })),
  },
  "gives the same scores for the same text": chance,
  "leaves the rows of its models as they are": {
    "works in a row": mutant(() => ({
      score({ one, two }, out) {
        for (let id = 0; id < out.length; id++) out[id] = one[id] = Math.max(one[id], two[id])
      },
    }), twoSources),
  },
  "leaves the candidates as they are": {
    "sorts them": mutant(() => ({
      candidates: 8,
      scoreCandidates: ({ ids }) => (ids as number[]).sort((a, b) => a - b).map(() => 0),
    })),
  },
  "gives the same scores when it is asked again": {
    "counts its calls": mutant(() => {
      let calls = 0
      return { score: (_, out) => out.fill(calls++) }
    }),
    "counts how often candidates were given": mutant(() => {
      let calls = 0
      return { candidates: 5, scoreCandidates: ({ ids }) => ids.map((_, i) => i * calls++) }
    }),
  },
  "leaves its options and the prompt as they are": inputs,
  "gives numbers also where its models rule ids out": {
    "takes a difference of infinities": mutant(() => ({
      score({ one, two }, out) {
        for (let id = 0; id < out.length; id++) out[id] = one[id] - two[id]
      },
    }), twoSources),
  },
  "keeps two texts apart": apart,
  "goes on apart after a fork, in both texts": forks,
  "forgets the tokens that are taken back": rewinds,
  "changes nothing when no tokens are taken back": nothing,
  "closes without an error": {
    "throws": mutant((state) => ({
      ...state,
      close() {
        throw new Error("gone already")
      },
    })),
  },
  "guides a text in a pipeline": {
    "throws in a longer text": mutant(({ score }) => {
      let length = 0
      return {
        score,
        accept() {
          if (++length > 20) throw new Error("too long")
        },
      }
    }),
  },
  "leaves the base alone at weight 0": {
    "comes to write in the base's row": mutant((state) => {
      let length = 0
      return {
        score(rows, out) {
          state.score(rows, out)
          if (length > 6) rows.base.fill(-3)
        },
        accept: () => void length++,
      }
    }, { base: {} }),
  },
  "closes the states of its parts, each once": parts,
  "writes the same text after an abort as before it": aborts,
  "is read back from a file as it was, or says why it cannot be saved": files,
}
