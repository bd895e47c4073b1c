/** Strategies that each break one promise of their contract, by the check that finds it. */
import { Schema } from "effect"
import { GenArmError } from "genarm"
import { type AnyPlugin, defineStrategy, type GuidedSequence, type PluginNode } from "genarm/plugin"
import { finish, mutant, ofTwo, plain, sumOf } from "./_strategies.ts"

/** Faults of one check, by what they are. */
type Faults = Readonly<Record<string, AnyPlugin | PluginNode>>

/** Does something with the first sequence, and goes on token by token. */
const first = (work: (sequence: GuidedSequence) => unknown): AnyPlugin =>
  mutant(async function* (sequence) {
    await work(sequence)
    yield* plain(sequence)
  })

const writes: Faults = {
  "returns before the end": mutant(async function* (sequence) {
    await sequence.step()
    yield sequence
  }),
  "yields nothing": mutant(async function* (sequence) {
    await finish(sequence)
    if (sequence.ended === undefined) yield sequence
  }),
  "yields the same token for ever": mutant(async function* (sequence) {
    await sequence.step()
    for (;;) yield sequence
  }),
  "evaluates for ever": mutant(async function* (sequence) {
    for (;;) {
      await sequence.evaluate()
      if (sequence.ids.length > 99) yield sequence
    }
  }),
  "forks for ever": first((sequence) => {
    for (;;) sequence.fork().close()
  }),
  "yields texts that do not go on from each other": mutant(async function* (sequence) {
    const other = sequence.fork()
    await Promise.all([sequence.step(), other.step()])
    yield sequence
    await finish(other)
    yield other
  }),
  "yields no sequence": mutant(async function* (sequence) {
    await sequence.step()
    yield { ...sequence }
  }),
  "throws": first(() => {
    throw new Error("no")
  }),
  "accepts before it evaluates": first((sequence) => sequence.accept(0, 0)),
  "uses a model that it does not declare": first((sequence) =>
    sequence.models.small.logProbs(0, new Float32Array(sequence.vocabularySize))
  ),
  "uses a sequence that it has closed": mutant(async function* (sequence) {
    const copy = sequence.fork()
    sequence.close()
    await sequence.step()
    yield copy
  }),
}

const ends: Faults = {
  "goes on after the end": mutant(async function* (sequence) {
    while (sequence.room > 0) await sequence.step()
    yield sequence
  }),
  "takes two tokens at a time": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      await sequence.step()
      await sequence.step()
      yield sequence
    }
  }),
  "previews more than there is room for": first((sequence) => sequence.preview([5, 6])),
}

const choices: Faults = {
  "counts on four possible tokens": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      const scores = await sequence.evaluate()
      const ids = scores.reduce<number[]>(
        (ids, score, id) => score > -Infinity ? [...ids, id] : ids,
        [],
      )
      if (ids.length > 0) sequence.accept(ids[3], 0)
      else await sequence.step()
      yield sequence
    }
  }),
}

const sameText: Faults = {
  "draws from elsewhere": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      if (Math.random() < 0.5) sequence.random.nextUniform()
      await sequence.step()
      yield sequence
    }
  }),
  "counts texts in the plugin": (() => {
    let texts = 0
    return mutant(async function* (sequence) {
      for (let i = texts++; i > 0; i--) sequence.random.nextUniform()
      const other = sequence.fork()
      sequence.close()
      yield* plain(other)
    })
  })(),
  "keeps tokens in the plugin": (() => {
    let last = 0
    return mutant(async function* (sequence) {
      last = 0
      while (sequence.ended === undefined) {
        if (last % 2 === 1) {
          const scores = await sequence.evaluate()
          const id = scores.indexOf(Math.max(...scores))
          if (id >= 0) sequence.accept(id, 0)
          else await sequence.step()
        } else await sequence.step()
        last = sequence.ids.at(-1)!
        yield sequence
      }
    })
  })(),
}

const rewards: Faults = {
  "goes by the sum of all, and declares none": mutant(
    ofTwo(async (text) => Object.values(await text.rewards()).reduce((a, b) => a + b)),
  ),
  "goes by the last, and declares another": mutant(
    ofTwo(async (text) => Object.values(await text.rewards()).at(-1)!),
    { rewards: () => ({ by: "kind" }) },
  ),
}

const sequences: Faults = {
  "normalises the scores where they lie": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      const scores = await sequence.evaluate()
      const greatest = Math.max(...scores)
      if (greatest > -Infinity) scores.forEach((score, id) => scores[id] = score - greatest)
      await sequence.step()
      yield sequence
    }
  }),
  "writes probabilities over the scores of a copy": first(async (sequence) => {
    const copy = sequence.fork()
    const scores = await copy.evaluate()
    scores[3] = -1
    copy.close()
  }),
  "writes to the prompt": first(({ promptIds }) => {
    const ids = promptIds as number[]
    ids.push(ids[0])
  }),
  "reverses the ids, and back": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      await sequence.step()
      const ids = sequence.ids as number[]
      ids.reverse()
      await sequence.rewards()
      ids.reverse()
      yield sequence
    }
  }),
}

