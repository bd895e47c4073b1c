/** Checks of how a strategy treats what it is given, its options, and the copies that it makes. */
import { isDeepStrictEqual } from "node:util"
import { snapshot } from "./_nodes.ts"
import type { StrategyBench } from "./_strategy_bench.ts"
import { ending, slow } from "./_strategy_rewards.ts"
import type { TextChecks } from "./_strategy_texts.ts"
import { type Check, fail } from "./_suite.ts"

/** The questions that a promised reward fails at, one in each text. */
const failures = [1, 2, 3, 5, 8, 13]

/** The checks of conduct. */
export interface ConductChecks {
  readonly sequences: Check
  readonly options: Check
  readonly waits: Check
  readonly closes: Check
}

/** Makes the checks. */
export function conductChecks(bench: StrategyBench, { writes }: TextChecks): ConductChecks {
  const { name, node } = bench

  const sequences: Check = {
    name: "leaves the scores and the tokens of its sequences as they are",
    needs: [writes],
    run: () =>
      bench.inRoom(async ({ write, watched }) => {
        await write()
        const changed = watched.runs.find(({ changed }) => changed !== undefined)?.changed
        if (changed !== undefined) fail(`${name} changed ${changed}`)
      }),
  }

  const options: Check = {
    name: "leaves its options as they are",
    needs: [writes],
    run: async () => {
      const before = snapshot(node.options)
      await bench.inRoom(({ write }) => write())
      if (isDeepStrictEqual(snapshot(node.options), before)) return
      fail(`${name} changed its options while it wrote a text: texts share them. Change a copy`)
    },
  }

  const waits: Check = {
    name: "waits for all that it has begun, also where some of it fails",
    needs: [writes],
    run: async () => {
      for (const failing of [...failures, Infinity]) {
        const around = { rewards: { slow: { reward: slow(failing)(), weight: 1 } } }
        await bench.inRoom(async ({ attempt, watched }) => {
          const outcome = await attempt()
          const left = watched.runs[0]?.end?.inFlight ?? 0
          if (left === 0) return
          const when = "error" in outcome ? "failed" : "ended"
          fail(
            `${name} ${when} while ${left} of the calls that it had made were under way: they go on ` +
              "with sequences that are closed. Await each; Promise.all does not wait for the others " +
              "where one fails, Promise.allSettled does",
          )
        }, around)
      }
    },
  }

  const closes: Check = {
    name: "closes the sequences that it does not yield",
    needs: [writes],
    run: async () => {
      for (const around of [{}, { rewards: { ending: { reward: ending(), weight: 1 } } }]) {
        await bench.inRoom(async ({ write, watched }) => {
          await write()
          await write({}, 1)
          const open = Math.max(...watched.runs.map(({ end }) => end?.open ?? 0))
          if (open === 0) return
          fail(
            `${name} left ${open} sequences open beside the one that it yielded last: each keeps its ` +
              "caches until the text ends. Close a sequence when it is done with, and the last of " +
              "them before the last yield",
          )
        }, around)
      }
    },
  }

  return { sequences, options, waits, closes }
}
