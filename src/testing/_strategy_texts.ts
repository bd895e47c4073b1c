/** Checks of the texts that a strategy writes: they come to an end, and are the same by the same seed. */
import { isDeepStrictEqual } from "node:util"
import type { GenerateOptions } from "../decode/types.ts"
import { messageOf } from "../errors.ts"
import { withGraph } from "./_scope.ts"
import { type Around, maxTokens, type StrategyBench } from "./_strategy_bench.ts"
import { ending, madeUp, narrow } from "./_strategy_rewards.ts"
import { type Check, fail } from "./_suite.ts"
import { checkSameText } from "./_same_text.ts"

/** A context that is longer takes too long to fill. */
const longestContext = 2048

/** The checks of texts, each under the name that others build on. */
export interface TextChecks {
  readonly writes: Check
  readonly ends: Check
  readonly choices: Check
  readonly sameText: Check
  readonly rewards: Check
}

/** Makes the checks. */
export function textChecks(bench: StrategyBench): TextChecks {
  const { name, place } = bench

  const writes: Check = {
    name: "writes a text to its end",
    run: () =>
      bench.inRoom(async ({ write, watched }) => {
        try {
          await write()
        } catch (error) {
          const missing = watched.runs[0]?.missing
          if (missing === undefined) throw error
          fail(
            `${name} failed: ${
              messageOf(error)
            }. It asked for the model "${missing}", which is not ` +
              `there: declare it, as sources: () => ({ ${missing}: { model: ... } })`,
          )
        }
      }),
  }

  /** Writes by several seeds; `where` says in which graph or request. */
  const writeAt = (where: string, around: Around, options: GenerateOptions) =>
    bench.inRoom(async ({ write }) => {
      for (let salt = 0; salt < 3; salt++) {
        try {
          await write(options, salt)
        } catch (error) {
          fail(`${name} failed where ${where}: ${messageOf(error)}`)
        }
      }
    }, around)

  const ends: Check = {
    name: "ends a text wherever it may end",
    needs: [writes],
    run: async () => {
      for (const most of [1, 2, 3, 2 * maxTokens]) {
        await writeAt(`a text has ${most} tokens at most`, {}, { maxTokens: most })
      }
      await writeAt("a text has two tokens at most, and may end before", eager, { maxTokens: 2 })
      await writeAt("texts end early by an end token", eager, { maxTokens: 2 * maxTokens })
      await writeAt("texts end early by a stop string", {}, { stop: ["e", "a", " ", "t"] })
      const room = await fullPrompt(bench)
      if (room === undefined) return
      await bench.inRoom(async ({ pipeline, watched }) => {
        for (const seed of [1, 2, 3]) {
          try {
            await bench.ending(watched, pipeline.generate(room, { maxTokens, seed }))
          } catch (error) {
            fail(
              `${name} failed where the base's context has room for 3 tokens: ${messageOf(error)}`,
            )
          }
        }
      })
    },
  }

  const choices: Check = {
    name: "writes a text where there is little to choose from",
    needs: [writes],
    run: async () => {
      for (const possible of [1, 2, 3]) {
        const reward = narrow({ possible })
        const around = { rewards: { narrow: { reward, weight: 1 } } }
        await writeAt(`${possible} tokens are possible at each step`, around, {})
      }
      await writeAt("the sampler is greedy", { sampler: { plugin: "greedy", options: {} } }, {})
    },
  }

  const sameText: Check = {
    name: "writes the same text by the same seed",
    needs: [writes],
    run: async () => {
      const alone = await bench.inRoom(async ({ write }) => [
        await write(),
        await write({}, 1),
        await write({}, 2),
      ])
      const remedy =
        "draw from the sequence's random, and keep what belongs to a text in run, not " +
        "in the plugin"
      await bench.inRoom(async ({ write, pipeline, watched }) => {
        for (const [salt, text] of alone.entries()) {
          checkSameText(`${name} wrote a text again`, await write({}, salt), text, remedy)
        }
        const { prompt, seed } = place
        const options = { maxTokens, seed, n: alone.length }
        const together = await bench.ending(watched, pipeline.generateAll([prompt], options))
        for (const [i, text] of together.entries()) {
          checkSameText(`${name} wrote texts at the same time`, text, alone[i], remedy)
        }
      })
    },
  }

  const rewards: Check = {
    name: "goes by no rewards but those that it asks for",
    needs: [sameText],
    run: async () => {
      const { named = [] } = bench
      if (named.includes(undefined) || named.includes("beside")) return
      const texts = []
      for (const salt of ["one", "two"]) {
        const around = { rewards: { beside: { reward: madeUp({ salt }), weight: 0 } } }
        for (let seed = 0; seed < 4; seed++) {
          texts.push(await bench.inRoom(({ write }) => write({}, seed), around))
        }
      }
      for (let seed = 0; seed < 4; seed++) {
        const [one, two] = [texts[seed], texts[seed + 4]]
        if (isDeepStrictEqual(one.ids, two.ids)) continue
        const asked = named.length === 0 ? "none" : named.join(", ")
        fail(
          `${name} asks for ${asked} of the graph's rewards, and its text depends on another, whose ` +
            `weight is 0: with other scores it has the ids ${two.ids.join(", ")}, and not ` +
            `${one.ids.join(", ")}. Declare what it goes by: rewards: ({ by }) => ({ by })`,
        )
      }
    },
  }

  return { writes, ends, choices, sameText, rewards }
}

const eager: Around = { rewards: { ending: { reward: ending(), weight: 1 } } }

/** A prompt after which three tokens may be written; none where that takes too long. */
function fullPrompt({ place }: StrategyBench): Promise<readonly number[] | undefined> {
  return withGraph(place, {}, ({ base: { model: { engine, tokenizer } } }) => {
    const ids = tokenizer.encode(place.prompt)
    const length = engine.contextLength - 2 // the last token is written, and not read
    if (length < ids.length || length > longestContext) return Promise.resolve(undefined)
    const more = new Array<number>(length - ids.length).fill(ids.at(-1)!)
    return Promise.resolve([...ids, ...more])
  })
}