const noted = defineStrategy({
  name: "noted",
  options: Schema.Struct({ seen: Schema.instanceOf(Float64Array) }),
  run: ({ seen }, sequence) => {
    seen[0]++
    return plain(sequence)
  },
})

const waits: Faults = {
  "fails with the first of two that fails": mutant(async function* (sequence) {
    const other = sequence.fork()
    await Promise.all([finish(sequence), finish(other)])
    other.close()
    yield sequence
  }),
  "begins something that it does not await": mutant(async function* (sequence) {
    await sequence.evaluate()
    const other = sequence.fork()
    finish(other).catch(() => {})
    for (let i = 0; i < 2 && sequence.ended === undefined; i++) await sequence.step()
    other.close()
    yield sequence
    yield* plain(sequence)
  }),
}

const closes: Faults = {
  "leaves a copy open": first((sequence) => void sequence.fork()),
  "leaves the one it was given open": mutant((sequence) => plain(sequence.fork())),
  "closes after the last yield": mutant(async function* (sequence) {
    const other = sequence.fork()
    await finish(sequence)
    yield sequence
    other.close()
  }),
}

const passesOn: Faults = {
  "hides what failed": mutant(async function* (sequence) {
    try {
      yield* plain(sequence)
    } catch {
      throw new Error("something went wrong")
    }
  }),
  "makes something of what a reward rules out": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      const scores = await sequence.evaluate()
      if (!(Math.max(...scores) > -Infinity)) throw new Error("nothing to choose from")
      await sequence.step()
      yield sequence
    }
  }),
  "hides that it cannot fork": first((sequence) => {
    try {
      sequence.fork().close()
    } catch {
      throw new Error("take another strategy")
    }
  }),
  "hides that it cannot rewind": first(async (sequence) => {
    await sequence.step()
    try {
      sequence.rewind(1)
    } catch {
      throw new Error("take another strategy")
    }
  }),
  "hides that it asks for probabilities": first(async (sequence) => {
    const scores = await sequence.evaluate()
    if (!(Math.max(...scores) > -Infinity)) return
    try {
      sequence.probabilities(scores, new Float32Array(scores.length))
    } catch {
      throw new Error("take another sampler")
    }
  }),
}

const aborts: Faults = {
  "tries again when it is aborted": mutant(async function* (sequence) {
    while (sequence.ended === undefined) {
      try {
        await sequence.step()
      } catch (error) {
        if (!(error instanceof GenArmError && error.reason._tag === "Aborted")) throw error
      }
      yield sequence
    }
  }),
  "is left spoilt by a text that ends early": (() => {
    let isSpoilt = false
    return mutant(async function* (sequence) {
      const chosen = isSpoilt ? sequence.fork() : sequence
      if (isSpoilt) sequence.close()
      for (let i = 0; i < 2 && chosen.ended === undefined; i++) await chosen.step()
      isSpoilt = true
      await finish(chosen)
      isSpoilt = false
      yield chosen
    })
  })(),
}

const shifted = defineStrategy({
  name: "shifted",
  options: Schema.Struct({ by: Schema.NumberFromString }),
  run: (_, sequence) => plain(sequence),
})

const secrets = new WeakMap<object, boolean>()
const secret = defineStrategy({
  name: "secret",
  options: Schema.Struct({ by: Schema.Finite }),
  run: (options, sequence) =>
    secrets.has(options) ? ofTwo(sumOf)(sequence) : ofTwo((text) => -sumOf(text))(sequence),
})
const withSecret = secret({ by: 3 })
secrets.set(withSecret.options as object, true)

const files: Faults = {
  "does not take the options that it has given": shifted({ by: "0.5" }),
  "does what its options do not say": withSecret,
}

/** By the check that they fail. */
export const mutants: Readonly<Record<string, Faults>> = {
  "writes a text to its end": writes,
  "ends a text wherever it may end": ends,
  "writes a text where there is little to choose from": choices,
  "writes the same text by the same seed": sameText,
  "goes by no rewards but those that it asks for": rewards,
  "leaves the scores and the tokens of its sequences as they are": sequences,
  "leaves its options as they are": {
    "writes to its options": noted({ seen: new Float64Array(1) }),
  },
  "waits for all that it has begun, also where some of it fails": waits,
  "closes the sequences that it does not yield": closes,
  "passes on what fails": passesOn,
  "ends when it is aborted, and writes the same text afterwards": aborts,
  "is read back from a file as it was, or says why it cannot be saved": files,
}
