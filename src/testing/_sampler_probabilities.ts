/** Checks of what a sampler says of its own choices: that it chooses as it says. */
import { logSumExp } from "../math/log_sum_exp.ts"
import { randomStream } from "../math/random.ts"
import type { SamplerState } from "../plugin/sampler.ts"
import type { ChoiceChecks } from "./_sampler_choices.ts"
import { isClose, randomAfter, type SamplerBench, scorer, type Scores } from "./_sampler_steps.ts"
import { unusualSteps } from "./_sampler_unusual.ts"
import { type Check, fail } from "./_suite.ts"

/** How often ids are drawn where they are counted. */
const drawn = 1000
/** Ids that are expected less often are counted together too. */
const rare = 8
/** How far a count may be off by chance: standard deviations, and what small counts need beside. */
const [deviations, few] = [6, 8]

/** The checks of what a sampler tells. */
export interface ProbabilityChecks {
  readonly logs: Check
  readonly often: Check
  readonly all: Check
  readonly agree: Check
  readonly normalizer: Check
}

/** Makes the checks. */
export function probabilityChecks(
  bench: SamplerBench,
  { possible, unusual, sameText }: ChoiceChecks,
): ProbabilityChecks {
  const { name, place, kind } = bench

  const logs: Check = {
    name: "gives the log of a probability for what it has chosen",
    needs: [unusual],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        open().read(first).forEach(({ ids, logs }, at) =>
          logs.forEach((log, draw) => checkLog(ids[draw], log, `at token ${at}`))
        )
        for (const [where, step] of Object.entries(unusualSteps(info.vocabularySize))) {
          const state = kind.open(info)
          const id = state.sample(step)
          checkLog(id, state.logProbability(id), `at the first token, where ${where}`)
        }
      }),
  }

  const checkLog = (id: number, log: number, where: string): void => {
    if (log > -Infinity && log <= 1e-6) return
    fail(
      `${name}: logProbability was ${log} for id ${id}, which it had chosen ${where}: give the ` +
        "natural log of the probability with which it did, 0 for a certain choice",
    )
  }

  const often: Check = {
    name: "chooses as often as it says",
    needs: [logs, sameText],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const scoresAfter = scorer(info)
        for (const id of first.slice(0, 2)) {
          const step = { ...scoresAfter(text.ids), random: randomStream(place.seed) }
          const counts = new Map<number, { expected: number; found: number }>()
          for (let draw = 0; draw < drawn; draw++) {
            const id = text.state.sample(step)
            const known = counts.get(id)
            if (known !== undefined) known.found++
            else {
              const expected = drawn * Math.exp(text.state.logProbability(id))
              counts.set(id, { expected, found: 1 })
            }
          }
          checkCounts(text.ids.length, counts)
          text.accept(id)
        }
      }),
  }

  /** Each id that is drawn often, and all others together. */
  const checkCounts = (
    at: number,
    counts: ReadonlyMap<number, { readonly expected: number; readonly found: number }>,
  ): void => {
    let [expectedRest, foundRest] = [drawn, drawn]
    const check = (who: string, found: number, expected: number): void => {
      const deviation = Math.sqrt(Math.max(0, expected * (1 - expected / drawn)))
      if (Math.abs(found - expected) <= few + deviations * deviation) return
      fail(
        `${name} chose ${who} ${found} times of ${drawn} at token ${at}, expected about ` +
          `${
            Math.round(expected)
          } by its logProbability: say the probability after temperature and ` +
          "truncation, and choose by it",
      )
    }
    for (const [id, { expected, found }] of counts) {
      check(`id ${id}`, found, expected)
      // By what is expected alone: those that came often would make the others seem to come seldom.
      if (expected < rare) continue
      expectedRest -= expected
      foundRest -= found
    }
    check("the ids that are rare", foundRest, expectedRest)
  }

  const all: Check = {
    name: "writes the probability of every id, where it tells them",
    needs: [unusual],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const scoresAfter = scorer(info)
        for (const id of first) {
          checkAll(text.state, scoresAfter(text.ids), `at token ${text.ids.length}`)
          text.accept(id)
        }
        for (const [where, step] of Object.entries(unusualSteps(info.vocabularySize))) {
          checkAll(kind.open(info), step, `at the first token, where ${where}`)
        }
      }),
  }

  const checkAll = (state: SamplerState, step: Scores, where: string): void => {
    if (state.probabilities === undefined) return
    const { scores } = step
    const [out, other] = [3, -3].map((before) => new Float32Array(scores.length).fill(before))
    state.probabilities(step, out)
    state.probabilities(step, other)
    const left = out.findIndex((p, id) => p === 3 && other[id] === -3)
    if (left >= 0) {
      fail(`${name}: probabilities left place ${left} of out as it was ${where}: set each, 0 too`)
    }
    const wrong = out.findIndex((p) => !(p >= 0 && p <= 1 + 1e-4))
    if (wrong >= 0) {
      fail(`${name} gave id ${wrong} the probability ${out[wrong]} ${where}: expected 0 to 1`)
    }
    const excluded = out.findIndex((p, id) => p > 0 && scores[id] === -Infinity)
    if (excluded >= 0) {
      fail(
        `${name} gave id ${excluded} the probability ${
          out[excluded]
        } ${where}, and its score is -Infinity: ` +
          "expected 0",
      )
    }
    const sum = out.reduce((a, b) => a + b, 0)
    if (Math.abs(sum - 1) > 1e-3) {
      fail(`${name} gave probabilities that add up to ${sum} ${where}: expected 1`)
    }
  }

  const agree: Check = {
    name: "says the same by probabilities and by logProbability, where it has both",
    needs: [logs, all],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const scoresAfter = scorer(info)
        const out = new Float32Array(info.vocabularySize)
        for (const id of first) {
          const { state, ids } = text
          if (state.probabilities === undefined) return
          const step = scoresAfter(ids)
          state.probabilities(step, out)
          const after = Float64Array.from(out, (_, id) => state.logProbability(id))
          const chosen = state.sample({ ...step, random: randomAfter(ids, 0) })
          const said = { id: chosen, log: state.logProbability(chosen) }
          for (const [id, p] of out.entries()) {
            checkAgree(ids.length, id, p, after[id], "after probabilities")
          }
          checkAgree(ids.length, said.id, out[said.id], said.log, "after sample")
          text.accept(id)
        }
      }),
  }

  const checkAgree = (at: number, id: number, p: number, log: number, when: string): void => {
    // Less than float32 can hold may be told as 0 by one of them.
    if (isClose(Math.exp(log), p, 1e-3) || Math.exp(log) + p < 1e-30) return
    fail(
      `${name}: probabilities gave id ${id} ${p} at token ${at}, whose log is ${
        Math.log(p)
      }, and ` +
        `logProbability, asked ${when}, ${log}: expected the same`,
    )
  }

  const normalizer: Check = {
    name: "tells the log of the sum of exp(scores), or nothing",
    needs: [possible],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const [scoresAfter, othersAfter] = [scorer(info), scorer(info)]
        const out = new Float32Array(info.vocabularySize)
        const check = ({ scores }: Scores, when: string): void => {
          const found = text.state.logNormalizer
          const expected = logSumExp(scores)
          if (found === undefined || isClose(found, expected)) return
          fail(
            `${name}: logNormalizer was ${found} after ${when} at token ${text.ids.length}, and ` +
              `logSumExp(scores) is ${expected}: leave it out where temperature or penalties make it ` +
              "another",
          )
        }
        for (const id of first) {
          const { state, ids } = text
          const step = scoresAfter(ids)
          state.sample({ ...step, random: randomAfter(ids, 0) })
          check(step, "sample")
          // Of other scores, so that what sample has left there shows.
          const other = othersAfter([...ids, ...ids, id])
          state.probabilities?.(other, out)
          if (state.probabilities !== undefined) check(other, "probabilities")
          text.accept(id)
        }
      }),
  }

  return { logs, often, all, agree, normalizer }
}
