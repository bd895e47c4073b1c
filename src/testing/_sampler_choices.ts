/** Checks of what a sampler chooses: possible ids, the same ones again, and nothing else touched. */
import { randomStream } from "../math/random.ts"
import { printValue } from "../plugin/options.ts"
import type { SamplerState, SamplerStep } from "../plugin/sampler.ts"
import { randomAfter, type SamplerBench, scorer } from "./_sampler_steps.ts"
import { unusualSteps } from "./_sampler_unusual.ts"
import { checkSaid, failingAt } from "./_state_text.ts"
import { type Check, fail } from "./_suite.ts"

/** The checks of what a sampler chooses, each under the name that others build on. */
export interface ChoiceChecks {
  readonly possible: Check
  readonly unusual: Check
  readonly sameText: Check
  readonly scores: Check
  readonly again: Check
  readonly buffers: Check
  readonly anyZero: Check
}

/** Makes the checks. */
export function choiceChecks(bench: SamplerBench): ChoiceChecks {
  const { name, kind, place } = bench

  const choose = (state: SamplerState, step: SamplerStep, where: string): number => {
    const id = state.sample(step)
    if (Number.isInteger(id) && step.scores[id] > -Infinity) return id
    const found = Number.isInteger(id) && id in step.scores
      ? "which is ruled out"
      : "which is no id"
    fail(
      `${name} chose ${printValue(id)} ${where}, ${found}: choose an id from 0 to ` +
        `${step.scores.length - 1} whose score is above -Infinity`,
    )
  }

  const possible: Check = {
    name: "chooses an id that is possible, at each step",
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const scoresAfter = scorer(info)
        const random = randomStream(place.seed)
        for (const id of first) {
          const step = { ...scoresAfter(text.ids), random }
          for (let draw = 0; draw < 20; draw++) {
            choose(text.state, step, `at token ${text.ids.length}`)
          }
          text.accept(id)
        }
      }),
  }

  const unusual: Check = {
    name: "chooses an id that is possible at unusual steps too",
    needs: [possible],
    run: () =>
      bench.inRoom(({ info }) => {
        for (const [where, step] of Object.entries(unusualSteps(info.vocabularySize))) {
          const at = `at the first token, where ${where}`
          failingAt(name, at, () => choose(kind.open(info), step, at))
        }
      }),
  }

  const sameText: Check = {
    name: "chooses the same ids by the same random numbers",
    needs: [possible],
    run: async () => {
      const read = () => bench.inRoom(({ open, first }) => [open().read(first), open().read(first)])
      const [[one, two], [three]] = [await read(), await read()]
      const remedy =
        "Draw from the step's random numbers alone, and keep what a text changes in the " +
        "state that open gives, not in the plugin"
      checkSaid(kind, two, one, { what: `${name} sampled a text twice`, remedy })
      checkSaid(kind, three, one, { what: `${name} sampled a text in two pipelines`, remedy })
    },
  }

  const scores: Check = {
    name: "leaves the scores as they are",
    needs: [possible],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const scoresAfter = scorer(info)
        const out = new Float32Array(info.vocabularySize)
        for (const id of first) {
          const step = scoresAfter(text.ids)
          const before = step.scores.slice()
          text.state.sample({ ...step, random: randomAfter(text.ids, 0) })
          checkUnchanged("sample", step.scores, before)
          text.state.probabilities?.(step, out)
          checkUnchanged("probabilities", step.scores, before)
          text.accept(id)
        }
      }),
  }

  const checkUnchanged = (method: string, scores: Float32Array, before: Float32Array): void => {
    const at = scores.findIndex((score, id) => !Object.is(score, before[id]))
    if (at < 0) return
    fail(
      `${name}: ${method} changed the score of id ${at} from ${before[at]} to ${
        scores[at]
      }. What is ` +
        "told of the token is read from the same scores: work on a copy",
    )
  }

  const again: Check = {
    name: "chooses the same whatever it was asked before",
    needs: [sameText, scores],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const expected = open().read(first)
        const text = open()
        const out = new Float32Array(info.vocabularySize)
        // Of another step: of a draft, say.
        const other = scorer(info)([...first, ...first])
        for (const [step, said] of expected.entries()) {
          const random = counted(randomAfter(first, step))
          text.state.sample({ ...other, random })
          const { drawn } = random
          text.state.probabilities?.(other, out)
          if (random.drawn > drawn) {
            fail(
              `${name} drew a random number in probabilities: draw in sample only, or the text ` +
                "depends on who asked",
            )
          }
          for (let time = 0; time < 2; time++) {
            checkSaid(kind, [text.ask()], [said], {
              what: `${name} was asked about other scores, and then`,
              remedy: "A strategy may ask any number of times: change the state in accept only",
              from: step,
            })
          }
          if (step < first.length) text.accept(first[step])
        }
      }),
  }

  const buffers: Check = {
    name: "keeps no scores beyond their step",
    needs: [sameText],
    run: () =>
      bench.inRoom(({ open, first }) =>
        checkSaid(kind, open("reused").read(first), open("fresh").read(first), {
          what: `${name} was given scores in the memory of those before`,
          remedy: "They are overwritten by the next step: keep numbers, or a copy",
        })
      ),
  }

  const anyZero: Check = {
    name: "chooses the same where all scores are higher by the same",
    needs: [sameText],
    run: () =>
      bench.inRoom(({ info, first }) => {
        // Multiples of 1/256, which float32 can add to without rounding.
        const { scores, weightSum } = scorer(info)(first)
        const low = scores.map((score) => Math.round(score * 256) / 256)
        const said = [0, -64, 64].map((by) => {
          const state = kind.open(info)
          const step = { scores: low.map((score) => score + by), weightSum }
          const ids = Array.from({ length: 50 }, (_, draw) =>
            state.sample({ ...step, random: randomAfter(first, draw) }))
          return { by, ids }
        })
        for (const { by, ids } of said.slice(1)) {
          const draw = ids.findIndex((id, i) =>
            id !== said[0].ids[i]
          )
          if (draw < 0) continue
          fail(
            `${name} chose id ${ids[draw]} instead of ${said[0].ids[draw]} where all scores were ` +
              `${Math.abs(by)} ${by < 0 ? "lower" : "higher"}: they are not normalised, and only ` +
              "their differences mean something. Subtract the greatest, or logSumExp(scores)",
          )
        }
      }),
  }

  return { possible, unusual, sameText, scores, again, buffers, anyZero }
}

/** Random numbers that are counted. */
function counted(random: SamplerStep["random"]) {
  return {
    drawn: 0,
    nextUniform() {
      this.drawn++
      return random.nextUniform()
    },
  }
}
