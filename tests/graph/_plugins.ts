/** The built-in plugins with those of the algebra, whether or not they are among them. */
import { withPlugins } from "genarm/plugin"
import type { Graph, GraphSpec } from "genarm"
import { builtins } from "../../plugins/builtins.ts"
import { constant } from "../../plugins/rewards/constant.ts"
import { intersection } from "../../plugins/rewards/intersection.ts"
import { mask } from "../../plugins/rewards/mask.ts"
import { normalize } from "../../plugins/rewards/normalize.ts"
import { scale } from "../../plugins/rewards/scale.ts"
import { sum } from "../../plugins/rewards/sum.ts"
import { union } from "../../plugins/rewards/union.ts"
import { defineGraphWith } from "../../src/graph/define_graph.ts"
import type { Plugins } from "../../src/plugin/registry.ts"

/** The registry. */
export const plugins: Plugins = withPlugins(builtins, [
  ...[constant, intersection, mask, normalize, scale, sum, union],
])

/** The names of a kind, as errors list them. */
export const names = (kind: keyof Plugins): string[] => plugins[kind].map(({ name }) => name)

/** `defineGraph` with that registry. */
export const define = (spec: GraphSpec): Graph => defineGraphWith(plugins, spec)
