/** The check of what a schedule or a sampler is opened with: it is not the plugin's to change. */
import { isDeepStrictEqual } from "node:util"
import type { PluginKind } from "../plugin/node.ts"
import { snapshot } from "./_nodes.ts"
import type { StateBench } from "./_state_bench.ts"
import type { Kept } from "./_state_text.ts"
import { type Check, fail } from "./_suite.ts"

/** Makes the check. */
export function stateInputs<Kind extends PluginKind, State extends Kept<State>, Said>(
  bench: StateBench<Kind, State, Said>,
  needs: readonly Check[],
): Check {
  const { name, node } = bench
  return {
    name: "leaves its options and the prompt as they are",
    needs,
    run: () =>
      bench.inRoom(({ info, open, first }) => {
        const given = snapshot(node.options)
        const text = open()
        text.read(first)
        if (!isDeepStrictEqual(text.info.promptIds, info.promptIds)) {
          fail(`${name} changed the promptIds that it was opened with: change a copy`)
        }
        if (isDeepStrictEqual(snapshot(node.options), given)) return
        fail(
          `${name} changed its options while a text was read: texts share them. Copy them in open, ` +
            "and change the copy",
        )
      }),
  }
}
