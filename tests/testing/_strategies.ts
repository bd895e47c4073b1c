/** Strategies that keep their contract, and what mutants of them are made with. */
import { Schema } from "effect"
import {
  type AnyPlugin,
  defineStrategy,
  type GuidedSequence,
  type PluginNode,
  type StrategyDefinition,
} from "genarm/plugin"

/** What writes a text. */
export type Run = (sequence: GuidedSequence) => AsyncIterable<GuidedSequence>

/** A strategy without options. */
export function mutant(
  run: Run,
  more: Pick<StrategyDefinition, "rewards" | "sources"> = {},
): AnyPlugin {
  return defineStrategy({ name: "mutant", ...more as object, run: (_, sequence) => run(sequence) })
}

/** Token after token. */
export async function* plain(sequence: GuidedSequence): AsyncGenerator<GuidedSequence> {
  while (sequence.ended === undefined) {
    await sequence.step()
    yield sequence
  }
}

/** Writes a sequence to its end. */
export async function finish(sequence: GuidedSequence): Promise<void> {
  while (sequence.ended === undefined) await sequence.step()
}

/** The better of two texts, as `worth` has it. */
export function ofTwo(worth: (text: GuidedSequence) => number | Promise<number>): Run {
  return async function* (sequence) {
    await sequence.evaluate()
    const other = sequence.fork()
    const done = await Promise.allSettled([finish(sequence), finish(other)])
    for (const result of done) if (result.status === "rejected") throw result.reason
    const [one, two] = [await worth(sequence), await worth(other)]
    const [best, worse] = one >= two ? [sequence, other] : [other, sequence]
    worse.close()
    yield best
  }
}

/** The sum of ids: something that differs between texts. */
export const sumOf = ({ ids }: GuidedSequence): number => ids.reduce((sum, id) => sum + id, 0)

const draws = defineStrategy({
  name: "draws",
  options: Schema.Struct({ ahead: Schema.Int }),
  sources: () => ({ small: { model: "./small" } }),
  async *run({ ahead }, sequence) {
    const probabilities = new Float32Array(sequence.vocabularySize)
    while (sequence.ended === undefined) {
      // Steps that are taken back leave nothing behind but random numbers that were drawn.
      let taken = 0
      while (taken < ahead && sequence.ended === undefined) {
        await sequence.step()
        taken++
      }
      sequence.rewind(taken)
      const scores = await sequence.evaluate()
      sequence.probabilities(scores, probabilities)
      let left = sequence.random.nextUniform() * probabilities.reduce((a, b) => a + b)
      let id = -1
      for (let i = 0; i < probabilities.length && left >= 0; i++) {
        if (probabilities[i] === 0) continue
        id = i
        left -= probabilities[i]
      }
      await sequence.preview([], { only: sequence.models.small })
      sequence.models.small.logProbs(0, new Float32Array(sequence.vocabularySize))
      sequence.accept(id, Math.min(0, Math.log(probabilities[id])))
      yield sequence
    }
  },
})

const reads = defineStrategy({
  name: "reads",
  options: Schema.Struct({ by: Schema.optionalKey(Schema.String) }),
  rewards: ({ by }) => ({ by }),
  run: ({ by }, sequence) =>
    ofTwo(async (text) => {
      const rewards = await text.rewards()
      return by === undefined ? Object.values(rewards).reduce((a, b) => a + b) : rewards[by]
    })(sequence),
})

/** By what tests call them. */
export const right: Readonly<Record<string, AnyPlugin | PluginNode>> = {
  "one that goes token by token": mutant(plain),
  "one that forks and chooses": mutant(ofTwo(sumOf)),
  "one that goes by a reward": reads({ by: "kind" }),
  "one that goes by all rewards": reads({}),
}

/** Those that have a model of their own beside the base. */
export const rightWithModels: Readonly<Record<string, AnyPlugin | PluginNode>> = {
  "one that draws by itself": draws({ ahead: 0 }),
  "one that looks ahead and goes back": draws({ ahead: 2 }),
}
