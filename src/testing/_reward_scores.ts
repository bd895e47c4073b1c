/** Checks of what a reward gives: scores of every id or candidate, numbers all, the same for the same. */
import { randomStream } from "../math/random.ts"
import type { RewardBench } from "./_reward_bench.ts"
import { atSteps, checkSame, type RewardText } from "./_reward_text.ts"
import { type Check, fail } from "./_suite.ts"

/** What `out` holds before a reward writes to it: added to, it stays as it is. */
const before = [7e30, -7e30]

/** The checks of what a reward gives, each under the name that others build on. */
export interface ScoreChecks {
  readonly fills: Check
  readonly numbers: Check
  readonly choice: Check
  readonly sameText: Check
}

/** Makes the checks. */
export function scoreChecks(bench: RewardBench): ScoreChecks {
  const { name, place } = bench

  const fills: Check = {
    name: "scores every id, or every candidate that it is given",
    run: () =>
      bench.withTexts(async (open) => {
        const text = open()
        await atSteps(text, async () => {
          checkFilled(name, text)
          await checkCounted(name, text)
        })
      }),
  }

  let isStuck = false
  const numbers: Check = {
    name: "gives numbers, and no infinity but -Infinity",
    needs: [fills],
    run: () =>
      bench.withTexts(async (open) => {
        const text = open()
        const random = randomStream(place.seed)
        for (let step = 0; step < 12; step++) {
          const { scores } = await text.ask()
          const id = scores.findIndex((score) => !(score < Infinity))
          if (id >= 0) {
            fail(
              `${name} gave id ${id} the score ${
                scores[id]
              } after ${step} tokens: give a number, ` +
                "or -Infinity to rule an id out",
            )
          }
          const drawn = text.draw(random)
          isStuck = drawn === undefined
          if (drawn === undefined) return
          text.sequence.accept(drawn)
        }
      }),
  }

  const choice: Check = {
    name: "leaves an id to choose at each step",
    needs: [numbers],
    run: () => {
      if (!isStuck) return
      fail(
        `${name} ruled out every id that the base can say: leave at least one, such as the id that ` +
          "ends a text",
      )
    },
  }

  const sameText: Check = {
    name: "gives the same scores for the same text",
    needs: [choice],
    run: async () => {
      const { first } = await bench.texts()
      const remedy =
        "Draw no random numbers, and keep what a text changes in the state that open " +
        "gives, not in the plugin"
      const read = () =>
        bench.withTexts(async (open) => {
          const one = await open().read(first)
          checkSame(await open().read(first), one, `${name} scored a text twice`, remedy)
          return one
        })
      checkSame(await read(), await read(), `${name} scored a text in two pipelines`, remedy)
    },
  }

  return { fills, numbers, choice, sameText }
}

function checkFilled(name: string, { state, term }: RewardText): void {
  if (state.score === undefined) return
  const outs = before.map((value) => new Float32Array(term.scores.length).fill(value))
  for (const out of outs) state.score(term.rows, out)
  const left: number[] = []
  outs[0].forEach((value, id) => {
    const isLeft = outs.every((out, i) => out[id] === Math.fround(before[i]))
    if (isLeft && value !== outs[1][id]) left.push(id)
  })
  if (left.length === 0) return
  const some = left.slice(0, 3).join(", ")
  fail(
    `${name}: score left ${left.length} of ${
      outs[0].length
    } places of out as they were (ids ${some}` +
      `${
        left.length > 3 ? " ..." : ""
      }): set each, with -Infinity for what is ruled out; out holds ` +
      "scores of another step, so that adding to it is not enough",
  )
}

/** As many scores as candidates, of few candidates too. */
async function checkCounted(name: string, text: RewardText): Promise<void> {
  const { state } = text
  if (state.scoreCandidates === undefined) return
  for (const count of new Set([state.candidates ?? 1, 1])) {
    const given = await text.settle(state.scoreCandidates(text.candidates(count)))
    const found = (given as ArrayLike<number> | undefined)?.length
    if (found === count) continue
    fail(
      `${name}: scoreCandidates gave ${found ?? "no"} scores for ${
        count === 1 ? "one candidate" : `${count} candidates`
      }: give one for ` +
        "each, in their order, also of fewer than it asks for",
    )
  }
}
