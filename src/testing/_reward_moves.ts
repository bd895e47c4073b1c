/** Checks of what a reward keeps of a text: it goes by the tokens alone, through forks and rewinds. */
import type { InputChecks } from "./_reward_inputs.ts"
import type { ScoreChecks } from "./_reward_scores.ts"
import type { RewardBench } from "./_reward_bench.ts"
import { checkSame, type RewardText, type Said } from "./_reward_text.ts"
import type { Check } from "./_suite.ts"

/** The checks of what a reward keeps. */
export interface MoveChecks {
  readonly again: Check
  readonly apart: Check
  readonly fork: Check
  readonly rewind: Check
  readonly nothing: Check
}

/** Makes the checks. */
export function moveChecks(
  bench: RewardBench,
  { sameText }: ScoreChecks,
  { rows, candidates }: InputChecks,
): MoveChecks {
  const { name } = bench
  /** What is said of a text that nothing disturbs. */
  const alone = (ids: readonly number[]) => bench.withTexts((open) => open().read(ids))

  const again: Check = {
    name: "gives the same scores when it is asked again",
    needs: [sameText, rows, candidates],
    run: async () => {
      const { first } = await bench.texts()
      await bench.withTexts(async (open) => {
        const text = open()
        for (let step = 0; step <= first.length; step++) {
          const said = await text.ask()
          checkSame(
            [await text.ask()],
            [said],
            `${name} was asked twice, and the second time`,
            "A strategy may ask any number of times: change the state in accept only",
            step,
          )
          if (step < first.length) text.sequence.accept(first[step])
        }
      })
    },
  }

  const apart: Check = {
    name: "keeps two texts apart",
    needs: [again],
    run: async () => {
      const { first, other } = await bench.texts()
      const expected = [await alone(first), await alone(other)]
      await bench.withTexts(async (open) => {
        const said = await inTurns([open(), open()], [first, other])
        for (const [i, found] of said.entries()) {
          checkSame(
            found,
            expected[i],
            `${name} read two texts at once, and one changed the other`,
            "Keep what belongs to a text in the state that open gives, not in the plugin",
          )
        }
      })
    },
  }

  const fork: Check = {
    name: "goes on apart after a fork, in both texts",
    needs: [apart],
    run: async () => {
      const { first, branch, shared } = await bench.texts()
      const [one, two] = [await alone(first), await alone(branch)]
      await bench.withTexts(async (open) => {
        const text = open()
        await text.read(first.slice(0, shared))
        if (!text.follows("fork")) return
        const copy = text.fork()
        try {
          const said = await inTurns([text, copy], [first.slice(shared), branch.slice(shared)])
          const remedy = "fork gives a state of its own, with copies of what accept changes"
          checkSame(
            said[0],
            one.slice(shared),
            `${name} was forked, and the first text`,
            remedy,
            shared,
          )
          checkSame(said[1], two.slice(shared), `${name} was forked, and the copy`, remedy, shared)
        } finally {
          copy.close()
        }
        checkSame(
          [await text.ask()],
          one.slice(-1),
          `${name} was forked and the copy closed, and the first text`,
          "close frees what its own state holds; what a fork shares must live as long as both",
          first.length,
        )
      })
    },
  }

  const rewind: Check = {
    name: "forgets the tokens that are taken back",
    needs: [apart],
    run: async () => {
      const { first, branch, shared } = await bench.texts()
      const [one, two] = [await alone(first), await alone(branch)]
      const remedy = "rewind(count) forgets the last count tokens that accept has heard of"
      await bench.withTexts(async (open) => {
        const text = open()
        await text.read(first)
        if (!text.follows("rewind")) return
        text.rewind(first.slice(shared))
        const said = await text.read(branch.slice(shared))
        checkSame(
          said,
          two.slice(shared),
          `${name} was rewound from ${first.length} tokens to ${shared}, and then`,
          remedy,
          shared,
        )
        text.rewind(branch)
        checkSame(
          await text.read(first),
          one,
          `${name} was rewound to the prompt, and then`,
          remedy,
        )
      })
    },
  }

  const nothing: Check = {
    name: "changes nothing when no tokens are taken back",
    needs: [apart],
    run: async () => {
      const { first } = await bench.texts()
      const expected = await alone(first)
      await bench.withTexts(async (open) => {
        const text = open()
        await text.read(first)
        if (!text.follows("rewind")) return
        text.state.rewind?.(0)
        checkSame(
          [await text.ask()],
          expected.slice(-1),
          `${name} was told rewind(0), and then`,
          "Nothing is forgotten then; ids.slice(0, -0) is empty",
          first.length,
        )
      })
    },
  }

  return { again, apart, fork, rewind, nothing }
}

/** Reads two texts at the same time, one token of each in turn. */
async function inTurns(
  texts: readonly RewardText[],
  ids: readonly (readonly number[])[],
): Promise<Said[][]> {
  const said: Said[][] = texts.map(() => [])
  for (const [i, text] of texts.entries()) said[i].push(await text.ask())
  for (let step = 0; step < Math.max(...ids.map(({ length }) => length)); step++) {
    for (const [i, text] of texts.entries()) {
      if (step >= ids[i].length) continue
      text.sequence.accept(ids[i][step])
      said[i].push(await text.ask())
    }
  }
  return said
}
