/** Checks of a reward in whole pipelines: what it leaves alone, frees, survives, and becomes in a file. */
import { isDeepStrictEqual } from "node:util"
import type { Pipeline } from "../decode/pipeline.ts"
import type { Generation } from "../decode/types.ts"
import { GenArmError, messageOf } from "../errors.ts"
import type { RewardBench } from "./_reward_bench.ts"
import type { MoveChecks } from "./_reward_moves.ts"
import type { ScoreChecks } from "./_reward_scores.ts"
import { checkSame, isClose } from "./_reward_text.ts"
import { savedAndRead } from "./_saved.ts"
import { graphOf, withPipeline } from "./_scope.ts"
import { type Check, fail } from "./_suite.ts"
import { type WatchedReward, watchReward } from "./_watched_reward.ts"

/** Tokens of a text; longer than those that single states are given. */
const maxTokens = 24

/** Makes the checks, in the order in which they are told. */
export function pipelineChecks(
  bench: RewardBench,
  { choice, fills }: ScoreChecks,
  { again, fork }: MoveChecks,
): readonly Check[] {
  const { name, node, place } = bench
  const { prompt, seed } = place
  const parts = (weight: number, reward = node) => ({ rewards: { reward: { reward, weight } } })
  const write = (pipeline: Pipeline, signal?: AbortSignal) =>
    pipeline.generate(prompt, { maxTokens, seed, ...signal && { signal } })

  const closes: Check = {
    name: "closes without an error",
    needs: [fills],
    run: () =>
      bench.withTexts(async (open) => {
        const unread = open()
        const read = open()
        await read.ask()
        for (const [when, { sequence }] of [["at once", unread], ["after a step", read]] as const) {
          try {
            sequence.close()
          } catch (error) {
            fail(
              `${name} failed when it was closed ${when}: ${
                messageOf(error)
              }. close frees what is ` +
                "there, and throws nothing",
            )
          }
        }
      }),
  }

  const writes: Check = {
    name: "guides a text in a pipeline",
    needs: [choice, again, closes],
    run: () =>
      withPipeline(place, parts(1), async (pipeline) => {
        const { ids, tokens } = await write(pipeline)
        const score = await pipeline.score(prompt, ids)
        score.tokens.forEach(({ rewards: { reward } }, i) => {
          const found = tokens[i].rewards.reward
          if (isClose(found, reward)) return
          fail(
            `${name} gave token ${i} of a text ${found} while it was written, and ${reward} when the ` +
              "same text was scored: a score depends on the text before it, and on nothing else",
          )
        })
      }),
  }

  const weightless: Check = {
    name: "leaves the base alone at weight 0",
    needs: [writes],
    run: async () => {
      const plain = await withPipeline(place, {}, (pipeline) => write(pipeline))
      const guided = await withPipeline(place, parts(0), (pipeline) => write(pipeline))
      const at = firstDifference(guided, plain)
      if (at === undefined) return
      fail(
        `${name} has the weight 0, and token ${at} is ${
          told(guided, at)
        }, expected the base's own, ` +
          `${told(plain, at)}: change no row, and nothing that open is given`,
      )
    },
  }

  const frees: Check = {
    name: "closes the states of its parts, each once",
    needs: [fork, closes],
    run: async () => {
      const watched = watchReward(node)
      await bench.withTexts(async (open) => {
        const text = open()
        await text.ask()
        const copy = text.follows("fork") ? text.fork() : undefined
        await copy?.ask()
        copy?.close()
        text.close()
      }, watched.node)
      checkClosed(name, watched, "its text had ended")
      for (let failing = 0; failing < watched.parts; failing++) {
        const broken = watchReward(node, failing)
        await bench.withTexts((open) => Promise.resolve(open()), broken.node).catch(() => {})
        checkClosed(name, broken, "another of its parts could not be opened")
      }
    },
  }

  const aborts: Check = {
    name: "writes the same text after an abort as before it",
    needs: [writes, frees],
    run: async () => {
      const watched = watchReward(node)
      await withPipeline(place, parts(1, watched.node), async (pipeline) => {
        const before = await write(pipeline)
        const stop = new AbortController()
        const stream = pipeline.stream(prompt, { maxTokens, seed, signal: stop.signal })
        let count = 0
        try {
          for await (const _ of stream) if (++count === 2) stop.abort(new Error("enough"))
        } catch (error) {
          if (!(error instanceof GenArmError && error.reason._tag === "Aborted")) throw error
        }
        const after = await write(pipeline)
        const at = firstDifference(after, before)
        if (at !== undefined) {
          fail(
            `${name}: a text was aborted, and the next one had the token ${at} as ` +
              `${told(after, at)}, expected ${told(before, at)}: begin each text anew in open, ` +
              "and leave nothing half done in the plugin",
          )
        }
      })
      checkClosed(name, watched, "a text was aborted")
      if (place.openCaches() > 0) {
        fail(`${name} left ${place.openCaches()} caches open after an abort: expected none`)
      }
    },
  }

  const saves: Check = {
    name: "is read back from a file as it was, or says why it cannot be saved",
    needs: [again],
    run: async () => {
      const { first } = await bench.texts()
      const graph = graphOf(place, parts(1))
      const read = savedAndRead("reward", node, graph, "rewards.reward.reward")
      if (read === undefined) return
      checkSame(
        await bench.withTexts((open) => open().read(first), read),
        await bench.withTexts((open) => open().read(first)),
        `${name} was saved and read back, and then`,
        "All that it does must follow from its options",
      )
    },
  }

  return [closes, writes, weightless, frees, aborts, saves]
}

/** Fails unless each state was closed once. */
function checkClosed(name: string, { states }: WatchedReward, when: string): void {
  const wrong = states.find(({ closed }) => closed !== 1)
  if (wrong === undefined) return
  const found = wrong.closed === 0 ? "was not closed" : `was closed ${wrong.closed} times`
  fail(
    `${name}: of ${states.length} states that were opened, one of "${wrong.plugin}" ${found} when ` +
      `${when}: expected each to be closed once, as rewardParts does`,
  )
}

/** The first token in which two texts differ, or in its probabilities. */
function firstDifference(a: Generation, b: Generation): number | undefined {
  for (let at = 0; at < Math.max(a.ids.length, b.ids.length); at++) {
    const [one, two] = [a.tokens[at], b.tokens[at]]
    if (one?.id !== two?.id || !isDeepStrictEqual(one?.logprob, two?.logprob)) return at
  }
  return undefined
}

function told({ tokens }: Generation, at: number): string {
  const token = tokens.at(at)
  return token === undefined ? "none" : `id ${token.id} (log-probability ${token.logprob.guided})`
}
