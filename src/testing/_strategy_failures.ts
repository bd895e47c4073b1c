/** Checks of a strategy where something fails, or is aborted, and of what becomes of it in a file. */
import { GenArmError } from "../errors.ts"
import { savedAndRead } from "./_saved.ts"
import { graphOf } from "./_scope.ts"
import { type Around, describe, type Outcome, type StrategyBench } from "./_strategy_bench.ts"
import { brittle, type Failure, silent, stuck } from "./_strategy_rewards.ts"
import type { TextChecks } from "./_strategy_texts.ts"
import { type Check, fail } from "./_suite.ts"
import { checkSameText } from "./_same_text.ts"

/** The checks of failures. */
export interface FailureChecks {
  readonly passesOn: Check
  readonly aborts: Check
  readonly saves: Check
}

/** Makes the checks. */
export function failureChecks(
  bench: StrategyBench,
  { writes, sameText }: TextChecks,
): FailureChecks {
  const { name, node, place } = bench

  /** Fails unless the text fails as it must, or may be written and is. */
  const check = (
    where: string,
    around: Around,
    isExpected: (outcome: Outcome) => boolean,
    expected: string,
  ): Promise<void> =>
    bench.inRoom(async ({ attempt }) => {
      const outcome = await attempt()
      if (isExpected(outcome)) return
      fail(
        `${name} came to ${
          describe(outcome)
        } where ${where}: expected ${expected}. Let errors of ` +
          "the sequence's methods pass",
      )
    }, around)

  const passesOn: Check = {
    name: "passes on what fails",
    needs: [writes],
    run: async () => {
      for (const [failure, { isExpected, expected }] of Object.entries(failures)) {
        for (const after of [0, 1, 4]) {
          const reward = brittle({ after, failure: failure as Failure })
          const around = { rewards: { brittle: { reward, weight: 1 } } }
          await check(`a reward ${failure} after ${after} tokens`, around, isExpected, expected)
        }
      }
      for (const lacks of ["fork", "rewind"] as const) {
        await check(
          `a reward hears of tokens, and has no ${lacks}`,
          { rewards: { stuck: { reward: stuck({ lacks }), weight: 1 } } },
          (outcome) => "text" in outcome || failsBy("PluginFailed", "stuck")(outcome),
          "a text, or the error that says what the reward lacks",
        )
      }
      await check(
        "the sampler does not tell its probabilities",
        { sampler: silent() },
        (outcome) => "text" in outcome || failsBy("PluginFailed", "silent")(outcome),
        "a text, or the error that says what the sampler lacks",
      )
    },
  }

  const aborts: Check = {
    name: "ends when it is aborted, and writes the same text afterwards",
    needs: [sameText],
    run: async () => {
      await bench.inRoom(async ({ write, attempt, watched }) => {
        const before = await write()
        const calls = watched.runs[0].calls
        for (const share of [0, 0.3, 0.7]) {
          const stop = new AbortController()
          const at = Math.floor(share * calls)
          watched.onCall = (run) => {
            if (run.calls === at) stop.abort(new Error("enough"))
          }
          const outcome = await attempt({ signal: stop.signal })
          watched.onCall = undefined
          if (!failsBy("Aborted")(outcome)) {
            fail(
              `${name} came to ${
                describe(outcome)
              } when it was aborted: expected the error of the ` +
                "abort. Let errors of the sequence's methods pass",
            )
          }
        }
        checkSameText(
          `${name} wrote a text after others had been aborted`,
          await write(),
          before,
          "begin each text anew in run, and leave nothing half done in the plugin",
        )
      })
    },
  }

  const saves: Check = {
    name: "is read back from a file as it was, or says why it cannot be saved",
    needs: [sameText],
    run: async () => {
      const read = savedAndRead("strategy", node, graphOf(place, bench.parts()), "strategy")
      if (read === undefined) return
      const [found, expected] = [
        await bench.inRoom(({ write }) => write(), {}, read),
        await bench.inRoom(({ write }) => write()),
      ]
      const remedy = "all that it does must follow from its options"
      checkSameText(`${name} was saved and read back, and then`, found, expected, remedy)
    },
  }

  return { passesOn, aborts, saves }
}

/** What a text must come to where a reward fails. */
const failures: Readonly<
  Record<Failure, { isExpected(outcome: Outcome): boolean; readonly expected: string }>
> = {
  "throws": {
    isExpected: failsBy("PluginFailed", "brittle"),
    expected: "the error that the reward threw",
  },
  "gives NaN": {
    isExpected: failsBy("NonFiniteScores"),
    expected: "the error that names the reward and the id",
  },
  "rules everything out": {
    isExpected: failsBy("NonFiniteScores"),
    expected: "the error that no token is left to choose",
  },
}

/** Whether a text failed for this reason, of this plugin where it is one's. */
function failsBy(
  tag: GenArmError["reason"]["_tag"],
  plugin?: string,
): (outcome: Outcome) => boolean {
  return (outcome) => {
    if (!("error" in outcome) || !(outcome.error instanceof GenArmError)) return false
    const { reason } = outcome.error
    if (reason._tag !== tag) return false
    return plugin === undefined || "plugin" in reason && reason.plugin === plugin
  }
}
