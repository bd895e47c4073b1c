/** Checks of what a schedule gives: finite weights, at unusual steps too, the same ones again. */
import { isDeepStrictEqual } from "node:util"
import { printValue } from "../plugin/options.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import type { ScheduleStep } from "../plugin/schedule.ts"
import { snapshot } from "./_nodes.ts"
import { maxTokens, type ScheduleBench, stepper } from "./_schedule_steps.ts"
import { checkSaid, failingAt } from "./_state_text.ts"
import { type Check, fail } from "./_suite.ts"

/** The checks of what a schedule gives, each under the name that others build on. */
export interface WeightChecks {
  readonly finite: Check
  readonly unusual: Check
  readonly sameText: Check
  readonly rows: Check
  readonly again: Check
  readonly buffers: Check
}

/** Makes the checks. */
export function weightChecks(bench: ScheduleBench): WeightChecks {
  const { name, kind } = bench

  const checkWeight = (weight: unknown, where: string): void => {
    if (typeof weight === "number" && Number.isFinite(Math.fround(weight))) return
    fail(
      `${name} gave the weight ${
        printValue(weight)
      } ${where}: give a finite number, at most 3.4e38 as float32 ` +
        "has it; 0 leaves the reward out",
    )
  }

  const finite: Check = {
    name: "gives a finite weight at each step",
    run: () =>
      bench.inRoom(({ open, other, first }) => {
        const ids = [...first, ...other].slice(0, maxTokens - 1)
        open().read(ids).forEach((weight, at) => checkWeight(weight, `at token ${at}`))
      }),
  }

  const unusual: Check = {
    name: "gives a finite weight at unusual steps too",
    needs: [finite],
    run: () =>
      bench.inRoom(({ info }) => {
        for (const [where, step] of Object.entries(unusualSteps(info))) {
          const { length: vocabularySize } = step.scores
          const at = `at the first token, where ${where}`
          failingAt(name, at, () => {
            checkWeight(kind.open({ ...info, vocabularySize }).weight(step), at)
          })
        }
      }),
  }

  const sameText: Check = {
    name: "gives the same weights for the same text",
    needs: [finite],
    run: async () => {
      const read = () => bench.inRoom(({ open, first }) => [open().read(first), open().read(first)])
      const [[one, two], [three]] = [await read(), await read()]
      const remedy =
        "Draw no random numbers, and keep what a text changes in the state that open " +
        "gives, not in the plugin"
      checkSaid(kind, two, one, { what: `${name} weighed a text twice`, remedy })
      checkSaid(kind, three, one, { what: `${name} weighed a text in two pipelines`, remedy })
    },
  }

  const rows: Check = {
    name: "leaves the step that it is given as it is",
    needs: [finite],
    run: () =>
      bench.inRoom(({ open, first, info }) => {
        const text = open()
        const stepAfter = stepper(info)
        for (const id of first) {
          const step = stepAfter(text.ids)
          const before = snapshot(step) as ScheduleStep
          text.state.weight(step)
          for (const row of ["base", "scores"] as const) {
            const at = step[row].findIndex((value, id) => !Object.is(value, before[row][id]))
            if (at < 0) continue
            fail(
              `${name} changed ${row}: id ${at} was ${before[row][at]} and is ${
                step[row][at]
              }. The ` +
                "text is written from it: work on a copy",
            )
          }
          if (!isDeepStrictEqual(snapshot(step), before)) {
            fail(`${name} changed the step that it was given: change nothing in it`)
          }
          text.accept(id)
        }
      }),
  }

  const again: Check = {
    name: "gives the same weight when it is asked again",
    needs: [sameText, rows],
    run: () =>
      bench.inRoom(({ open, first }) => {
        const expected = open().read(first)
        const text = open()
        for (const [step, weight] of expected.entries()) {
          for (let time = 0; time < 3; time++) {
            checkSaid(kind, [text.ask()], [weight], {
              what: `${name} was asked again`,
              remedy: "A strategy may ask any number of times: change the state in accept only",
              from: step,
            })
          }
          if (step < first.length) text.accept(first[step])
        }
      }),
  }

  const buffers: Check = {
    name: "keeps neither base nor scores beyond their step",
    needs: [sameText],
    run: () =>
      bench.inRoom(({ open, first }) =>
        checkSaid(kind, open("reused").read(first), open("fresh").read(first), {
          what: `${name} was given a step in the memory of the one before`,
          remedy: "Rows are overwritten by the next step: keep numbers, or a copy",
        })
      ),
  }

  return { finite, unusual, sameText, rows, again, buffers }
}

/** First steps that are seldom met, by what is unusual about them. */
function unusualSteps(info: SequenceInfo): Record<string, ScheduleStep> {
  const usual = stepper(info, "fresh")([])
  const { base, scores } = usual
  const only = (ids: readonly number[], value: number, otherwise = -Infinity) =>
    base.map((_, id) => ids.includes(id) ? value : otherwise)
  const likeliest = base.indexOf(base.reduce((a, b) => Math.max(a, b)))
  const another = (likeliest + 1) % base.length
  const having = (parts: Partial<ScheduleStep>): ScheduleStep => ({ ...usual, ...parts })
  return {
    "it is the only token": having({ maxTokens: 1 }),
    "a very long text may follow": having({ maxTokens: 2 ** 31 }),
    "no token is before it": having({ lastId: undefined }),
    "the base is sure of one id": having({ base: only([likeliest], 0) }),
    "the base gives all ids the same": having({ base: base.map(() => -Math.log(base.length)) }),
    "all scores are 0": having({ scores: only([], 0, 0) }),
    "all scores are the same": having({ scores: only([], 0, -3) }),
    "all scores are large": having({ scores: scores.map((score) => score * 1000) }),
    "all scores but one are -Infinity": having({ scores: only([likeliest], 1) }),
    "the scores rule out all that the base can say": having({
      base: only([likeliest], 0),
      scores: only([another], 0),
    }),
    "all scores are -Infinity": having({ scores: only([], 0) }),
    "the reward scores fewer ids than the base has": having({
      scores: scores.slice(0, Math.ceil(0.9 * scores.length)),
    }),
  }
}
