/** Checks of a schedule or a sampler in whole pipelines: what it does, survives, and becomes in a file. */
import type { Pipeline } from "../decode/pipeline.ts"
import { GenArmError } from "../errors.ts"
import type { GraphSpec } from "../graph/graph.ts"
import type { PluginKind, PluginNode } from "../plugin/node.ts"
import { defineReward } from "../plugin/reward.ts"
import { savedAndRead } from "./_saved.ts"
import { graphOf, withPipeline } from "./_scope.ts"
import type { StateBench } from "./_state_bench.ts"
import { checkSaid, type Kept } from "./_state_text.ts"
import { checkSameText } from "./_same_text.ts"
import type { Check } from "./_suite.ts"

/** Tokens of a text; longer than those that single states are given. */
const maxTokens = 24
/** Tokens after which texts are aborted. */
const aborts = [2, 17]

/** How a kind of plugin stands in a graph. */
export interface InGraph<Kind extends PluginKind> {
  readonly kind: Kind
  /** What it does in a pipeline, as the name of a check. */
  readonly does: string
  readonly parts: (node: PluginNode<Kind>) => Omit<GraphSpec, "base">
  /** The path of the node in that graph. */
  readonly path: string
}

/** Rules out what ends a text, so that all have the same length. */
export const goesOn = defineReward({
  name: "goesOn",
  open: (_, { eos }) => ({
    score(_, out) {
      out.fill(0)
      for (const id of eos) out[id] = -Infinity
    },
  }),
})

/** The checks in pipelines. */
export interface StatePipelines {
  readonly writes: Check
  readonly aborts: Check
  readonly saves: Check
}

/** Makes the checks; they need `again` and `apart`. */
export function statePipelines<Kind extends PluginKind, State extends Kept<State>, Said>(
  bench: StateBench<Kind, State, Said>,
  inGraph: InGraph<Kind>,
  needs: readonly Check[],
): StatePipelines {
  const { name, node, place, kind } = bench
  const { prompt, seed } = place
  const parts = inGraph.parts(node)
  const write = (pipeline: Pipeline, more = 0) =>
    pipeline.generate(prompt, { maxTokens, seed: (seed + more) % 2 ** 32 })

  const writes: Check = {
    name: inGraph.does,
    needs,
    run: async () => {
      const [one, two] = await withPipeline(
        place,
        parts,
        async (pipeline) => [await write(pipeline), await write(pipeline, 1)],
      )
      const remedy = "the same seed gives the same tokens, whatever else is written meanwhile"
      await withPipeline(place, parts, async (pipeline) => {
        checkSameText(`${name} wrote a text again`, await write(pipeline), one, remedy)
        const together = await pipeline.generateAll([prompt], { maxTokens, seed, n: 2 })
        for (const [i, alone] of [one, two].entries()) {
          checkSameText(`${name} wrote two texts at once`, together[i], alone, remedy)
        }
      })
    },
  }

  const survives: Check = {
    name: "writes the same text after an abort as before it",
    needs: [writes],
    run: async () => {
      await withPipeline(place, parts, async (pipeline) => {
        const before = await write(pipeline)
        for (const count of aborts) await abortAfter(count, pipeline, prompt, seed)
        checkSameText(
          `${name} wrote a text after others had been aborted`,
          await write(pipeline),
          before,
          "begin each text anew in open, and leave nothing half done in the plugin",
        )
      })
    },
  }

  const saves: Check = {
    name: "is read back from a file as it was, or says why it cannot be saved",
    needs,
    run: async () => {
      const read = savedAndRead(inGraph.kind, node, graphOf(place, parts), inGraph.path)
      if (read === undefined) return
      const readFirst = (node: PluginNode<Kind>) =>
        bench.inRoom(({ open, first }) => open().read(first), node)
      checkSaid(kind, await readFirst(read), await readFirst(node), {
        what: `${name} was saved and read back, and then`,
        remedy: "All that it does must follow from its options",
      })
    },
  }

  return { writes, aborts: survives, saves }
}

async function abortAfter(
  count: number,
  pipeline: Pipeline,
  prompt: string,
  seed: number,
): Promise<void> {
  const stop = new AbortController()
  let told = 0
  try {
    for await (const _ of pipeline.stream(prompt, { maxTokens, seed, signal: stop.signal })) {
      if (++told === count) stop.abort(new Error("enough"))
    }
  } catch (error) {
    if (!(error instanceof GenArmError && error.reason._tag === "Aborted")) throw error
  }
}
