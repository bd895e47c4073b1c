/** Checks of what a reward is given: it is left as it was, and may be impossible. */
import { isDeepStrictEqual } from "node:util"
import { snapshot } from "./_nodes.ts"
import type { RewardBench } from "./_reward_bench.ts"
import type { ScoreChecks } from "./_reward_scores.ts"
import { atSteps } from "./_reward_text.ts"
import { type Check, fail } from "./_suite.ts"

/** The checks of what a reward is given. */
export interface InputChecks {
  readonly rows: Check
  readonly candidates: Check
  readonly options: Check
  readonly impossible: Check
}

/** Makes the checks. */
export function inputChecks(
  bench: RewardBench,
  { fills, numbers, choice }: ScoreChecks,
): InputChecks {
  const { name } = bench

  const rows: Check = {
    name: "leaves the rows of its models as they are",
    needs: [fills],
    run: () =>
      bench.withTexts(async (open) => {
        const text = open()
        await atSteps(text, () => {
          const { state, term } = text
          if (state.score === undefined) return
          const rows = Object.entries(term.rows).map(([source, row]) => ({
            source,
            row,
            before: row.slice(),
          }))
          state.score(term.rows, new Float32Array(term.scores.length))
          for (const { source, row, before } of rows) {
            const id = row.findIndex((value, id) => !Object.is(value, before[id]))
            if (id < 0) continue
            fail(
              `${name} changed the row of "${source}": id ${id} was ${before[id]} and is ` +
                `${row[id]}. Other rewards read the same row: write to out, or to a copy`,
            )
          }
        })
      }),
  }

  const candidates: Check = {
    name: "leaves the candidates as they are",
    needs: [fills],
    run: () =>
      bench.withTexts(async (open) => {
        const text = open()
        await atSteps(text, async () => {
          if (text.state.scoreCandidates === undefined) return
          const given = text.candidates()
          const { ids, texts, written } = given
          const before = snapshot({ ids, texts, written })
          await text.settle(text.state.scoreCandidates(given))
          if (isDeepStrictEqual({ ids, texts, written }, before)) return
          fail(
            `${name} changed the candidates that it was given: scores are matched to them by their ` +
              "places. Sort or cut a copy",
          )
        })
      }),
  }

  const options: Check = {
    name: "leaves its options and the prompt as they are",
    needs: [choice],
    run: async () => {
      const { first } = await bench.texts()
      const before = snapshot(bench.node.options)
      await bench.withTexts(async (open) => {
        const text = open()
        const prompt = [...text.sequence.promptIds]
        await text.read(first)
        if (!isDeepStrictEqual([...text.sequence.promptIds], prompt)) {
          fail(`${name} changed the promptIds that it was opened with: change a copy`)
        }
      })
      if (isDeepStrictEqual(snapshot(bench.node.options), before)) return
      fail(
        `${name} changed its options while a text was read: texts share them. Copy them in open, ` +
          "and change the copy",
      )
    },
  }

  const impossible: Check = {
    name: "gives numbers also where its models rule ids out",
    needs: [numbers],
    run: () =>
      bench.withTexts(async (open) => {
        const text = open()
        await text.ask()
        const { state, term } = text
        if (state.score === undefined) return
        const sources = Object.keys(term.rows)
        // The first third is impossible for all, and then one after the other for each alone.
        const rows = Object.fromEntries(sources.map((source, i) => {
          const isOut = (id: number) => id % 7 < 2 || id % 7 === 2 + i % 5
          return [source, term.rows[source].map((value, id) => isOut(id) ? -Infinity : value)]
        }))
        const out = new Float32Array(term.scores.length)
        state.score(rows, out)
        const id = out.findIndex((score) => !(score < Infinity))
        if (id < 0) return
        const found = sources.map((source) => `${source}: ${rows[source][id]}`).join(", ")
        fail(
          `${name} gave id ${id} the score ${
            out[id]
          } where the rows have ${found}: a model may give ` +
            "an id no probability at all, and -Infinity less -Infinity is NaN. Give a number or -Infinity",
        )
      }),
  }

  return { rows, candidates, options, impossible }
}
